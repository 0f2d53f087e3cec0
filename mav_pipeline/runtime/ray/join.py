"""Joining a Ray cluster within ``runtime.start_timeout_s``, interruptible; or starting one here."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from mav_pipeline.config import RuntimeConfig
from mav_pipeline.schema.errors import SetupError

_log = logging.getLogger(__name__)

_LOOK_S = 0.2  # how late a signal or an answer may be noticed


def join(runtime: RuntimeConfig, check: Callable[[], None]) -> bool:
    """Joins what ``runtime.address`` or RAY_ADDRESS names, or starts a cluster of this machine.

    Args:
        check: called again and again; raises where this shall end.

    Returns:
        False where this process has joined one before.

    Raises:
        SetupError: there is none that answers in time.
    """
    if ray.is_initialized():
        return False
    if (address := address_of(runtime)) is None:
        # Without an address, Ray joins whatever cluster was started on this machine last.
        _init(address="local", include_dashboard=False)
        return True
    key, limit = _key(runtime), runtime.start_timeout_s
    _log.info("joining the Ray cluster at %s=%s, for at most %g s", key, address, limit)
    failed: list[Exception] = []

    def begin() -> None:
        try:
            _init(address=address)
        except (RayError, ConnectionError, ValueError, RuntimeError) as error:
            failed.append(error)

    # In a thread, for it does not return for minutes where nobody answers, whatever signal comes.
    joining = threading.Thread(target=begin, name="mav-join", daemon=True)
    joining.start()
    deadline = time.monotonic() + limit
    while joining.is_alive() and time.monotonic() < deadline:
        joining.join(_LOOK_S)
        check()
    if joining.is_alive() or failed:
        cause = str(failed[0]) if failed else f"within runtime.start_timeout_s={limit:g}"
        raise SetupError(
            f"{key}={address}: no Ray cluster answers ({cause}); start one, or leave both "
            "runtime.address and RAY_ADDRESS unset to start one here"
        ) from (failed[0] if failed else None)
    return True


def address_of(runtime: RuntimeConfig) -> str | None:
    """Of the cluster to join; None where one is started here."""
    return runtime.address or os.environ.get("RAY_ADDRESS") or None


def result_of(ref: Any, timeout_s: float, check: Callable[[], None]) -> Any:
    """What a call to an actor gives; as ``ray.get``, but ``check`` is called meanwhile.

    Raises:
        GetTimeoutError: it takes longer.
        RayError: it failed.
    """
    deadline = time.monotonic() + timeout_s
    while not ray.wait([ref], timeout=_LOOK_S)[0]:
        check()
        if time.monotonic() >= deadline:
            raise GetTimeoutError(f"nothing within {timeout_s:g} s")
    return ray.get(ref)


def _key(runtime: RuntimeConfig) -> str:
    return "runtime.address" if runtime.address else "RAY_ADDRESS"


def _init(**place: Any) -> None:
    ray.init(**place, log_to_driver=False, logging_level=logging.ERROR)
