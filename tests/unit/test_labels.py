"""The rule of mask images: what a sequence holds is decided once, for all its pictures alike."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from mav_pipeline.media.label_rule import LabelRule
from mav_pipeline.media.labels import MaskObjects, read_objects
from mav_pipeline.media.mask_images import MaskImage, read_mask
from mav_pipeline.media.masks import decode_rle
from mav_pipeline.schema import Mask
from mav_pipeline.schema.errors import InputError
from tests.fakes import png

from .test_images import saved

HEIGHT, WIDTH = 96, 128
Picture = np.ndarray[Any, Any]


def objects(
    pictures: Sequence[bytes | MaskImage], *, one: bool = False, **rule: Any
) -> MaskObjects:
    def images() -> list[tuple[int, MaskImage]]:
        return [
            (place, it if isinstance(it, MaskImage) else read_mask(it, label="x", max_pixels=10**6))
            for place, it in enumerate(pictures)
        ]

    found = read_objects(images, LabelRule(**rule), one=one, role="mask")
    again = read_objects(lambda: reversed(images()), LabelRule(**rule), one=one, role="mask")
    assert found == again, "what pictures mean depends on their order"
    return found


def refused(pictures: Sequence[bytes], **rule: Any) -> str:
    with pytest.raises(InputError) as caught:
        objects(pictures, **rule)
    assert (caught.value.reason, caught.value.role) == ("mask_labels", "mask")
    return caught.value.cause


def masks(found: MaskObjects, label: int, count: int) -> list[Mask]:
    empty = np.zeros((HEIGHT, WIDTH), np.bool_)
    rles = found.rles[label]
    return [decode_rle(rles[n]) if n in rles else empty for n in range(count)]


def discs(count: int = 3, radius: int = 25, smooth: bool = True, white: int = 255) -> list[Picture]:
    """A disc that moves, anti-aliased or hard."""
    found = []
    for n in range(count):
        picture = np.zeros((HEIGHT, WIDTH), np.uint8)
        line = cv2.LINE_AA if smooth else cv2.LINE_8
        cv2.circle(picture, (40 + 8 * n, 48), radius, white, -1, line)
        found.append(picture)
    return found


def regions(count: int = 3) -> list[Picture]:
    """Label images: a box, a disc before it, a wire of one pixel, and a speck."""
    found = []
    for n in range(count):
        picture = np.zeros((HEIGHT, WIDTH), np.uint8)
        picture[10:50, 10:60] = 1
        cv2.circle(picture, (50 + 4 * n, 50), 15, 2, -1)
        cv2.line(picture, (5, 90), (120, 70), 3, 1)
        picture[4:6, 100:102] = 4
        found.append(picture)
    return found


def assert_holds(found: MaskObjects, labels: Sequence[Picture], ids: dict[int, int]) -> None:
    """``ids``: what each value of ``labels`` is called."""
    assert found.holds == "ids"
    assert [*found.rles] == sorted(ids.values())
    for value, item in ids.items():
        for mask, picture in zip(masks(found, item, len(labels)), labels, strict=True):
            np.testing.assert_array_equal(mask, picture == value)


def assert_cut(found: MaskObjects, soft: Sequence[Picture]) -> None:
    """One object: what is above 127."""
    assert (found.holds, [*found.rles]) == ("binary", [1])
    for mask, picture in zip(masks(found, 1, len(soft)), soft, strict=True):
        np.testing.assert_array_equal(mask, picture > 127)


# soft masks


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("sigma", [0, 1, 3, 8])
def test_anti_aliased_and_feathered_masks_are_one_object(sigma: int, one: bool) -> None:
    soft = [cv2.GaussianBlur(d, (0, 0), sigma) if sigma else d for d in discs()]
    assert_cut(objects([png(d) for d in soft], one=one), soft)


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_soft_masks_of_any_depth_are_cut_at_one_half(depth: int) -> None:
    top = 2**depth - 1
    pictures, expected = [], []
    for disc in discs():
        values = np.rint(disc / 255 * top).astype(np.uint16)
        pictures.append(MaskImage(values if depth > 8 else values.astype(np.uint8), "gray", top))
        expected.append(np.rint(values.astype(float) * 255 / top).astype(np.uint8))
    assert_cut(objects(pictures), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_soft_masks_of_any_kind_are_one_object(mode: str) -> None:
    found = objects([saved(Image.fromarray(d).convert(mode), "PNG") for d in discs()])
    assert_cut(found, discs())


def test_a_palette_of_few_grays_is_a_soft_mask() -> None:
    quantised = [Image.fromarray(d).quantize(12) for d in discs()]
    shown = [np.asarray(image.convert("L")) for image in quantised]
    assert_cut(objects([saved(image, "PNG") for image in quantised]), shown)


@pytest.mark.parametrize("quality", [5, 50, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_compressed_masks_are_one_object(quality: int, mode: Any) -> None:
    pictures = [Image.fromarray(d).convert(mode) for d in discs(smooth=False)]
    jpegs = [saved(picture, "JPEG", quality=quality) for picture in pictures]
    shown = [np.asarray(Image.open(io.BytesIO(data)).convert("L")) for data in jpegs]
    assert_cut(objects(jpegs), shown)
    assert_cut(objects(jpegs, one=True), shown)
    again = [saved(Image.open(io.BytesIO(data)), "PNG") for data in jpegs]
    assert_cut(objects(again), shown)


@pytest.mark.parametrize("factor", [2, 5, 8])
def test_masks_that_were_scaled_up_are_one_object(factor: int) -> None:
    size = (WIDTH // factor, HEIGHT // factor)
    small = [cv2.resize(d, size) for d in discs()]
    soft = [cv2.resize(d, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for d in small]
    assert_cut(objects([png(d) for d in soft]), soft)


def test_a_straight_edge_at_half_a_pixel_is_no_object() -> None:
    box = np.zeros((HEIGHT, WIDTH), np.uint8)
    box[20:60, 20:60] = 128
    box[21:59, 21:59] = 255
    assert_cut(objects([png(box)]), [box])


def test_one_soft_picture_among_hard_ones_is_read_as_they_are() -> None:
    pictures = [*discs(2, smooth=False), *discs(1)]
    for order in itertools.permutations(pictures):
        assert_cut(objects([png(d) for d in order]), order)


def test_a_soft_mask_that_never_gets_bright_is_refused() -> None:
    assert "the largest 100 of 255" in refused([png(d) for d in discs(white=100)])
    assert "ids takes values as they are" in refused([png(d) for d in discs(white=100)], one=True)


# hard masks


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("white", [1, 7, 200, 255])
def test_a_single_value_is_in_whatever_it_is(white: int, one: bool) -> None:
    pictures = discs(smooth=False, white=white)
    found = objects([png(d) for d in pictures], one=one)
    (item,) = found.rles
    assert item == (1 if one or white == 255 else white)
    for mask, picture in zip(masks(found, item, 3), pictures, strict=True):
        np.testing.assert_array_equal(mask, picture > 0)


@pytest.mark.parametrize("white", [1, 255, 256, 257, 65535])
def test_16_bits_do_not_wrap(white: int) -> None:
    pictures = [(d > 0) * np.uint16(white) for d in discs(smooth=False)]
    found = objects([png(p) for p in pictures])
    assert [*found.rles] == [1 if white in (255, 65535) else white]
    areas = [rle.area for rle in next(iter(found.rles.values())).values()]
    assert areas == [np.count_nonzero(p) for p in pictures]


def test_pictures_whose_depth_a_tool_reduced_mean_what_they_meant() -> None:
    hard, soft = discs(1, smooth=False)[0], discs(1)[0]
    found = objects([png(hard > 0), png(soft), png(soft.astype(np.uint16) * 257)])
    assert_cut(found, [hard, soft, soft])


def test_8_bits_in_16_are_read_as_8() -> None:
    assert_cut(objects([png(d.astype(np.uint16)) for d in discs()]), discs())


# labels


@pytest.mark.parametrize("factor", [1, 20, 60])
def test_gray_values_are_ids(factor: int) -> None:
    labels = [r * np.uint8(factor) for r in regions()]
    ids = {value * factor: value * factor for value in (1, 2, 3, 4)}
    assert_holds(objects([png(r) for r in labels]), labels, ids)


@pytest.mark.parametrize("factor", [1, 64, 256, 300, 16000])
def test_ids_of_16_bits_are_whole(factor: int) -> None:
    labels = [r.astype(np.uint16) * np.uint16(factor) for r in regions()]
    ids = {value * factor: value * factor for value in (1, 2, 3, 4)}
    assert_holds(objects([png(r) for r in labels]), labels, ids)
    in_colours = [cv2.imencode(".png", np.dstack([r] * 3))[1].tobytes() for r in labels]
    assert_holds(objects(in_colours), labels, ids)


def test_255_is_an_object_of_gray_and_void_of_palettes() -> None:
    labels = [np.where(r == 2, 255, r).astype(np.uint8) for r in regions()]
    assert_holds(objects([png(r) for r in labels]), labels, {1: 1, 3: 3, 4: 4, 255: 255})
    palettes = [png(r, palette=True) for r in labels]
    found = objects(palettes)
    assert_holds(found, labels, {1: 1, 3: 3, 4: 4})
    assert found.void_pixels == sum(int((r == 255).sum()) for r in labels)
    found = objects(palettes, void=None)
    assert_holds(found, labels, {1: 1, 3: 3, 4: 4, 255: 255})
    assert found.void_pixels == 0


def test_a_void_that_is_named_is_out_whatever_holds_it() -> None:
    labels = regions()
    void = sum(int((r == 2).sum()) for r in labels)
    for pictures in ([png(r) for r in labels], [png(r, palette=True) for r in labels]):
        found = objects(pictures, void=2)
        assert_holds(found, labels, {1: 1, 3: 3, 4: 4})
        assert found.void_pixels == void
    trimap = [np.where(cv2.dilate(d, np.ones((9, 9))) > d, 128, d) for d in discs(smooth=False)]
    found = objects([png(t) for t in trimap], void=128)
    assert_cut(found, [np.where(t == 128, 0, t) for t in trimap])
    assert found.void_pixels == sum(int((t == 128).sum()) for t in trimap)


def test_a_palette_that_has_nothing_but_255_has_one_object() -> None:
    pictures = discs(smooth=False)
    found = objects([png(d, palette=True) for d in pictures])
    assert [*found.rles] == [1]
    assert found.void_pixels == 0


def test_a_palette_of_grays_is_still_ids() -> None:
    images = [Image.frombytes("P", (WIDTH, HEIGHT), r.tobytes()) for r in regions()]
    for image in images:
        image.putpalette([gray for gray in (0, 60, 120, 180, 240) for _ in range(3)])
    found = objects([saved(image, "PNG") for image in images])
    assert_holds(found, regions(), {1: 1, 2: 2, 3: 3, 4: 4})


def voc(labels: Picture) -> Image.Image:
    """With DAVIS's palette, of which these are the first entries and the last."""
    image = Image.frombytes("P", (WIDTH, HEIGHT), labels.tobytes())
    first = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]
    image.putpalette(first + [0] * (3 * 250) + [224, 224, 192])
    return image


