"""What a folder of SAM 2 weights says beside transformers' configuration: how it is to be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

#: Beside ``config.json`` in the folder of a model that was trained here.
FILE = "matte.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the logits of a model are read.

    Attributes:
        first_frame: ``alpha`` decodes the first frame as all others, ``mask`` gives its prompt.
        object_gate: whether a frame on which the model thinks its object absent is empty; a hard
            choice, through which no gradient passes.
    """

    first_frame: Literal["alpha", "mask"]
    object_gate: bool

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those of a model's folder; SAM 2's own where it says none.

        Raises:
            ValueError: its file is not what ``write`` wrote.
        """
        path = folder / FILE
        if not path.is_file():
            return cls(first_frame="mask", object_gate=True)
        try:
            found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            rules = cls(first_frame=found["first_frame"], object_gate=found["object_gate"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{FILE} is not what a training wrote: {error!r}") from error
        if rules.first_frame not in ("alpha", "mask") or not isinstance(rules.object_gate, bool):
            raise ValueError(f"{FILE} is not what a training wrote: {found}")
        return rules

    def write(self, folder: Path) -> None:
        """Puts them into a model's folder."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


#: As ``mav train`` makes models: every frame is decoded, and alpha alone says what is absent.
TRAINED = Rules(first_frame="alpha", object_gate=False)
