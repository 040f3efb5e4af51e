"""A figure to reach, and whether it was."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A figure to reach; `value` `None`: not measured in this run."""

    text: str
    limit: float
    at_least: bool
    value: float | None

    def verdict(self) -> str:
        """Whether it was met, and if not by how much it was missed."""
        if self.value is None:
            return "not measured"
        if (self.value >= self.limit) if self.at_least else (self.value <= self.limit):
            return "met"
        missed = abs(self.value - self.limit) / self.limit
        return f"missed by {missed:.0%} of the target"
