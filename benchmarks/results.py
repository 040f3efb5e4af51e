"""What one run measured, and the figures made of it."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from measure import rounds, startup

Samples = list[rounds.Sample]


@dataclass(frozen=True)
class Results:
    """All of a run. `samples` and `titles` by the exchange's key, `commands` by what
    they start; nothing in `samples` or `starts`: it was not asked for."""

    provenance: dict[str, str]
    commands: dict[str, str]
    plan: rounds.Plan
    titles: dict[str, str]
    samples: dict[str, Samples]
    starts: list[startup.Sample]

    def as_json(self) -> dict[str, Any]:
        """Every sample, unrounded."""
        return asdict(self)

    def median(self, key: str, figure: Callable[[rounds.Sample], float]) -> float:
        """Of one figure over the rounds."""
        return statistics.median(figure(sample) for sample in self.samples[key])

    def ratio(self, key: str, base: str) -> float | None:
        """Requests/s of one against another: the median of the rounds' ratios, since
        two figures of one round share the machine's mood. `None`: not both there."""
        if not self.samples.get(key) or not self.samples.get(base):
            return None
        pairs = zip(self.samples[key], self.samples[base], strict=True)
        return statistics.median(
            one.requests_per_second / other.requests_per_second for one, other in pairs
        )

    def start_ratio(self) -> float | None:
        """Seconds to the first prediction against TensorFlow in Python, in the same way."""
        if not self.starts:
            return None
        return statistics.median(one.tensorwire / one.tensorflow for one in self.starts)


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


def targets(results: Results) -> list[Target]:
    """What this server is to reach."""
    cost = None
    if results.samples.get("tensorwire"):
        cost = results.median("tensorwire", lambda sample: sample.cpu_micros)
    faster = results.ratio("tensorwire", "seed")
    return [
        Target("requests/s, times the seed's server", 20, True, faster),
        Target("server CPU µs/request", 60, False, cost),
        Target(
            "process start to first prediction, of what TensorFlow in Python takes",
            0.5,
            False,
            results.start_ratio(),
        ),
    ]
