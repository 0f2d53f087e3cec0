"""What editors get, read by ffmpeg's own program and by Pillow and OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mav_pipeline.export import editors
from mav_pipeline.export.clip import File, StoredClip
from mav_pipeline.media.foreground import on_ground
from mav_pipeline.media.prores import ColourProRes, GrayProRes
from mav_pipeline.schema import read_content
from mav_pipeline.schema.errors import ConfigError
from mav_pipeline.storage import Spool
from tests.exports import SoftClip, built, exported, names, soft_clip, write_files
from tests.ffmpeg import decoded, needs_ffmpeg, stream_of

HEIGHT, WIDTH, FRAMES = 90, 121, 3
#: 8-bit alpha as ProRes has it, in 10 bits.
TEN_BITS = np.rint(np.arange(256) * 1023 / 255).astype(np.uint16)


@pytest.fixture(scope="module")
def soft() -> SoftClip:
    return soft_clip(HEIGHT, WIDTH, FRAMES)


# ProRes


@needs_ffmpeg
def test_prores_4444_is_tagged_and_has_straight_alpha(soft: SoftClip, tmp_path: Path) -> None:
    assert write_files(editors.rgba_prores(soft.clip), tmp_path) == [
        "rgba/soft/manual_000.mov",
        "about/soft.json",
    ]
    path = tmp_path / "rgba/soft/manual_000.mov"
    found = stream_of(path)
    assert {key: found[key] for key in ("codec_name", "profile", "codec_tag_string")} == {
        "codec_name": "prores",
        "profile": "4444",
        "codec_tag_string": "ap4h",
    }
    tags = ("color_space", "color_primaries", "color_transfer", "color_range")
    assert [found[key] for key in tags] == ["bt709", "bt709", "bt709", "tv"]
    assert (found["width"], found["height"], found["r_frame_rate"]) == (WIDTH, HEIGHT, "6/1")
    assert int(found["nb_read_frames"]) == FRAMES

    shape = (FRAMES, 4, HEIGHT, WIDTH)
    planes = decoded(path, "yuva444p10le", np.uint16).reshape(shape)
    assert (planes[:, 3] == TEN_BITS[soft.alphas]).all(), "alpha is lossless"
    colours = rgb(planes[:, :3])
    seen = soft.alphas >= 16
    error = np.abs(colours - soft.colours)[seen]
    assert error.mean() < 4, "the disc's own colours, not those that it was seen with"
    ground = np.full((HEIGHT, WIDTH, 3), (250, 0, 250), np.uint8)
    for picture, alpha in zip(colours.round().astype(np.uint8), soft.alphas, strict=True):
        shown = on_ground(picture, alpha, ground).astype(int)
        assert np.abs(shown - on_ground(soft.colours, alpha, ground)).mean() < 1
    assert not colours[-1].round().any(), "black where the object is not seen at all"


def rgb(planes: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) R'G'B' in [0, 255] of 10-bit limited Y'CbCr, by ITU-R BT.709's own formulas."""
    y = (planes[:, 0].astype(float) - 64) / 876
    cb, cr = ((planes[:, n].astype(float) - 512) / 896 for n in (1, 2))
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.clip(np.stack([red, green, blue], -1), 0, 1) * 255


@needs_ffmpeg
def test_ffmpeg_shows_the_colours_that_were_put_in(tmp_path: Path) -> None:
    """Its own conversion, which goes by the tags."""
    patches = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]])
    patches = np.vstack([patches, [[17, 99, 201], [230, 120, 40], [128, 128, 128]]])
    picture = np.repeat(np.repeat(patches[None], 32, 0), 16, 1).astype(np.uint8)
    spool = Spool()
    encoder = ColourProRes(32, 128, Fraction(24), spool.file)
    encoder.write(picture, np.full((32, 128), 255, np.uint8))
    encoder.close()
    path = tmp_path / "patches.mov"
    path.write_bytes(read_content(spool.blob()))
    shown = decoded(path, "rgba", np.uint8).reshape(32, 128, 4)
    assert np.abs(shown[..., :3].astype(int) - picture).max() <= 2
    assert (shown[..., 3] == 255).all()


@needs_ffmpeg
def test_gray_prores_is_within_a_255th(soft: SoftClip, tmp_path: Path) -> None:
    write_files(editors.alpha_prores(soft.clip), tmp_path)
    path = tmp_path / "alpha/soft/manual_000.mov"
    assert (stream_of(path)["profile"], stream_of(path)["color_range"]) == ("HQ", "tv")
    shown = decoded(path, "gray", np.uint8).reshape(FRAMES, HEIGHT, WIDTH)
    assert np.abs(shown.astype(int) - soft.alphas).max() <= 1


