"""Closed-form matting on a trimap grown from the mask: the CPU backend.

    mask -> trimap + prior ----------------+-> (Laplacian + weights) x = b in the band -> alpha
         -> colours nearby -> alpha + trust +

Frames are matted one by one, on a crop around the object: it knows nothing of time. Method:
Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 30(2), 2008.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from pydantic.dataclasses import dataclass
from threadpoolctl import threadpool_limits

from mav_pipeline.config import MattingConfig
from mav_pipeline.config.types import STRICT, Count, NotNegative, require
from mav_pipeline.matting.blocks import BLOCK, Block, blocks
from mav_pipeline.matting.kind import BackendKind
from mav_pipeline.matting.sampling import Evidence, evidence
from mav_pipeline.matting.trimap import THIN_BAND, Floats, Trimap, crop_around, make_trimap
from mav_pipeline.media.masks import at_size, decode_rle
from mav_pipeline.schema import AlphaFrame, Clip, Frame, Mask, Masklet, Matte, Seams, WorkingSize

_log = logging.getLogger(__name__)

#: Weight of what colours nearby say, where they are to be trusted.
COLOUR_WEIGHT = 0.15
#: Levin's regularisation, for colours in [0, 1]. 1e-4 stands for 0.85 levels of 255, about what
#: H.264 leaves; pymatting's 1e-7, meant for noise-free stills, lets compression noise into the
#: matte (MAD 2.3 against 1.8 on real masklets).
EPSILON = 1e-4
#: Relative residual at which to stop: within 1 of 255 of ten times less.
TOLERANCE = 1e-4
MAX_ITERATIONS = 1000  # ten times what the hardest masklet seen needs
FALLBACK = "solver_fallback"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClosedFormConfig(MattingConfig):
    """See ``MattingConfig`` for the keys that all backends have.

    Attributes:
        band: half width of the trimap's unknown band, as a fraction of sqrt(object area).
        band_min, band_max: bounds of that half width, in working pixels.
    """

    band: NotNegative
    band_min: Count
    band_max: int

    def __post_init__(self) -> None:
        MattingConfig.__post_init__(self)
        ok = self.band_max >= self.band_min
        require(ok, "matting.band_max", "at least matting.band_min", self.band_max)


class ClosedFormBackend:
    """Closed-form matting of each visible frame.

    Args:
        threads: of OpenCV and BLAS, process-wide.
        band: half width of the trimap's unknown band / sqrt(object area in working pixels).
        band_min, band_max: bounds of that half width, in working pixels.
    """

    multiple = 1

    def __init__(self, *, threads: int, band: float, band_min: int, band_max: int) -> None:
        self._threads, self._band = threads, band
        self._band_min, self._band_max = band_min, band_max

    def identity(self) -> dict[str, str]:
        return {}

    def setup(self) -> None:
        """Compiles and runs everything once, so that the first clip costs what others do."""
        _log.info("loading pymatting; the first time on a machine it compiles for up to a minute")
        cv2.setNumThreads(self._threads)
        # BLAS would else sum in as many parts as there are cores, and round differently.
        threadpool_limits(self._threads)
        mask = np.zeros((32, 32), np.bool_)
        mask[8:24, 8:24] = True
        self._frame(np.zeros((32, 32, 3), np.uint8), mask)

    def settings(self) -> dict[str, str]:
        return {}

    def matte(
        self, clip: Clip, frames: Iterator[Frame], masklets: Sequence[Masklet]
    ) -> Iterator[Matte]:
        """Yields blocks of visible frames at working size, in time order.

        Alpha is exactly 255 and 0 where the trimap is sure, and 0 in the padding. A block one of
        whose frames the solver failed on has the note ``solver_fallback``: there alpha is the
        mask with its band ramped linearly. A mask too thin to survive scaling gives alpha 0.
        """
        for first in range(0, len(clip.frame_indices), BLOCK):
            chunk = [*itertools.islice(frames, BLOCK)]
            for block in blocks(masklets, first, first + len(chunk)):
                yield self._block(block, chunk[block.start - first :], clip.size)

    def seams(self, masklet: Masklet) -> Seams:
        return Seams()

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Nothing to free."""

    def _block(self, block: Block, frames: Sequence[Frame], size: WorkingSize) -> Matte:
        real = slice(size.height), slice(size.width)  # without the padding
        alpha = np.zeros((len(block.rles), size.pad_height, size.pad_width), np.uint8)
        solved = True
        for row, rle, frame in zip(alpha, block.rles, frames, strict=False):
            mask = at_size(decode_rle(rle), size)[real]
            row[real], ok = self._frame(frame[real], mask)
            solved &= ok
        return Matte(block.masklet, block.start, alpha, size, None if solved else FALLBACK)

    def _frame(self, frame: Frame, mask: Mask) -> tuple[AlphaFrame, bool]:
        """Alpha (h, w) of one frame, and whether the solver succeeded."""
        alpha = np.zeros(mask.shape, np.uint8)
        area = int(np.count_nonzero(mask))
        if area == 0:
            return alpha, True
        half = float(np.clip(self._band * area**0.5, self._band_min, self._band_max))
        crop = crop_around(mask, int(np.ceil(max(half, THIN_BAND))) + 2)
        alpha[crop], solved = matte_crop(frame[crop], make_trimap(mask[crop], half))
        return alpha, solved


