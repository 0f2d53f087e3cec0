"""What a run keeps in ``train.root``, so that it can go on: who it is, where it stands, metrics.

training.json                        settings, data and model, by which a run is known again
state.json                           the last checkpoint, written after it; complete at the end
checkpoints/step-0000100.safetensors weights and AdamW's moments; one is kept
metrics.jsonl                        a line each ``log_steps`` steps, up to the last checkpoint
model/                               what ``from_pretrained`` reads, written at the end
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import Storage

RUN, STATE, METRICS = "training.json", "state.json", "metrics.jsonl"
CHECKPOINTS, MODEL = "checkpoints", "model"


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands: steps done, the checkpoint of them, whether the model is written."""

    step: int
    checkpoint: str
    complete: bool = False


class Record:
    """The files of one run."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def begin(self, about: Mapping[str, Any], keys: Mapping[str, Any]) -> State | None:
        """Begins a run, or goes on with it: where it stands, None at the beginning.

        Args:
            about: what ``training.json`` says beside ``keys``.
            keys: what makes two runs the same.

        Raises:
            OutputError: the place holds another run, or something else.
        """
        keys = json.loads(json.dumps(keys))
        try:
            held = json.loads(self.storage.read(RUN))
            found: Mapping[str, Any] = held["keys"]
        except FileNotFoundError:
            self._refuse_foreign()
            self.storage.put(RUN, _text({**about, "keys": keys}))
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise OutputError(f"{RUN} in {self.storage} is not that of a training") from error
        changed = [key for key in {**found, **keys} if found.get(key) != keys.get(key)]
        if changed:
            what = ", ".join(f"{k} was {found.get(k)!r}, is {keys.get(k)!r}" for k in changed)
            raise OutputError(
                f"train.root={self.storage} holds another run: {what}; give the values that began "
                "it, or another train.root (a longer schedule is a new run)"
            )
        try:
            return State(**json.loads(self.storage.read(STATE)))
        except FileNotFoundError:
            return None

    def save(self, state: State, data: bytes, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Registers a checkpoint: a kill before its last write leaves the one before."""
        self.storage.put(state.checkpoint, data)
        lines = "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in metrics)
        self.storage.put(METRICS, lines.encode())
        self.storage.put(STATE, _text(asdict(state)))
        for entry in list(self.storage.entries(CHECKPOINTS)):
            if entry.name != state.checkpoint:
                self.storage.delete(entry.name)

    def finish(self, state: State, files: Mapping[str, bytes]) -> None:
        """Writes the model's folder, and then that it is there."""
        for name, data in files.items():
            self.storage.put(f"{MODEL}/{name}", data)
        self.storage.put(STATE, _text(asdict(state)))

    def metrics(self, step: int) -> list[dict[str, Any]]:
        """The lines up to a step."""
        try:
            lines = [json.loads(line) for line in self.storage.read(METRICS).splitlines()]
        except FileNotFoundError:
            return []
        return [line for line in lines if line["step"] <= step]

    def _refuse_foreign(self) -> None:
        try:
            foreign = next((entry.name for entry in self.storage.entries()), None)
        except FileNotFoundError:
            return
        if foreign is not None:
            raise OutputError(
                f"train.root={self.storage} is not empty and has no {RUN}, so no training began it "
                f"(it holds {foreign}); name a new or an empty folder"
            )


def checkpoint_name(step: int) -> str:
    """Of the checkpoint after so many steps."""
    return f"{CHECKPOINTS}/step-{step:07d}.safetensors"


def _text(value: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(value, indent=1, sort_keys=True)}\n".encode()
