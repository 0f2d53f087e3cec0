"""Clips that do harm to the process that reads them; Python imports this where PYTHONPATH says so.

    MAV_POISON=kill:sav_000003    SIGKILL to whichever process reads that clip
    MAV_POISON=hang:sav_000003    that process never comes back
    MAV_POISON=slow:*             every clip takes two seconds
    MAV_POISON=alone:sav_000003   that process waits there until another one reads a clip

With MAV_POISON_ONCE=<a path> only the first process that gets there is struck; ``alone`` keeps a
list of processes in that folder.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

_LONG_S = 3600.0


def _wait_for_company(folder: Path, stays: bool) -> None:
    (folder / str(os.getpid())).touch()
    while stays and len(list(folder.iterdir())) < 2:
        time.sleep(0.1)


def _strike(harm: str) -> None:
    if once := os.environ.get("MAV_POISON_ONCE"):
        try:
            os.close(os.open(once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    if harm == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(_LONG_S if harm == "hang" else 2.0)


def _poison(harm: str, victim: str) -> None:
    from mav_pipeline.sources.sav_train import SavTrain

    real = SavTrain.load

    def load(self: Any, ref: Any, rule: Any) -> Any:
        struck = victim in ("*", ref.video_id)
        if harm == "alone":
            _wait_for_company(Path(os.environ["MAV_POISON_ONCE"]), struck)
        elif struck:
            _strike(harm)
        return real(self, ref, rule)

    SavTrain.load = load  # type: ignore[method-assign]


# Ray starts half a dozen processes that read no clip, and need not wait for these imports.
_READS = any(word.endswith(("mav_pipeline", "default_worker.py")) for word in sys.orig_argv)
if _READS and "MAV_POISON" in os.environ:
    _poison(*os.environ["MAV_POISON"].split(":"))
