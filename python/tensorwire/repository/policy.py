"""Which of the versions that a source offers are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tensorwire.errors import ConfigError

from .source import ModelVersion


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
        ordered = sorted(offered, key=lambda version: version.number, reverse=True)
        return ordered[: self.count]