def matte_crop(image: Frame, trimap: Trimap) -> tuple[AlphaFrame, bool]:
    """Alpha (h, w) of an image (h, w, 3); False, and the ramp in the band, if solving failed."""
    alpha = trimap.foreground.astype(np.float64)
    unknown = trimap.unknown
    solved = True
    if unknown.any():
        band = trimap.prior[unknown]
        try:
            # Underflow is harmless; anything else must not pass as a matte.
            with np.errstate(divide="raise", over="raise", invalid="raise"):
                band = solve(image, trimap)
            if not np.isfinite(band).all():
                raise ArithmeticError("alpha is not finite")
        except ArithmeticError:
            band, solved = trimap.prior[unknown], False
        alpha[unknown] = np.clip(band, 0.0, 1.0)
    return np.rint(alpha * 255.0).astype(np.uint8), solved


def solve(image: Frame, trimap: Trimap) -> Floats:
    """Alpha of the unknown pixels, in row-major order, not clipped.

    Minimises x' L x + sum of weight (x - aim)^2 over the unknown pixels with the known ones fixed.

    Raises:
        ArithmeticError: no convergence, or what the caller has NumPy raise.
    """
    from pymatting import cf_laplacian, cg, jacobi  # compiles with numba: seconds, once
    from scipy.sparse import diags_array

    unknown, foreground = trimap.unknown.ravel(), trimap.foreground.ravel()
    matrix = cf_laplacian(image / 255.0, epsilon=EPSILON, is_known=~unknown)[unknown]
    known = np.asarray(matrix[:, foreground].sum(axis=1)).ravel()
    aim, weight = aims(trimap, evidence(image, trimap))
    system = matrix[:, unknown] + diags_array(weight)
    try:
        alpha: Floats = cg(
            system,
            weight * aim - known,
            x0=aim,
            rtol=TOLERANCE,
            maxiter=MAX_ITERATIONS,
            M=jacobi(system),
        )
    except ValueError as error:  # what pymatting raises where it does not converge
        raise ArithmeticError(str(error)) from error
    return alpha


def aims(trimap: Trimap, colours: Evidence | None) -> tuple[Floats, Floats]:
    """What each unknown pixel is drawn to and how strongly: the mask's edge and colours nearby."""
    aim, weight = trimap.prior[trimap.unknown], trimap.weight[trimap.unknown]
    if colours is None:
        return aim, weight
    share = COLOUR_WEIGHT * colours.trust**2
    return (weight * aim + share * colours.alpha) / (weight + share), weight + share


KIND = BackendKind(
    name="closed_form",
    about="Levin's closed-form matting on a trimap around the mask; CPU",
    config=ClosedFormConfig,
    revision=2,  # 1 had a ramp over the whole band for its prior, and no colours nearby
    open=lambda config, endpoint_url: ClosedFormBackend(
        threads=config.threads,
        band=config.band,
        band_min=config.band_min,
        band_max=config.band_max,
    ),
)
