"""A Ray head as people start one: the dashboard that takes jobs, the port that Prometheus asks."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

# A driver's ray.init() would else write a token under the home folder and ask every head for it.
ENV = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_prestart_worker_first_driver": "0",  # two more, that nobody asks for anything
    # A build without an address would join a cluster that left its address in the common folder,
    # such as that of tests which run beside these.
    "RAY_TMPDIR": tempfile.mkdtemp(prefix="mavray"),  # for sockets: a short path
}
atexit.register(shutil.rmtree, ENV["RAY_TMPDIR"], ignore_errors=True)
RAY = str(Path(sys.executable).parent / "ray")


@dataclass(frozen=True, slots=True)
class Head:
    """Where it listens: for drivers, for jobs, for Prometheus."""

    address: str
    dashboard: str
    metrics: str
    folder: Path

    @property
    def args(self) -> tuple[str, ...]:
        """Overrides of a build there, by one worker."""
        return ("runtime=ray", f"runtime.address={self.address}", "runtime.num_workers=1")

    def workers(self) -> list[psutil.Process]:
        """The actors that run there."""
        found = [
            child
            for process in _family(self.folder)
            for child in psutil.Process(process).children(recursive=True)
        ]
        return [process for process in found if process.name().startswith("ray::Actor")]


def for_workers(env: dict[str, str]) -> dict[str, str]:
    """The environment of a driver whose workers, on whatever head, have variables more."""
    job = {"runtime_env": {"env_vars": env}}
    return {**ENV, "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(job)}


@contextlib.contextmanager
def running_head() -> Iterator[Head]:
    """A head with two CPUs, for the time of a ``with``."""
    port, dashboard, metrics, agent, client = _free_ports(5)
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"mavray{os.getpid()}_"  # sockets: short path
    command = [
        *(RAY, "start", "--head", "--node-ip-address=127.0.0.1", f"--port={port}"),
        *(f"--dashboard-port={dashboard}", f"--metrics-export-port={metrics}"),
        f"--ray-client-server-port={client}",
        # Without a port of its own the agent that starts jobs may meet that of a head before it.
        f"--dashboard-agent-listen-port={agent}",
        *(f"--temp-dir={folder}", "--num-cpus=2", "--disable-usage-stats"),
        '--system-config={"metrics_report_interval_ms": 500}',
    ]
    env = {**os.environ, **ENV}
    try:
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
        yield Head(
            f"127.0.0.1:{port}",
            f"http://127.0.0.1:{dashboard}",
            f"http://127.0.0.1:{metrics}/metrics",
            folder,
        )
    finally:
        _stop(folder)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:  # all at once, so that they differ
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _family(folder: Path) -> list[int]:
    """The processes of this head alone: those whose command line names its temp folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words and process.pid != os.getpid():
            found.append(process.pid)
    return found


def _stop(folder: Path) -> None:
    for pid in _family(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
