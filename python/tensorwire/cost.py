"""What a model's batches cost, as measured when it was loaded, and what follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core_types import CostTuple


@dataclass(frozen=True, slots=True)
class CostPoint:
    """The cost of one batch size.

    `caller` and `pool`: median seconds of a run in the calling thread and in TensorFlow's
    threads; None where it never runs there. `pooled`: it is run in TensorFlow's.
    """

    rows: int
    caller: float | None
    pool: float | None
    pooled: bool

    @property
    def seconds(self) -> float:
        """Of a run where it is run."""
        cost = self.pool if self.pooled else self.caller
        return 0.0 if cost is None else cost

    @property
    def rows_per_second(self) -> float:
        """Of runs one after the other."""
        return self.rows / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Decision:
    """How requests of a measured signature are run.

    `inline_rows`: most rows of a batch that an I/O thread runs itself; 0: none.
    `batch_rows`: most rows of a batch; 1: each request runs alone. `pool_rows`: the
    smallest measured batch that runs in TensorFlow's threads; None: none does.
    """

    inline_rows: int
    batch_rows: int
    pool_rows: int | None

    def __str__(self) -> str:
        rows = "1 row" if self.inline_rows == 1 else f"{self.inline_rows} rows"
        inline = f"inline up to {rows}" if self.inline_rows else "never inline"
        batches = f"batches of up to {self.batch_rows} rows"
        where = "in the calling thread"
        if self.pool_rows is not None:
            since = "" if self.pool_rows == 1 else f" from {self.pool_rows} rows on"
            where = f"in TensorFlow's threads{since}"
        return ", ".join([inline, batches if self.batch_rows > 1 else "no batches", where])


@dataclass(frozen=True, slots=True)
class SignatureCost:
    """What is known of a signature's cost.

    `alone`: why its requests never share a batch; None: they may. `unmeasured`: why it was
    not measured; None: it was, or nothing was to be. `row_bytes`: bytes of input for a row
    as measured. `points`: by ascending rows; empty where nothing was measured.
    """

    signature: str
    alone: str | None
    unmeasured: str | None
    row_bytes: int
    points: tuple[CostPoint, ...]
    decision: Decision | None

    @classmethod
    def from_tuple(cls, cost: CostTuple) -> SignatureCost:
        """From the native core's tuple."""
        signature, alone, unmeasured, row_bytes, points, decision = cost
        return cls(
            signature,
            alone,
            unmeasured,
            row_bytes,
            tuple(CostPoint(*point) for point in points),
            None if decision is None else Decision(*decision),
        )


def costs_by_signature(costs: Iterable[CostTuple]) -> dict[str, SignatureCost]:
    """The native core's tuples by the signatures' names, sorted."""
    return {cost[0]: SignatureCost.from_tuple(cost) for cost in sorted(costs, key=lambda c: c[0])}
