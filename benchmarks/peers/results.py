"""What one run of the peers measured, and the figures made of it."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from measure.rounds import Plan, Sample
from target import Target

OURS = "tensorwire"
SEED = "seed"
FLOOR = "floor"


@dataclass
class Entry:
    """One server; `versions` of its packages and `choices` of its settings for a peer.
    `failed`: why it was not measured, or not to the end."""

    title: str
    versions: dict[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    samples: list[Sample] = field(default_factory=list)
    failed: str | None = None

    def median(self, figure: Callable[[Sample], float]) -> float:
        """Of one figure over the rounds."""
        return statistics.median(figure(sample) for sample in self.samples)


@dataclass(frozen=True)
class Results:
    """All of a run; `entries` by key, `commands` by what they do."""

    provenance: dict[str, str]
    commands: dict[str, str]
    plan: Plan
    entries: dict[str, Entry]

    def as_json(self) -> dict[str, Any]:
        """Every sample, unrounded."""
        return asdict(self)

    def measured(self) -> dict[str, Entry]:
        """Those with all their rounds."""
        return {key: one for key, one in self.entries.items() if one.samples and not one.failed}

    def ratio(self, base: str) -> float | None:
        """This server's requests/s against another's: the median of the rounds' ratios,
        since two figures of one round share the machine's mood."""
        measured = self.measured()
        if OURS not in measured or base not in measured:
            return None
        pairs = zip(measured[OURS].samples, measured[base].samples, strict=True)
        return statistics.median(
            one.requests_per_second / other.requests_per_second for one, other in pairs
        )

    def fastest_peer(self) -> str | None:
        """The key of the peer with the most requests/s, the seed's server aside."""
        peers = {key: one for key, one in self.measured().items() if one.versions}
        if not peers:
            return None
        return max(peers, key=lambda key: peers[key].median(lambda one: one.requests_per_second))

    def targets(self) -> list[Target]:
        """What this server is to reach."""
        fastest = self.fastest_peer()
        name = "the fastest of the other peers"
        if fastest is not None:
            name += f" ({self.entries[fastest].title})"
        ratio = None if fastest is None else self.ratio(fastest)
        return [
            Target("requests/s, times the seed's server", 60, True, self.ratio(SEED)),
            Target(f"requests/s, times {name}", 25, True, ratio),
        ]
