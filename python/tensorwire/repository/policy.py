"""Which of the versions that a source offers are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tensorwire.errors import ConfigError

from .source import MAX_VERSION, ModelVersion


class VersionPolicy(Protocol):
    """Chooses from the versions there are."""

    def wanted(self, offered: Sequence[ModelVersion]) -> list[ModelVersion]:
        """Those to serve, the most wanted first; `offered` in any order."""


@dataclass(frozen=True)
class Latest:
    """The versions with the highest numbers."""

    count: int = 1
    """How many, at least 1."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"the number of latest versions can't be {self.count}: at least 1")

    def wanted(self, offered: Sequence[ModelVersion]) -> list[ModelVersion]:
        """The `count` highest, highest first."""
        return _highest_first(offered)[: self.count]

    def __str__(self) -> str:
        return "the latest" if self.count == 1 else f"the latest {self.count}"


@dataclass(frozen=True)
class All:
    """Every version."""

    def wanted(self, offered: Sequence[ModelVersion]) -> list[ModelVersion]:
        """All, highest first."""
        return _highest_first(offered)

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True)
class Specific:
    """The versions with these numbers, as far as they are there."""

    numbers: frozenset[int]

    def wanted(self, offered: Sequence[ModelVersion]) -> list[ModelVersion]:
        """Those of them that are offered, highest first."""
        return [each for each in _highest_first(offered) if each.number in self.numbers]

    def missing(self, offered: Iterable[ModelVersion]) -> list[int]:
        """The numbers that are not offered, lowest first."""
        return sorted(self.numbers - {each.number for each in offered})

    def __str__(self) -> str:
        return ", ".join(map(str, sorted(self.numbers))) or "none"


def parse_policy(value: Any) -> VersionPolicy:
    """The policy that a setting means: "latest", a number of latest versions, "all", or a
    list of version numbers (as text "3,5", or "3," for a single one); or the policy itself.
    ValueError with the reason for another.
    """
    if hasattr(value, "wanted"):
        policy: VersionPolicy = value
        return policy
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("latest", "all"):
            return Latest() if word == "latest" else All()
        if word.isdecimal() and int(word) > 0:
            return Latest(int(word))
        parts = [part.strip() for part in word.split(",")]
        if len(parts) > 1 and all(not part or part.isdecimal() for part in parts):
            return Specific(frozenset(_version(int(part)) for part in parts if part))
    elif isinstance(value, int) and not isinstance(value, bool):
        if value > 0:
            return Latest(value)
    elif isinstance(value, Iterable):
        return Specific(frozenset(_version(number) for number in value))
    raise ValueError(
        'it is not "latest", "all", a number of latest versions or a list of versions'
    )


def _version(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_VERSION:
        raise ValueError(f"{number!r} is not a version, a whole number from 0 to {MAX_VERSION}")
    return number


def _highest_first(offered: Sequence[ModelVersion]) -> list[ModelVersion]:
    return sorted(offered, key=lambda version: version.number, reverse=True)
