"""What a part of the benchmarks is: one measurement with its targets and its text.

A part is a module of `measure/` with the three functions below; `run.PARTS` lists them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract import Contract
from measure.cores import Cores
from measure.rounds import Plan
from model import Model
from target import Target


@dataclass(frozen=True)
class Bench:
    """What a part is given: the network of the headline, how to speak, where to run and
    for how long."""

    model: Model
    contract: Contract
    cores: Cores
    plan: Plan


@dataclass(frozen=True)
class Found:
    """What a part measured: `samples` (dataclasses, dicts, lists and numbers) go to
    results.json; `commands` by what they start."""

    samples: Any
    commands: dict[str, str] = field(default_factory=dict)


class Part(Protocol):
    """The functions of such a module."""

    TITLE: str

    def measure(self, bench: Bench) -> Found:
        """Runs it."""

    def targets(self, samples: Any | None) -> Sequence[Target]:
        """Its lines in the table of targets; `None`: it was not measured."""

    def describe(self, samples: Any) -> str:
        """Its section, as Markdown without the heading."""
