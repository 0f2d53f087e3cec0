"""A clip's frames from a folder of JPEGs and PNGs: one by one, each file read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from mav_pipeline.config import Rgb
from mav_pipeline.media.decode import MIN_SIDE
from mav_pipeline.media.images import decode_image, format_of_image, upright_jpeg, upright_size
from mav_pipeline.media.sizing import scale
from mav_pipeline.schema import FileRef, Frame, WorkingSize
from mav_pipeline.schema.errors import InputError
from mav_pipeline.sources.rgb import RgbImages
from mav_pipeline.storage import Storage, read_ref


def image_shape(storage: Storage, ref: FileRef, max_pixels: int) -> tuple[int, int]:
    """(H, W) of an image as it is shown.

    Raises:
        InputError: it is neither JPEG nor PNG, too small, or (skipped) too large.
        OSError: the storage failed.
    """
    try:
        return upright_size(read_ref(storage, ref), _check(max_pixels))
    except ValueError as error:
        raise _corrupt(ref) from error


def image_frames(
    storage: Storage,
    files: Mapping[int, FileRef],
    wanted: Collection[int],
    *,
    shape: tuple[int, int],
    size: WorkingSize,
    max_pixels: int,
    rgb: Rgb,
    images: RgbImages,
) -> Iterator[Frame]:
    """The wanted frames in time order, decoded as they are taken.

    Args:
        files: by frame number; with ``rgb="source"`` all of them are kept, else the wanted ones.
        shape: (H, W) that all wanted ones must have as shown.
        images: takes what a sample stores as RGB: the files themselves; with ``rgb="jpeg"`` what is
            no upright JPEG as one.

    Yields:
        (size.pad_height, size.pad_width, 3) RGB.

    Raises:
        InputError: an image is wrong, or of another size. All before it have been given.
        OSError: the storage failed.
    """
    chosen = frozenset(wanted)
    for number in sorted(files if rgb == "source" else chosen):
        data = read_ref(storage, files[number])
        if rgb == "source":
            images.add(number, data, format_of_image(data))
        if number not in chosen:
            continue
        try:
            frame = decode_image(data, _check(max_pixels))
            if frame.shape[:2] != shape:
                cause = f"frame {number} is {frame.shape[1]}x{frame.shape[0]}, the first "
                cause += f"{shape[1]}x{shape[0]}"
                raise InputError("size_changes", cause, role="frame", stage="decode")
            if rgb == "jpeg":
                images.add(number, upright_jpeg(data, frame))
        except ValueError as error:
            raise _corrupt(files[number]) from error
        yield scale(frame, size)


def _check(max_pixels: int) -> Callable[[int, int], None]:
    def check(height: int, width: int) -> None:
        if height * width > max_pixels:
            cause = f"{width}x{height} is above source.max_pixels={max_pixels}"
            raise InputError("max_pixels", cause, role="frame", stage="decode", status="skipped")
        if min(height, width) < MIN_SIDE:
            cause = f"{width}x{height}, a side must have {MIN_SIDE} pixels"
            raise InputError("too_small", cause, role="frame", stage="decode")

    return check


def _corrupt(ref: FileRef) -> InputError:
    return InputError("corrupt", f"{ref.label} cannot be decoded", role="frame", stage="decode")