def test_colours_of_davis_are_its_ids_and_void() -> None:
    labels = [np.where(r == 4, 255, r).astype(np.uint8) for r in regions()]
    expected = objects([saved(voc(r), "PNG") for r in labels])
    found = objects([saved(voc(r).convert("RGB"), "PNG") for r in labels])
    assert found == expected
    assert_holds(found, labels, {1: 1, 2: 2, 3: 3})
    assert found.void_pixels == 4 * 3


def test_other_colours_are_numbered_by_red_green_and_blue() -> None:
    table = np.array([[0, 0, 0], [9, 200, 0], [9, 0, 200], [255, 0, 0], [0, 0, 90]], np.uint8)
    found = objects([png(table[r]) for r in regions()])
    assert_holds(found, regions(), {1: 3, 2: 2, 3: 4, 4: 1})


def test_colours_that_cannot_be_labels_are_refused_by_name() -> None:
    tint = np.array([255, 0, 0], np.float32) / 255
    soft = [(d[..., None] * tint).astype(np.uint8) for d in discs()]
    assert "most of them on edges" in refused([png(s) for s in soft])
    assert_cut(objects([png(s) for s in soft], labels="binary"), discs())
    assert_cut(objects([png(s) for s in soft], one=True), discs())
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    assert "more than 256" in refused([png(noise)])
    viridis = np.where(discs(1)[0][..., None] > 0, [253, 231, 37], [68, 1, 84]).astype(np.uint8)
    assert "no black" in refused([png(viridis)])
    colours = [np.asarray(voc(r).convert("RGB")) for r in regions()]
    assert "compression mixes" in refused([saved(c, "JPEG") for c in colours])


