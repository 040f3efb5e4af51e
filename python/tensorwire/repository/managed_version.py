"""What the reconciler knows of one version of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .source import FetchWatcher, ModelVersion, Source

Release = tuple[Source, ModelVersion]
"""A source, and what was fetched from it and is no longer used."""


class Doing(Enum):
    """What is under way with a version, in a thread of its own."""

    NOTHING = "nothing"
    FETCHING = "fetching"
    LOADING = "loading"
    UNLOADING = "unloading"


@dataclass
class ManagedVersion:
    """One version: what is offered, what of it is served, and what is being done."""

    offer: ModelVersion
    """As it would be loaded now."""

    wanted: bool = True
    served: ModelVersion | None = None
    """As it was when it was loaded; None: nothing of it is there."""

    source: Source | None = None
    """Where `served` was fetched from, which is to be told when it is no longer used."""

    doing: Doing = Doing.NOTHING
    watcher: FetchWatcher = field(default_factory=FetchWatcher)
    """Of the load under way."""

    loads_asked: int = 0
    """How often it was asked for that it be loaded again, even if served as offered."""

    loads_answered: int = 0
    """What that was when the load of what is served began. A load that fails or is called
    off answers nothing."""

    failures: int = 0
    """Loads that failed of what is offered."""

    error: str | None = None
    """Of the last of them."""

    may_pass: bool = False
    """The last of them is none of the version's own: its store can be back any time."""

    failed_unseen: bool = False
    """When the last of them failed, its source could not be seen."""

    retry_at: float = 0.0
    """When it may be tried again."""

    seconds: float = 0.0
    """What the last load took."""

    @property
    def number(self) -> int:
        """Its number."""
        return self.offer.number

    @property
    def answers(self) -> bool:
        """Requests find it: it is available, and not on its way out."""
        return self.served is not None and self.doing is not Doing.UNLOADING

    @property
    def needs_load(self) -> bool:
        """What is offered is not what is served."""
        return (
            self.served is None
            or self.loads_answered != self.loads_asked
            or not same_content(self.served, self.offer)
        )

    def uses(self, source: Source, offer: ModelVersion) -> bool:
        """What is served of it was fetched as this, and would be lost if it were released."""
        return (
            self.served is not None and self.source is source and same_content(self.served, offer)
        )

    @property
    def in_use(self) -> Release | None:
        """What its source is to be told of when it is no longer served."""
        return None if self.served is None or self.source is None else (self.source, self.served)

    @property
    def is_answered(self) -> bool:
        """It is served as it is offered, or was tried and failed."""
        if self.failures > 0:
            return True
        return not self.needs_load and self.doing is Doing.NOTHING

    def take_offer(self, offer: ModelVersion) -> None:
        """It is offered as this; if that is new, earlier failures count no more."""
        if not same_content(self.offer, offer):
            self.forget_failures()
        self.offer = offer

    def force(self) -> None:
        """Has it loaded again."""
        self.loads_asked += 1
        self.forget_failures()

    def forget_failures(self) -> None:
        """As if it had not been tried."""
        self.failures, self.error, self.retry_at = 0, None, 0.0
        self.failed_unseen = False


def same_content(one: ModelVersion, other: ModelVersion) -> bool:
    """Both are the same files, as far as stamps tell."""
    return (one.location, one.stamp) == (other.location, other.stamp)
