"""Pigments of the sample: noise, procedural textures, colours. Pure, values float32 in [0, 1]."""

from __future__ import annotations

import colorsys
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]  # (H, W)
Picture = NDArray[np.float32]  # (H, W, 3), or (H, W, 4) with colour multiplied by alpha


def texture(rng: np.random.Generator, name: str, size: int, radius: float) -> Plane:
    """(size, size) in [0, 1]."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    warp = noise(rng, size, size, radius)
    turn = rng.uniform(0, math.pi)
    along = x * math.cos(turn) + y * math.sin(turn)
    if name == "marble":
        value = 0.5 + 0.5 * np.sin(along * 5 / radius + 9 * warp)
    elif name == "stripes":
        wave = np.sin((along + 0.5 * radius * warp) * 2 * math.pi / (0.42 * radius))
        value = 0.5 + 0.5 * np.tanh(2.5 * wave)
    elif name == "cells":
        seeds = np.ones((size, size), np.uint8)
        count = int((2.5 * size / radius) ** 2)
        seeds[tuple(rng.integers(0, size, (2, count)))] = 0
        value = np.clip(cv2.distanceTransform(seeds, cv2.DIST_L2, 5) / (0.32 * radius), 0, 1)
    elif name == "fractal":
        return np.asarray(np.clip(0.5 + 0.2 * fractal(rng, size, size, 1.0), 0, 1))
    else:
        value = noise(rng, size, size, 0.6 * radius)
    fine = noise(rng, size, size, max(3.0, 0.1 * radius))
    return np.asarray(0.85 * value + 0.15 * fine, dtype=np.float32)


def noise(rng: np.random.Generator, height: int, width: int, scale: float) -> Plane:
    """(height, width) smooth noise in [0, 1]: three octaves, the coarsest ``scale`` pixels wide."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        step = max(scale / 2**octave, 1.0)
        grid = rng.random((math.ceil(height / step) + 3, math.ceil(width / step) + 3), np.float32)
        wide = math.ceil(grid.shape[1] * step), math.ceil(grid.shape[0] * step)
        fine = cv2.resize(grid, wide, interpolation=cv2.INTER_CUBIC)
        total += fine[int(step) :, int(step) :][:height, :width] * np.float32(0.5**octave)
    return np.asarray(np.clip((total / 1.75 - 0.5) * 1.5 + 0.5, 0, 1), dtype=np.float32)


def fractal(rng: np.random.Generator, height: int, width: int, slope: float) -> Plane:
    """(height, width) noise of mean 0 and deviation 1 whose amplitude is 1 / f**slope."""
    total = np.zeros((height, width), np.float32)
    step = 2.0 ** math.floor(math.log2(max(height, width)))
    while step >= 1:
        grid = rng.standard_normal((int(height / step) + 3, int(width / step) + 3), np.float32)
        at = rng.random(2)
        look = np.array([[1 / step, 0, at[0]], [0, 1 / step, at[1]]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        fine = cv2.warpAffine(grid, look, (width, height), flags=how)
        total += fine * np.float32(step ** (slope - 1))
        step /= 2
    mean, deviation = cv2.meanStdDev(total)
    return np.asarray((total - np.float32(mean[0, 0])) / np.float32(max(deviation[0, 0], 1e-6)))


def blur(picture: Any, sigma: float) -> Any:
    """Gaussian blur of a plane or a picture; ``sigma`` in pixels."""
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def gradient(plane: Plane) -> tuple[Plane, Plane]:
    """Central differences along x and y, per pixel."""
    gx = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(gx, dtype=np.float32), np.asarray(gy, dtype=np.float32)


def hsv(hue: float, saturation: float, value: float) -> NDArray[np.float32]:
    """(3,) RGB."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)
