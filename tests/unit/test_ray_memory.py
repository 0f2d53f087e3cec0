"""Memory on a Ray cluster: what workers ask for, and a shard that gets a node to itself; no Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mav_pipeline.runtime.queue import Task
from mav_pipeline.runtime.ray import hired, slots
from mav_pipeline.runtime.ray.handle import WorkerHandle
from mav_pipeline.runtime.ray.pool import RayPool
from mav_pipeline.runtime.ray.slots import Slots
from mav_pipeline.schema import ShardSpec
from tests.fakes import config

CPU_ONLY = {"runtime.name": "ray", "runtime.gpus_per_worker": 0}


@pytest.mark.parametrize(
    ("asked", "peak", "memory"),
    [
        ("auto", 0, None),
        ("auto", 4 * 10**9, 5e9),
        ("auto", 9 * 10**9, 10e9),
        (8e9, 0, 8e9),
        (0, 4 * 10**9, None),
    ],
    ids=["nothing measured", "a quarter more", "as the largest node has", "given", "none"],
)
def test_what_a_worker_asks_for(
    asked: float | str, peak: int, memory: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"Resources": {"memory": 3e9}}, {"Resources": {"memory": 10e9}}, {"Resources": {}}]
    monkeypatch.setattr(slots.ray, "nodes", lambda: nodes)
    of = Slots(config({**CPU_ONLY, "runtime.memory_per_worker": asked}))
    of.peak = peak
    assert of.resources().get("memory") == memory


class FakeActor:
    """Remembers what it was called for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        def remote(task: Task, stamp: object) -> object:
            self.calls.append((name, task.spec.name))
            return object()

        return SimpleNamespace(remote=remote)


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayPool:
    """Two workers on node a, one on node b."""
    monkeypatch.setattr(hired.ray, "kill", lambda actor: None)
    made = RayPool(config({**CPU_ONLY, "output.root": str(tmp_path)}))
    for node in "aab":
        made._handles.append(WorkerHandle(FakeActor(), None, node=node))
    made._hired._next_fit = float("inf")
    return made


def calls(pool: RayPool) -> list[list[tuple[str, str]]]:
    return [handle.actor.calls for handle in pool._handles]


def test_a_shard_gets_a_node_to_itself_as_soon_as_its_others_are_done(pool: RayPool) -> None:
    busy = pool._handles[1]
    busy.tasks[under_way := object()] = Task(ShardSpec(0, ()))
    pool._handles[2].tasks[object()] = Task(ShardSpec(1, ()))
    pool.submit(Task(ShardSpec(2, ()), short=2))
    assert calls(pool) == [[], [], []], "a worker beside it has something to do"
    assert pool._hired.room.kept == "a"
    assert pool.has_room(9), "node b goes on meanwhile"
    pool.submit(Task(ShardSpec(3, ())))
    assert calls(pool)[2] == [("build", "mav-000003")], "nothing more goes to node a"
    del busy.tasks[under_way]
    pool.has_room(9)
    assert [handle.node for handle in pool._handles] == ["a", "b"], "the other one is let go"
    assert calls(pool)[0] == [("build", "mav-000002")]
    assert pool._hired.room.full(["a", "b"]) == ["a"]
    pool._handles[0].tasks.clear()
    pool.has_room(9)
    assert pool._hired.room.kept is None, "it is as any other again"


def test_a_shard_that_wants_process_and_node_gets_a_fresh_process_there(pool: RayPool) -> None:
    for handle in pool._handles:
        handle.is_fresh = handle is pool._handles[2]
    pool._hired.room.kept = "b"
    pool._handles[2].tasks[other := object()] = Task(ShardSpec(0, ()), short=2)
    pool.submit(Task(ShardSpec(1, ()), alone=True, short=2))
    assert not any(calls(pool))
    del pool._handles[2].tasks[other]
    pool.has_room(9)
    assert calls(pool)[2] == [("step", "mav-000001")]
