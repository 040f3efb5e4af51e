"""What a server is told of one model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorwire.config.batching import Batching
from tensorwire.errors import ConfigError

from .local_source import local_path
from .policy import Latest, Specific, VersionPolicy, parse_policy
from .source import MAX_VERSION, Source, open_source
from .stores.location import shown

if TYPE_CHECKING:
    from .stores.cache import StoreCache

AVAILABILITY = "availability"
RESOURCE = "resource"
TRANSITIONS = (AVAILABILITY, RESOURCE)
"""How one version follows another: the new one is loaded before the old one is unloaded, so
that there is always one (and for a while the memory of both is used), or after it."""


class UnwantedLabelError(ConfigError):
    """A label on a version that is not to be served."""

    code = "FAILED_PRECONDITION"

    def __init__(self, label: str, version: int, model: str) -> None:
        super().__init__(
            f"Request to assign label to version {version} of model {model}, which is not "
            "currently available for inference",
            model=model,
        )
        self.label = label


@dataclass(frozen=True)
class ModelConfig:
    """A model to serve: its name, where it is, and which of its versions are wanted.

    Raises ConfigError for what can't be.
    """

    name: str
    """What clients call it."""

    path: str | os.PathLike[str] = ""
    """Where it is: a local path (kept absolute) or a URL; looked at when it is loaded, not
    before. Empty where `source` is given."""

    source: Source | None = None
    """Where its versions come from, if not from `path`."""

    versions: Any = None
    """Which are wanted: "latest", a number of latest versions, "all", or a list of version
    numbers; None: as the server's setting says."""

    labels: Mapping[str, int] = field(default_factory=dict)
    """Versions by names that requests may ask for, such as {"stable": 3}. They may still have
    to be loaded, but must be wanted."""

    transition: str | None = None
    """"availability" or "resource", see `TRANSITIONS`; None: as the server's setting says."""

    batching: Batching | None = None
    """How its requests become batches; None: as the server's settings say."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Tables that the core takes as they are: warmup and logging."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.source is None:
            path = local_path(os.fspath(self.path))
            object.__setattr__(self, "path", os.fspath(self.path if path is None else path))
        elif not isinstance(self.source, Source):
            raise ConfigError(f"the source of model {self.name!r} has not a Source's methods")
        try:
            policy = None if self.versions is None else parse_policy(self.versions)
            object.__setattr__(self, "versions", policy)
        except ValueError as error:
            raise ConfigError(
                f"versions of model {self.name!r} can't be {self.versions!r}: {error}"
            ) from None
        if self.transition not in (None, *TRANSITIONS):
            raise ConfigError(
                f"transition of model {self.name!r} can't be {self.transition!r}: it is none of "
                + ", ".join(TRANSITIONS)
            )
        self._check_labels()

    def _check_labels(self) -> None:
        object.__setattr__(self, "labels", dict(self.labels))
        for label, version in self.labels.items():
            whole = isinstance(version, int) and not isinstance(version, bool)
            if not isinstance(label, str) or not label or not whole:
                raise ConfigError(
                    f"a label of model {self.name!r} must be a name with a version's number; "
                    f"got {label!r}: {version!r}"
                )
            policy = self.versions
            beyond = not 0 <= version <= MAX_VERSION
            if beyond or (isinstance(policy, Specific) and version not in policy.numbers):
                raise UnwantedLabelError(label, version, self.name)

    @property
    def policy(self) -> VersionPolicy:
        """`versions`, as what chooses them."""
        return Latest() if self.versions is None else self.versions

    @property
    def base_path(self) -> str:
        """Where it is, as it was given."""
        return repr(self.source) if self.source is not None else os.fspath(self.path)

    @property
    def location(self) -> str:
        """Where it is, for people: a URL without what is secret in it."""
        return shown(self.base_path)

    @property
    def is_afar(self) -> bool:
        """Its versions are in a store, at a URL."""
        return self.source is None and not os.path.isabs(self.path)  # noqa: PTH117

    def open(self, cache: StoreCache | None = None) -> Source:
        """Its source; ConfigError if its URL means none. `cache`: where what a URL holds
        is kept; None: the default one."""
        return self.source if self.source is not None else open_source(self.base_path, cache)


def check_name(name: str) -> str:
    """The name, if clients can ask for it; else a ConfigError."""
    if not isinstance(name, str):
        raise ConfigError(f"a model's name must be text; got {name!r}")
    if not name.strip():
        raise ConfigError("a model's name can't be empty: give it one with --model NAME=PATH")
    bad = [character for character in name if character in "/\\" or not character.isprintable()]
    if bad:
        raise ConfigError(f"the model name {name!r} can't contain {bad[0]!r}")
    return name
