"""What one run measured, and the figures made of it."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from measure import rounds, startup
from parts import PARTS
from target import Target

Samples = list[rounds.Sample]


@dataclass(frozen=True)
class Results:
    """All of a run. `samples` and `titles` by the exchange's key, `commands` by what
    they start, `parts` the samples of a part by its name; what is missing or empty was
    not asked for."""

    provenance: dict[str, str]
    commands: dict[str, str]
    plan: rounds.Plan
    titles: dict[str, str]
    samples: dict[str, Samples]
    starts: list[startup.Sample]
    parts: dict[str, Any] = field(default_factory=dict)

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

    def delay(self, key: str, base: str) -> float | None:
        """Microseconds by which one request alone takes longer than another's, in the
        same way."""
        if not self.samples.get(key) or not self.samples.get(base):
            return None
        pairs = zip(self.samples[key], self.samples[base], strict=True)
        return statistics.median(
            one.latency_median_micros - other.latency_median_micros for one, other in pairs
        )

    def start_ratio(self) -> float | None:
        """Seconds to the first prediction against TensorFlow in Python, in the same way."""
        if not self.starts:
            return None
        return statistics.median(one.tensorwire / one.tensorflow for one in self.starts)


def targets(results: Results) -> list[Target]:
    """What this server is to reach."""
    cost = None
    if results.samples.get("tensorwire"):
        cost = results.median("tensorwire", lambda sample: sample.cpu_micros)
    of_floor = results.ratio("tensorwire", "floor")
    faster = results.ratio("tensorwire", "seed")
    delay = results.delay("tensorwire", "floor")
    of_parts = [part.targets(results.parts.get(name)) for name, part in PARTS.items()]
    return [
        Target("requests/s, of the floor's", 0.6, True, of_floor),
        Target("requests/s, times the seed's server", 60, True, faster),
        Target("alone: median µs, above the floor's", 60, False, delay),
        Target("server CPU µs/request", 60, False, cost),
        Target(
            "process start to first prediction, of what TensorFlow in Python takes",
            0.5,
            False,
            results.start_ratio(),
        ),
        *(target for targets in of_parts for target in targets),
    ]
