"""A sample says what it holds, and reading it back notices whatever does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from mav_pipeline.dataset.sample import (
    StoredMasklet,
    alpha_frames,
    alpha_writer,
    encode_sample,
)
from mav_pipeline.schema import FORMAT, Clip, Sample, Verdict, read_content
from mav_pipeline.schema.document import Provenance
from tests.fakes import decode_sample, masks_of, memory_clip, moving_box

PROVENANCE = Provenance(fingerprint="f" * 64, backend="fake", seed=42)
SCORE_NAMES = {"outside_mass": 0.0, "flicker": None}


def clip() -> Clip:
    """Two masklets on 3 frames; the second is invisible on the middle one."""
    hidden = moving_box(3, top=20)
    hidden[1] = False
    return memory_clip({0: moving_box(3), 7: hidden})


def sample(
    source: Clip, kind: Literal["ffv1", "png"] = "ffv1", change: Callable[[Any], Any] = lambda a: a
) -> Sample:
    stored = []
    for masklet in source.masklets:
        writer = alpha_writer(kind, source, masklet)
        for index, rle in enumerate(masklet.rles):
            alpha = np.full((source.height, source.width), 100 + index if rle else 0, np.uint8)
            writer.write(change(alpha))
        stored.append(StoredMasklet(masklet, Verdict("accepted", (), SCORE_NAMES), writer.close()))
    return encode_sample(source, [("rgb.mp4", b"a video")], stored, PROVENANCE, FORMAT)


def whole(found: Sample) -> dict[str, bytes]:
    return {name: read_content(content) for name, content in found.members}


def document_of(found: Sample) -> dict[str, Any]:
    return dict(json.loads(dict(found.members)["json"]))


def with_document(found: Sample, change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The members with their json changed in place."""
    document = document_of(found)
    change(document)
    return {**dict(found.members), "json": json.dumps(document).encode()}


def test_the_json_is_the_contracts() -> None:
    document = document_of(sample(clip()))
    assert {key: value for key, value in document.items() if key != "masklets"} == {
        "key": "sav_000001",
        "video_id": "sav_000001",
        "width": 64,
        "height": 48,
        "fps": 24.0,
        "frame_indices": [0, 4, 8],
        "environment": "Indoor",
        "provenance": {"fingerprint": "f" * 64, "backend": "fake", "seed": 42},
        "format": FORMAT,
    }
    assert [masklet["name"] for masklet in document["masklets"]] == ["manual_000", "manual_007"]
    second = document["masklets"][1]
    assert (second["id"], second["kind"], second["status"]) == (7, "manual", "accepted")
    assert second["visible"] == [True, False, True]
    assert second["mask"][1] is None
    assert second["mask"][0]["size"] == [48, 64]
    assert second["scores"] == SCORE_NAMES


def test_json_keys_are_sorted_and_the_bytes_are_the_same_each_time() -> None:
    text = dict(sample(clip()).members)["json"].decode()
    document = json.loads(text)
    assert text == json.dumps(document, sort_keys=True, separators=(",", ":"))
    for kind in ("ffv1", "png"):
        first, second = (whole(sample(clip(), kind)) for _ in range(2))
        assert first == second


def test_members_come_json_first_then_rgb_then_alphas() -> None:
    names = [name for name, _ in sample(clip()).members]
    assert names == ["json", "rgb.mp4", "manual_000.alpha.mkv", "manual_007.alpha.mkv"]
    names = [name for name, _ in sample(clip(), "png").members]
    assert names[2:5] == [f"manual_000.alpha.{index:05d}.png" for index in (0, 4, 8)]


@pytest.mark.parametrize("kind", ["ffv1", "png"])
def test_a_sample_reads_back_as_it_was_written(kind: Literal["ffv1", "png"]) -> None:
    source = clip()
    document, masklets = decode_sample(dict(sample(source, kind).members))
    assert document.encode() == dict(sample(source, kind).members)["json"]
    assert [masklet.name for masklet in masklets] == ["manual_000", "manual_007"]
    assert masklets[0].alpha[:, 0, 0].tolist() == [100, 101, 102]
    assert masklets[1].alpha[:, 0, 0].tolist() == [100, 0, 102]
    assert [masklet.rles for masklet in masklets] == [masklet.rles for masklet in source.masklets]
    np.testing.assert_array_equal(masks_of(masklets[0]), moving_box(3))
    assert not masks_of(masklets[1])[1].any()


@pytest.mark.parametrize("kind", ["ffv1", "png"])
def test_a_part_of_the_alpha_is_read_alone(kind: Literal["ffv1", "png"]) -> None:
    members = dict(sample(clip(), kind).members)
    for start, stop in ((0, 3), (1, 2), (1, None), (2, 9), (3, 3)):
        frames = alpha_frames(members, "manual_000", (0, 4, 8), start, stop)
        assert [frame[0, 0] for frame in frames] == [100, 101, 102][start:stop]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["frame_indices"].append(12), r"masks of \[3\] frames, of 4"),
        (lambda d: d.update(height=50), r"the json 3 of \(50, 64\)"),
        (lambda d: d["masklets"][0].update(visible=[True, True, False]), "visible"),
        (lambda d: d["masklets"][0]["mask"].pop(), r"masks of \[2, 3\] frames, of 3"),
        (lambda d: d["masklets"].pop(), "manual_007.alpha.mkv.* belong to no masklet"),
        (lambda d: d["masklets"][0].update(name="manual_001"), "manual_001 is missing"),
        (lambda d: d.pop("frame_indices"), "the json is not that of a sample"),
        (lambda d: d.update(key="other"), "key 'other' is not video_id"),
        (lambda d: d.update(format=99), "of format 99, and this version .* reads up to"),
    ],
)
def test_what_does_not_agree_with_the_json_is_noticed(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        decode_sample(with_document(sample(clip()), change))


def test_alpha_on_an_invisible_frame_is_noticed() -> None:
    found = sample(clip(), change=lambda alpha: np.maximum(alpha, np.uint8(1)))
    with pytest.raises(ValueError, match="manual_007 is not 0 on invisible frame 1"):
        decode_sample(dict(found.members))


@pytest.mark.parametrize("kind", ["ffv1", "png"])
def test_a_missing_member_is_noticed(kind: Literal["ffv1", "png"]) -> None:
    members = dict(sample(clip(), kind).members)
    members.pop(next(name for name in members if name.startswith("manual_007")))
    with pytest.raises(ValueError, match="manual_007 is missing"):
        decode_sample(members)


def test_a_sample_without_json_is_no_sample() -> None:
    with pytest.raises(ValueError, match="the sample has no json"):
        decode_sample({})
    for data in (b"no json", b"[]"):
        with pytest.raises(ValueError, match="the json is not that of a sample"):
            decode_sample({"json": data})