def test_images_of_two_kinds_in_one_folder_are_refused() -> None:
    first, second, _ = regions()
    assert "gray and palette" in refused([png(first), png(second, palette=True)])
    blank = png(first * np.uint8(0))
    assert_holds(
        objects([blank, png(second, palette=True)]),
        [first * 0, second],
        {n: n for n in range(1, 5)},
    )


# what somebody says


def test_ids_are_taken_as_they_are() -> None:
    found = objects([png(d) for d in discs(1)], labels="ids")
    values = {int(v) for v in np.unique(discs(1)[0])} - {0}
    assert {*found.rles} == values
    assert "no ids" in refused([saved(d, "JPEG") for d in discs()], labels="ids")


@pytest.mark.parametrize("palette", [False, True])
def test_binary_takes_labels_as_one_object(palette: bool) -> None:
    found = objects([png(r, palette=palette) for r in regions()], labels="binary")
    assert [*found.rles] == [1]
    for mask, picture in zip(masks(found, 1, 3), regions(), strict=True):
        np.testing.assert_array_equal(mask, picture > 0)


def test_a_folder_of_one_object_is_binary_whatever_is_said() -> None:
    for labels in ("auto", "ids", "binary"):
        assert_cut(objects([png(d) for d in discs()], one=True, labels=labels), discs())
        found = objects([png(r, palette=True) for r in regions()], one=True, labels=labels)
        assert [*found.rles] == [1]


