"""How measured costs are shown: a table for each signature, with a chart on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.text import Text

from tensorwire.cost import CostPoint, SignatureCost

from .tables import empty_table

_BAR_WIDTH = 30
"""Columns of the longest bar."""

_NEVER = "-"
"""Shown for a mode that a size is never run in."""


def print_costs(out: Console, costs: Mapping[str, SignatureCost]) -> None:
    """What was measured of each signature and what follows from it; nothing for one of
    which nothing was to be measured."""
    for cost in costs.values():
        lines = _facts(cost)
        if not lines:
            continue
        out.print()
        out.print(Text(cost.signature, style="bold"))
        for line in lines:
            out.print(Text(line))
        if cost.points:
            out.print(_point_table(cost, with_bars=out.is_terminal))


def _facts(cost: SignatureCost) -> list[str]:
    facts = []
    if cost.decision is not None:
        facts.append(f"{cost.decision}; measured with {cost.row_bytes} bytes a row")
    if cost.unmeasured is not None:
        facts.append(f"not measured: {cost.unmeasured}")
    if cost.alone is not None:
        facts.append(f"runs alone: {cost.alone}")
    return facts


def _point_table(cost: SignatureCost, *, with_bars: bool) -> Any:
    """A row for each measured size; the mode that it is run in is marked by its style."""
    table = empty_table("rows", "caller \u00b5s", "pool \u00b5s", "runs in", "rows/s")
    for column in (0, 1, 2, 4):
        table.columns[column].justify = "right"
    if with_bars:
        table.add_column("", width=_BAR_WIDTH)
    most = max(point.rows_per_second for point in cost.points)
    for point in cost.points:
        cells: list[Any] = list(_cells(point))
        if with_bars:
            cells.append(Bar(most, 0, point.rows_per_second, width=_BAR_WIDTH, color="cyan"))
        table.add_row(*cells)
    return table


def _cells(point: CostPoint) -> tuple[Text, ...]:
    where = "pool" if point.pooled else "caller"
    return (
        Text(str(point.rows)),
        Text(_micros(point.caller), style="" if point.pooled else "bold"),
        Text(_micros(point.pool), style="bold" if point.pooled else ""),
        Text(where),
        Text(f"{point.rows_per_second:,.0f}"),
    )


def _micros(seconds: float | None) -> str:
    return _NEVER if seconds is None else f"{seconds * 1e6:,.1f}"


def costs_as_json(costs: Mapping[str, SignatureCost]) -> dict[str, Any]:
    """By signature; times in microseconds."""
    return {name: _cost_as_json(cost) for name, cost in costs.items()}


def _cost_as_json(cost: SignatureCost) -> dict[str, Any]:
    decision = cost.decision
    return {
        "alone": cost.alone,
        "unmeasured": cost.unmeasured,
        "row_bytes": cost.row_bytes,
        "points": [
            {
                "rows": point.rows,
                "caller_us": _rounded(point.caller),
                "pool_us": _rounded(point.pool),
                "mode": "pool" if point.pooled else "caller",
                "rows_per_second": round(point.rows_per_second, 1),
            }
            for point in cost.points
        ],
        "decision": None
        if decision is None
        else {
            "inline_rows": decision.inline_rows,
            "batch_rows": decision.batch_rows,
            "pool_rows": decision.pool_rows,
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e6, 3)
