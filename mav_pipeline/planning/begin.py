"""A build that may begin, and its beginning: ``run.json`` and ``plan.parquet``, written once."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from mav_pipeline.config import RunConfig
from mav_pipeline.dataset import layout
from mav_pipeline.dataset.built import BuiltSet, read_run
from mav_pipeline.dataset.columns import schema
from mav_pipeline.dataset.plan_file import to_table
from mav_pipeline.matting.registry import BACKENDS
from mav_pipeline.media.parquet import encode_table
from mav_pipeline.planning import fingerprint
from mav_pipeline.planning.code import code_version, versions
from mav_pipeline.schema import FORMAT, BackendFacts, Plan, ShardSpec, Stamp
from mav_pipeline.schema.errors import OutputError
from mav_pipeline.schema.passed_over import PassedOver
from mav_pipeline.sources.registry import SOURCES
from mav_pipeline.storage import Storage

_log = logging.getLogger(__name__)

_NAMED = 10  # changes spelt out in a refusal; the rest is counted


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: it would walk a plan's million objects again and again.

    That takes a third of the time of a plan of 50,541 clips; little of what is made is garbage.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Begun:
    """A build that has begun.

    Attributes:
        config: nothing that reaches a byte is ``auto`` in it.
    """

    config: RunConfig
    built: BuiltSet

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.built.format, str(self.built.run["fingerprint"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A build that may begin: nothing has been written yet.

    Attributes:
        config: with what the set in the output records in the place of ``auto``.
        held_run: the ``run.json`` that the output has; None for a new set.
        weights: sha256 by name, as this process found them.
        plan: what is built.
        held_plan: the plan file that the output has; None without one.
        renews: ``plan`` has the repaired inputs of failed clips and shall take its place.
        pending: the shards that are to be built.
        rebuilds: names of those of them that are published and shall be replaced.
        passed_over: what the source has and does not take, as the set records it.
    """

    config: RunConfig
    output: Storage
    held_run: Mapping[str, Any] | None
    weights: Mapping[str, str]
    plan: Plan
    held_plan: bytes | None
    renews: bool
    pending: Sequence[ShardSpec]
    rebuilds: Collection[str]
    passed_over: PassedOver

    @property
    def fingerprint(self) -> str | None:
        """Of the set; None where a worker must resolve ``auto`` first."""
        if self.held_run is not None:
            return str(self.held_run["fingerprint"])
        keys = fingerprint.keys_of(self.config, self.weights)
        return None if fingerprint.AUTO in keys.values() else fingerprint.digest(FORMAT, keys)

    @uncollected()
    def begin(self, facts: BackendFacts | None = None) -> Begun:
        """Writes ``run.json`` and ``plan.parquet`` where they are missing or renewed; once.

        ``run.json`` goes first: from then on the folder is known as a set's. Two builders that
        begin at once write the same plan.

        Args:
            facts: of a worker that has set up; None where no shard is pending.

        Raises:
            OutputError: a worker is not what the set needs, or another builder has begun a
                different build here meanwhile.
        """
        facts = facts or BackendFacts(weights=self.weights)
        if differing := fingerprint.changes(self.weights, facts.weights):
            what = "; ".join(f"weights.{change}" for change in differing)
            raise OutputError(f"a worker has other weights than this process: {what}")
        settings: dict[str, Any] = dict(facts.settings)
        config = replace(self.config, matting=replace(self.config.matting, **settings))
        run = self.held_run or self._new_run(config, facts)
        if self.held_run is not None:
            self._check_worker(self.held_run, config, facts)
        elif not self.output.create(layout.RUN, json.dumps(run, sort_keys=True, indent=1).encode()):
            held = read_run(self.output)
            if held is not None and held["fingerprint"] != run["fingerprint"]:
                refuse(self.output, fingerprint.changes(held["keys"], run["keys"]))
        return Begun(config, self._planned(run))

    def _check_worker(self, run: Mapping[str, Any], config: RunConfig, facts: BackendFacts) -> None:
        """Raises OutputError where a worker came to other settings than the set records."""
        held = fingerprint.held_keys(run)
        unresolved = [key for key, value in held.items() if value == fingerprint.AUTO]
        found = fingerprint.changes(
            held, fingerprint.keys_of(config, facts.weights), besides=unresolved
        )
        if changes := [change for change in found if not change.is_code]:
            refuse(self.output, changes)
        now = {**_versions(config), **facts.versions}
        moved = [change for change in fingerprint.changes(run["versions"], now) if change.both]
        for change in moved:
            if change.key != "mav_pipeline":
                _log.warning("version of %s; bytes may differ", change)

    def _new_run(self, config: RunConfig, facts: BackendFacts) -> dict[str, Any]:
        """The ``run.json`` of a new set."""
        keys = fingerprint.keys_of(config, facts.weights)
        return {
            "format": FORMAT,
            "fingerprint": fingerprint.digest(FORMAT, keys),
            "keys": keys,
            "columns": schema().names,
            "config": config.to_mapping(),
            "source": {
                "root": config.source.root,
                "clips": sum(1 for _ in self.plan.clips()),
                "bytes": sum(ref.size for clip in self.plan.clips() for ref in clip.files),
                "passed_over": self.passed_over.to_json(),
            },
            "weights": dict(facts.weights),
            "credits": _credits(config),
            "code_version": code_version(),
            "versions": {**_versions(config), **facts.versions},
        }

    def _planned(self, run: Mapping[str, Any]) -> BuiltSet:
        if self.held_plan is not None and not self.renews:
            return BuiltSet(self.output, run, self.plan)
        encoded = encode_table(to_table(self.plan))
        if self.held_plan is None:
            self.output.create(layout.PLAN, encoded)
        else:
            self.output.swap(layout.PLAN, self.held_plan, encoded)
        built = BuiltSet.open(self.output)
        if built.plan != self.plan:
            raise OutputError(
                f"another builder wrote {layout.PLAN} in output.root={self.output} meanwhile; "
                "run the same command again"
            )
        return built


def refuse(output: Storage, changes: Sequence[object], hint: str = "") -> NoReturn:
    """Raises OutputError: the output holds another build, and this is what differs."""
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    listed = "\n  ".join([*map(str, changes[:_NAMED]), *more])
    raise OutputError(
        f"output.root={output} holds another build; it differs in\n  {listed}\n"
        f"undo that, or name another output.root{hint}"
    )


def _credits(config: RunConfig) -> dict[str, Any]:
    """To whom the set is owed: what its card says, wherever that is made."""
    source, backend = SOURCES.get(config.source.name), BACKENDS.get(config.matting.name)
    return {
        "licence": source.licence,
        "sentence": source.credit,
        "weights_licence": backend.licence,
        "cites": [*source.cites, *backend.cites],
        "tags": list(source.tags),
    }


def _versions(config: RunConfig) -> dict[str, str]:
    return versions(BACKENDS.get(config.matting.name).packages)
