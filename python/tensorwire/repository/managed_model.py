"""What the reconciler knows of one model: what it is told, what was seen of its source, and
its versions. Changed by the reconciler's thread alone; starts nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from .labels import LabelMoves, move_labels
from .loading import Retired
from .look_schedule import LookSchedule
from .managed_version import Doing, ManagedVersion, same_content
from .model_config import ModelConfig
from .policy import Specific
from .source import ONLY_VERSION, ModelVersion, Source

_log = logging.getLogger("tensorwire.repository")


@dataclass(frozen=True)
class Outcome:
    """What became of one version."""

    model: ModelConfig
    version: int
    seconds: float
    """What loading took, an export included."""

    error: str | None = None
    """Why it is not served; None: it is."""


class Leaving(Enum):
    """How far a removed model is. Once that has begun, it does not come back."""

    NOT_BEGUN = "not begun"
    UNDER_WAY = "under way"
    HELD_UP = "held up"
    """By a load that can't be interrupted."""
    DONE = "done"


class ManagedModel:
    """One model."""

    def __init__(self, config: ModelConfig, source: Source, interval: float) -> None:
        self.config = config
        self.source = source
        self.sources_left: list[Source] = []
        """Those that are looked at no more, and have not been told of it."""

        self.source_was_seen = False
        """A look at it found what there is to choose from, if only that it is nothing."""

        self.removed = False
        """It is no longer wanted."""

        self.leaving = Leaving.NOT_BEGUN
        self.successor: Callable[[], None] | None = None
        """Takes the name once this model is gone. Health waits for it already."""

        self.retired: list[Retired] = []
        """What the engine has dropped of it, and nobody frees yet."""

        self.versions: dict[int, ManagedVersion] = {}
        self.labels = LabelMoves()
        self.look_error: str | None = None
        self.failed_look_is_shown = False
        """The engine has an entry for a version that stands for the failed look."""

        self._interval = interval
        self.looks = LookSchedule(interval)
        self._take_all_at: int | None = self.looks.ask()
        """The look that takes what is complete without waiting for it to be quiet. Not one
        that was under way: what it saw may be from before it was asked for."""

        self._seen: dict[int, ModelVersion] = {}
        self._offered: list[ModelVersion] = []
        """What may be chosen from, as the last look left it."""

        self._missing: list[int] = []
        self._unload_after = 0
        """The look until which nothing is unloaded: what is wanted may turn out otherwise."""

        self._load_again_at: int | None = None
        """The look after which everything is loaded again."""

    def exchange_config(self, config: ModelConfig, source: Source | None = None) -> None:
        """It is told this from now on; `source`: if its versions come from elsewhere then."""
        before, self.config = self.config, config
        if source is not None and not self.removed:
            self.leave_source()
        self.removed = False
        if source is not None:
            self._exchange_source(source)
        self._unload_after = self._take_all_at = self.looks.ask()
        if (before.batching, before.options) != (config.batching, config.options):
            if source is None:
                self._force_all()
            else:
                self._load_again_at = self._unload_after
        self.choose()

    def withdraw(self) -> None:
        """It is wanted no more."""
        if not self.removed:
            self.leave_source()
        self.removed = True
        self.successor = None
        self.choose()

    def leave_source(self) -> None:
        """What its source has is looked at no more."""
        self.sources_left.append(self.source)

    def load_again(self) -> int:
        """Wants what is offered loaded again, after a look; its number."""
        self._load_again_at = self._take_all_at = self.looks.ask()
        return self._load_again_at

    def end_look(self, now: float, least: float, *, settled: bool) -> None:
        """A look has ended; see `LookSchedule.end`."""
        self.looks.end(now, least, settled=settled)
        if self._load_again_at is not None and self.looks.ended >= self._load_again_at:
            self._load_again_at = None
            self._force_all()

    def _force_all(self) -> None:
        for version in self.versions.values():
            version.force()

    def _exchange_source(self, source: Source) -> None:
        # A look under way counts no more.
        begun = self.looks.begun
        self.source = source
        # It may be one that comes back.
        self.sources_left = [each for each in self.sources_left if each is not source]
        self.source_was_seen = False
        self.looks = LookSchedule(self._interval)
        self.looks.begun = self.looks.ended = begun
        self._seen = {}
        # What the source before offered can't be had from this one.
        every = self.versions.values()
        self._offered = [each.served for each in every if each.served is not None]

    def see(self, versions: Sequence[ModelVersion], *, reload_changed: bool) -> bool:
        """Takes what a look saw. False: something was changing, and is to be looked at
        again soon."""
        settled = True
        takes_all = self._take_all_at is not None and self.looks.begun >= self._take_all_at
        offered = []
        for version in versions:
            known = self.versions.get(version.number)
            served = None if known is None else known.served
            before = self._seen.get(version.number)
            same = before is not None and same_content(before, version)
            if not version.incomplete and (same or takes_all):
                keep = not reload_changed and served is not None
                kept = served if keep and served and _same_place(served, version) else None
                offered.append(kept or version)
            else:
                settled = settled and same
                if served is not None:
                    # It is being exchanged; what was loaded of it answers meanwhile.
                    offered.append(served)
        self._seen = {version.number: version for version in versions}
        if takes_all:
            self._take_all_at = None
        if offered or not versions:
            self._offered, self.source_was_seen = offered, True
            self.choose()
        return settled

    def choose(self) -> None:
        """Says of each version whether it is wanted, by the policy."""
        policy = self.config.policy
        wanted = {} if self.removed else {e.number: e for e in policy.wanted(self._offered)}
        for version in self.versions.values():
            version.wanted = version.number in wanted
            if not version.wanted:
                version.watcher.cancelled.set()
        for number, offer in wanted.items():
            if number in self.versions:
                self.versions[number].take_offer(offer)
            else:
                self.versions[number] = ManagedVersion(offer)
        self._tell_missing()

    def _tell_missing(self) -> None:
        policy = self.config.policy
        missing = policy.missing(self._offered) if isinstance(policy, Specific) else []
        if missing and missing != self._missing:
            numbers = ", ".join(map(str, missing))
            _log.warning("model %s: %s has no version %s", self.name, self.location, numbers)
        self._missing = missing

    def move_labels(self) -> bool:
        """Lets labels point where they can. True: some of them moved."""
        before = self.labels.labels
        served = [each.number for each in self.versions.values() if each.answers]
        targets = {} if self.removed else self.config.labels
        self.labels = move_labels(targets, before, served, self.wanted_numbers)
        return self.labels.labels != before

    def forget_gone(self) -> list[int]:
        """Drops versions that are neither wanted nor there; their numbers."""
        gone = [
            number
            for number, each in self.versions.items()
            if not each.wanted and each.served is None and each.doing is Doing.NOTHING
        ]
        for number in gone:
            del self.versions[number]
        return gone

    def forget_failures_unseen(self) -> None:
        """Has versions tried again that failed while the source could not be seen: that may
        have had the same cause."""
        for version in self.versions.values():
            if version.failed_unseen:
                version.forget_failures()

    def next_time(self, now: float) -> float | None:
        """When there is something to do for it; None: when something changes."""
        times = [
            each.retry_at
            for each in self.versions.values()
            if each.wanted and each.doing is Doing.NOTHING and each.retry_at > now
        ]
        if self.looks.next is not None and not self.removed:
            times.append(self.looks.next)
        return min(times, default=None)

    @property
    def name(self) -> str:
        """Its name."""
        return self.config.name

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return self.config.location

    @property
    def wanted_numbers(self) -> list[int]:
        """The versions wanted, highest first."""
        return sorted(
            (each.number for each in self.versions.values() if each.wanted), reverse=True
        )

    @property
    def may_unload(self) -> bool:
        """What is wanted was chosen with an eye on the source."""
        return self.looks.ended >= self._unload_after

    @property
    def is_in_engine(self) -> bool:
        """The engine is at work with one of its versions. A fetch is none of its business."""
        at_work = (Doing.LOADING, Doing.UNLOADING)
        return any(each.doing in at_work for each in self.versions.values())

    @property
    def is_served(self) -> bool:
        """One of its versions answers."""
        return any(each.answers for each in self.versions.values())

    def is_decided(self, look: int, lasting: int | None, *, waits: bool) -> bool:
        """Whether what came of a change is known: its look is made, and each version wanted
        is served or was tried. `lasting`, if retries count: there is a version that is
        served, or each that is wanted has failed more than so many times, and with `waits`
        there is one."""
        if self.looks.ended < look:
            return False
        wanted = [each for each in self.versions.values() if each.wanted]
        if lasting is None:
            return all(each.is_answered for each in wanted)
        if not wanted:
            return not waits
        ready = any(each.answers for each in wanted)
        return ready or all(each.failures > lasting for each in wanted)

    def outcomes(self) -> list[Outcome]:
        """What came of each version wanted, highest first; of a model that has none, or whose
        source was exchanged for one that can't be seen, one with the reason."""
        if not self.wanted_numbers or not self.source_was_seen:
            reason = self.look_error or f"{self.location} has no version {self.config.policy}"
            return [Outcome(self.config, ONLY_VERSION, 0.0, reason)]
        versions = [self.versions[number] for number in self.wanted_numbers]
        return [
            Outcome(self.config, each.number, each.seconds, each.error)
            for each in versions
            if each.served is not None or each.error is not None
        ]


def _same_place(one: ModelVersion, other: ModelVersion) -> bool:
    return one.location == other.location