@pytest.mark.parametrize("shape", [(16, 16), (49, 65), (17, 3)])
def test_odd_sides_and_equal_bytes(shape: tuple[int, int]) -> None:
    alpha = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    picture = np.dstack([alpha] * 3)

    def written() -> list[bytes]:
        spools = Spool(), Spool()
        colour = ColourProRes(*shape, Fraction(30000, 1001), spools[0].file)
        gray = GrayProRes(*shape, Fraction(30000, 1001), spools[1].file)
        for _ in range(2):
            colour.write(picture, alpha)
            gray.write(alpha)
        colour.close()
        gray.close()
        return [read_content(spool.blob()) for spool in spools]

    assert written() == written()


# lossless


@needs_ffmpeg
def test_ffv1_alpha_is_exact_and_of_full_range(soft: SoftClip, tmp_path: Path) -> None:
    write_files(editors.alpha_ffv1(soft.clip), tmp_path)
    path = tmp_path / "alpha/soft/manual_000.mkv"
    assert (stream_of(path)["codec_name"], stream_of(path)["color_range"]) == ("ffv1", "pc")
    shown = decoded(path, "gray", np.uint8).reshape(FRAMES, HEIGHT, WIDTH)
    assert (shown == soft.alphas).all()


@needs_ffmpeg
@pytest.mark.parametrize(
    ("make", "pixels", "kind", "factor"),
    [
        (editors.alpha_png, "gray", np.uint8, 1),
        (editors.alpha_png16, "gray16le", np.uint16, 257),
        (editors.rgba_png, "rgba", np.uint8, 1),
        (editors.rgba_png16, "rgba64le", np.uint16, 257),
    ],
)
def test_png_sequences_hold_the_stored_values(
    make: Callable[[StoredClip], Iterator[File]],
    pixels: str,
    kind: type[np.generic],
    factor: int,
    soft: SoftClip,
    tmp_path: Path,
) -> None:
    *found, _ = write_files(make(soft.clip), tmp_path)
    assert [Path(name).name for name in found] == ["00000.png", "00004.png", "00008.png"]
    for name, alpha in zip(found, soft.alphas, strict=True):
        with Image.open(tmp_path / name) as by_pillow:
            assert by_pillow.size == (WIDTH, HEIGHT)
        values = decoded(tmp_path / name, pixels, kind).reshape(HEIGHT, WIDTH, -1)
        assert (values[..., -1] == alpha.astype(kind) * factor).all()
        if values.shape[-1] == 4:
            seen = alpha == 255
            assert (values[seen][:, :3] == soft.colours[seen].astype(kind) * factor).all()
            assert (values % factor == 0).all()
        again = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED).reshape(values.shape)
        order = [2, 1, 0, 3][: values.shape[-1]] if values.shape[-1] == 4 else [0]
        assert (again[..., order] == values).all()


# the key


@pytest.mark.parametrize(
    ("format_", "encoding", "ending"),
    [
        ("rgba", None, ".mov"),
        ("rgba", "png", "/00000.png"),
        ("alpha", None, ".mkv"),
        ("alpha", "prores", ".mov"),
        ("alpha", "png16", "/00000.png"),
    ],
)
def test_the_encoding_is_chosen_by_a_key(
    format_: str, encoding: str | None, ending: str, small_set: Path, tmp_path: Path
) -> None:
    result = exported(small_set, tmp_path / "x", format=format_, encoding=encoding, limit=1)
    assert not result.problems
    assert f"{format_}/sav_000001/manual_002{ending}" in names(tmp_path / "x")


@pytest.mark.parametrize(
    ("format_", "encoding", "message"),
    [
        ("rgba", "ffv1", r"export\.format=rgba has no export\.encoding=ffv1; it has prores, png"),
        ("alpha", "tiff", r"it has ffv1, prores, png, png16"),
        ("sav_val", "png", r"has one encoding alone, not export\.encoding=png; leave it out"),
    ],
)
def test_what_a_layout_has_not_is_refused(
    format_: str, encoding: str, message: str, small_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        exported(small_set, tmp_path / "export", format=format_, encoding=encoding)
    assert not (tmp_path / "export").exists()


def test_alpha_needs_no_pictures(small_source: Path, tmp_path: Path) -> None:
    root = built(small_source, tmp_path / "out", **{"output.rgb": "none"})
    assert exported(root, tmp_path / "alpha", format="alpha").masklets == 6
    with pytest.raises(ConfigError, match="needs pictures"):
        exported(root, tmp_path / "rgba", format="rgba")
