"""A Ray cluster that is not there: said, not waited for without end, and a signal is heard."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .console import fresh, start
from .head import ENV


@pytest.fixture
def dead() -> Iterator[str]:
    """An address at which connections are taken and nothing is ever said."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        yield f"127.0.0.1:{mute.getsockname()[1]}"


def test_a_dead_address_ends_with_2_in_time(
    dead: str, binary_args: tuple[str, ...], tmp_path: Path
) -> None:
    root = tmp_path / "out"
    words = (*binary_args, f"output.root={root}", "runtime=ray", f"runtime.address={dead}")
    done = fresh("build", *words, "runtime.start_timeout_s=1", env=ENV)
    assert done.code == 2, done.stderr
    assert f"joining the Ray cluster at runtime.address={dead}, for at most 1 s" in done.stderr
    assert "no Ray cluster answers (within runtime.start_timeout_s=1)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not root.exists() or not list(root.iterdir())


def test_a_signal_is_heard_while_a_cluster_is_joined(
    dead: str, binary_args: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*binary_args, f"output.root={tmp_path / 'out'}", "runtime=ray")
    driver = start("build", *words, env={**ENV, "RAY_ADDRESS": dead})
    assert driver.stderr is not None
    while f"joining the Ray cluster at RAY_ADDRESS={dead}" not in driver.stderr.readline():
        assert driver.poll() is None
    driver.send_signal(signal.SIGTERM)
    _, stderr = driver.communicate(timeout=60)
    assert driver.returncode == 130, stderr
    assert "stopped by a signal" in stderr