# opacity


@pytest.mark.parametrize("gray", [0, 90, 255])
def test_a_picture_of_one_colour_is_its_opacity(gray: int) -> None:
    rgba = [np.dstack([np.full((HEIGHT, WIDTH, 3), gray, np.uint8), d]) for d in discs()]
    full = np.dstack([np.full((HEIGHT, WIDTH, 3), gray, np.uint8), discs(1)[0] | 255])
    found = objects([png(full), *map(png, rgba)])
    assert_cut(found, [full[..., 3], *discs()])


def test_cut_outs_hold_one_object_where_that_is_said() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    rgba = [png(np.dstack([noise, d])) for d in discs()]
    assert "more than 256" in refused(rgba)
    assert_cut(objects(rgba, labels="binary"), discs())
    assert_cut(objects(rgba, one=True), discs())


def test_labels_on_transparent_ground_are_labels() -> None:
    rgba = [voc(r).convert("RGBA") for r in regions()]
    for image, labels in zip(rgba, regions(), strict=True):
        image.putalpha(Image.fromarray((labels > 0) * np.uint8(255)))
    found = objects([saved(image, "PNG") for image in rgba])
    assert_holds(found, regions(), {1: 1, 2: 2, 3: 3, 4: 4})


# properties

IDS = st.lists(st.integers(1, 65535), min_size=2, max_size=6, unique=True)


@settings(max_examples=60, deadline=None)
@given(IDS, st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_any_ids_of_plain_regions_come_back(ids: list[int], seed: int, count: int) -> None:
    """Boxes of any ids, over one another, some on some pictures only."""
    random = np.random.default_rng(seed)
    labels = np.zeros((count, HEIGHT, WIDTH), np.uint16)
    for picture, item in itertools.product(labels, ids):
        top, left = random.integers(0, (HEIGHT - 12, WIDTH - 12))
        height, width = random.integers(6, 40, 2)
        if random.random() < 0.8:
            picture[top : top + height, left : left + width] = item
    assume(labels.any())
    found = objects([png(picture) for picture in labels], labels="ids")
    assert_holds(found, labels, {int(v): int(v) for v in np.unique(labels) if v})
    if len(found.rles) > 1:
        assert objects([png(picture) for picture in labels]) == found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.sampled_from(["area", "blur", "jpeg", "bilinear"]),
)
def test_no_soft_mask_becomes_several_objects(
    seed: int, count: int, how: Literal["area", "blur", "jpeg", "bilinear"]
) -> None:
    """Polygons with edges that nobody drew as they are."""
    random = np.random.default_rng(seed)
    soft = []
    for _ in range(count):
        large = np.zeros((HEIGHT * 4, WIDTH * 4), np.uint8)
        corners = random.integers(0, (WIDTH * 4, HEIGHT * 4), (7, 2))
        cv2.fillPoly(large, [corners.astype(np.int32)], 255)
        size = (WIDTH, HEIGHT)
        picture = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
        if how == "blur":
            picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.6, 5))
        elif how == "jpeg":
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(20, 96))]
            picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_GRAYSCALE)
        elif how == "bilinear":
            small = cv2.resize(large, (WIDTH // 3, HEIGHT // 3), interpolation=cv2.INTER_NEAREST)
            picture = cv2.resize(small, size)
        soft.append(picture)
    assert_cut(objects([png(picture) for picture in soft]), soft)
