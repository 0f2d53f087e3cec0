"""Ray kills workers of a node that is short of memory: no clip is blamed while others run there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset.built import BuiltSet
from mav_pipeline.dataset.verify import verify
from mav_pipeline.storage import LocalStorage

from .console import start
from .head import ENV
from .space import head_in_space
from .test_faults import poison


class Meminfo:
    """What stands in a head's /proc/meminfo."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path("/proc/meminfo").read_text()
        self.path.touch()
        found = re.search(r"(?m)^MemTotal: +(\d+) kB", self._real)
        assert found
        self.total = int(found[1])
        self.say(self.total)

    def say(self, free: int) -> None:
        """So many kB are free."""
        none = dict.fromkeys(("Cached", "Buffers"), 0)
        about = {"MemFree": free, "MemAvailable": free, **none}
        text = self._real
        for key, value in about.items():
            text = re.sub(rf"(?m)^{key}:.*$", f"{key}: {value:>12} kB", text)
        with self.path.open("r+b") as file:  # in place, as long as before: it is mounted
            file.write(text.encode())


def test_workers_killed_for_lack_of_memory_cost_nothing(corpus: Path, tmp_path: Path) -> None:
    memory = Meminfo(tmp_path / "meminfo")
    root = tmp_path / "out"
    limits = {"RAY_memory_monitor_refresh_ms": "100", "RAY_memory_usage_threshold": "0.95"}
    mount = f"mount --bind {memory.path} /proc/meminfo"
    words = (f"source.root={corpus / 'sav_train'}", f"output.root={root}", "matting=binary")
    words = (*words, "output.clips_per_shard=1", "source.limit=4", "report.enabled=false")
    harm = {
        **ENV,
        **poison("hang", "*", once=tmp_path / "hung"),
    }  # the first worker stays at its first clip
    with head_in_space([mount], **limits, **harm) as address:
        ray = ("runtime=ray", f"runtime.address={address}", "runtime.num_workers=2")
        driver = start("build", *words, *ray, "runtime.progress_s=0.1", env=harm)
        assert driver.stderr is not None
        seen = ""
        while "; 2 workers;" not in seen:
            assert driver.poll() is None, seen
            seen = driver.stderr.readline()
        memory.say(0)
        while "killed for lack of memory, with others beside it" not in seen:
            assert driver.poll() is None, seen
            seen = driver.stderr.readline()
        memory.say(memory.total)
        _, stderr = driver.communicate(timeout=120)
    assert driver.returncode == 0, stderr
    assert "gets at most 1 workers from now on" in seen + stderr
    receipts = [json.loads(path.read_text()) for path in root.glob("shards/mav-??????.json")]
    assert [receipt["attempts"] for receipt in receipts] == [1] * 4
    found = verify(LocalStorage(root), VerifyConfig(deep=False, clean=False))
    assert (found.ok, found.is_finished) == (True, True)
    assert BuiltSet.open(LocalStorage(root)).report().clips["failed"] == 0
