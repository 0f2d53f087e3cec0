"""An output that fails is waited for, longer and longer; one that refuses is asked once more."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mav_pipeline.schema.errors import Interrupted, OutageError, RefusedError
from mav_pipeline.storage import LocalStorage, Output, Storage
from mav_pipeline.storage.outage import ROOM, Outage, is_refusal
from tests.fakes import FakeStop

DOWN = OSError(errno.EIO, "Input/output error")
DENIED = PermissionError(errno.EACCES, "Permission denied")


def test_waits_double_up_to_a_minute_and_end_with_patience() -> None:
    outage, now, waits = Outage(3600, lambda: 1.0), 100.0, list[float]()
    while (wait_s := outage.failed(DOWN, now)) is not None:
        waits.append(wait_s)
        now += wait_s
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert now - 100 == 3600, "the last try is at the end of patience"
    assert len(waits) < 70


@pytest.mark.parametrize(("jitter", "first"), [(0.0, 0.5), (1.0, 1.0)])
def test_waits_are_spread(jitter: float, first: float) -> None:
    assert Outage(3600, lambda: jitter).failed(DOWN, 0.0) == first


def test_a_refusal_is_tried_once_more_and_then_believed() -> None:
    outage = Outage(3600)
    assert [outage.failed(DENIED, now) for now in (0.0, 1.0)] == [0.0, None]


def test_a_refusal_in_an_outage_is_one_more_failure() -> None:
    outage = Outage(3600, lambda: 1.0)
    assert outage.failed(DENIED, 0.0) == 0.0
    assert outage.failed(DOWN, 0.0) == 1.0
    assert outage.failed(DENIED, 0.0) == 0.0
    assert outage.failed(DENIED, 0.0) is None


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (DOWN, False),
        (OSError(errno.ENOSPC, "full"), False),
        (OSError(errno.ESTALE, "stale handle"), False),
        (DENIED, True),
        (OSError(errno.EROFS, "Read-only file system"), True),
        (RefusedError(errno.EIO, "NoSuchBucket"), True),
    ],
    ids=str,
)
def test_what_refuses(error: OSError, refuses: bool) -> None:
    assert is_refusal(error) is refuses


class Script:
    """A request that raises what a list says, then gives the storage that it was made of."""

    def __init__(self, *errors: OSError) -> None:
        self.errors, self.asked = [*errors], list[Storage]()

    def __call__(self, storage: Storage) -> Storage:
        self.asked.append(storage)
        if self.errors:
            raise self.errors.pop(0)
        return storage


@pytest.fixture
def stop() -> FakeStop:
    return FakeStop()


@pytest.fixture
def output(tmp_path: Path, stop: FakeStop) -> Output:
    return Output(lambda: LocalStorage(tmp_path), 100, stop, clock=stop.now)


def test_a_request_is_made_again_until_it_is_answered(output: Output, stop: FakeStop) -> None:
    request, told = Script(DOWN, DOWN, DOWN), list[int]()
    output.call(request, on_failure=lambda: told.append(output.waiting))
    assert (len(request.asked), len(stop.waits)) == (4, 3)
    assert len({id(storage) for storage in request.asked}) == 1, "nothing speaks for others"
    assert told == [1], "once, while it waits"
    assert output.waiting == 0


def test_patience_ends(output: Output, stop: FakeStop) -> None:
    with pytest.raises(OutageError, match=r"has failed for 100 s: .*Input/output error"):
        output.call(Script(*[DOWN] * 99))
    assert stop.now() == pytest.approx(100)
    assert output.waiting == 0


def test_credentials_are_read_anew_before_a_refusal_is_believed(output: Output) -> None:
    request = Script(DENIED)
    output.call(request)
    assert request.asked[0] is not request.asked[1], "opened anew"
    assert request.asked[1] is output.storage
    with pytest.raises(OutageError, match=r"refuses: .*Permission denied"):
        output.call(request := Script(*[DENIED] * 9))
    assert len(request.asked) == 2


def test_what_is_no_error_of_the_place_is_raised_at_once(output: Output) -> None:
    def bug(storage: Storage) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        output.call(bug)


def test_a_stop_ends_the_waiting(output: Output, stop: FakeStop) -> None:
    stop.set()
    with pytest.raises(Interrupted):
        output.call(Script(DOWN))


@pytest.mark.parametrize(
    ("finished", "room", "held"),
    [(True, 2 * ROOM, True), (False, 2 * ROOM, False), (False, ROOM - 1, True)],
    ids=["a finished shard waits", "there is room", "there is no room"],
)
def test_matting_is_held_up_while_it_would_be_in_vain(
    tmp_path: Path, finished: bool, room: int, held: bool
) -> None:
    stop = FakeStop()
    output = Output(lambda: LocalStorage(tmp_path), 100, stop, room=lambda: room)
    output.hold()
    assert stop.waits == [], "there is no outage"

    def look() -> None:
        stop.set()  # else it would wait for ever
        if held:
            with pytest.raises(Interrupted):
                output.hold()
        else:
            output.hold()
        stop.clear()

    output.call(Script(DOWN), finished=finished, on_failure=look)
