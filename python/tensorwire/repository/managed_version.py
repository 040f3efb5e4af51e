"""What the reconciler knows of one version of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .source import FetchWatcher, ModelVersion, Source


class Doing(Enum):
    """What is under way with a version, in a thread of its own."""

    NOTHING = "nothing"
    LOADING = "loading"
    UNLOADING = "unloading"


@dataclass
class ManagedVersion:
    """One version: what is offered, what of it is served, and what is being done."""

    offer: ModelVersion
    """As it would be loaded now."""

    wanted: bool = True
    served: ModelVersion | None = None
    """As it was when it was loaded; None: it is not available."""

    source: Source | None = None
    """What that was fetched from, and is released to."""

    doing: Doing = Doing.NOTHING
    watcher: FetchWatcher = field(default_factory=FetchWatcher)
    """Of the load under way."""

    forced: bool = False
    """To be loaded again even if it is served as it is offered."""

    failures: int = 0
    """Loads that failed of what is offered."""

    error: str | None = None
    """Of the last of them."""

    may_pass: bool = False
    """The last of them is none of the version's own: its store can be back any time."""

    retry_at: float = 0.0
    """When it may be tried again."""

    seconds: float = 0.0
    """What the last load took."""

    @property
    def number(self) -> int:
        """Its number."""
        return self.offer.number

    @property
    def needs_load(self) -> bool:
        """What is offered is not what is served."""
        return self.forced or self.served is None or not same_content(self.served, self.offer)

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
        self.forced = True
        self.forget_failures()

    def forget_failures(self) -> None:
        """As if it had not been tried."""
        self.failures, self.error, self.retry_at = 0, None, 0.0


def same_content(one: ModelVersion, other: ModelVersion) -> bool:
    """Both are the same files, as far as stamps tell."""
    return (one.location, one.stamp) == (other.location, other.stamp)
