"""What one load of `tensorwire bench` has come to: rates, doubts about them, and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .bench_plan import Load
from .tables import describe_milliseconds

PERCENTILES = ("p50", "p90", "p95", "p99", "p99_9")

_BUSY = 0.9
"""A sending thread that is on a processor for so much of the time can hardly do more."""

_LATE_MS = 1.0
_LATE_PART = 0.1
"""Requests sent so much too late, and this part of the latency, spoil a measurement."""

_KEPT_UP = 0.95
_ENOUGH_FOR_P99_9 = 1000
_REPORT_ONLY = ("stage", "recent", "sent", "phases_ms", "bytes_sent", "bytes_received")


@dataclass(frozen=True)
class Figures:
    """The figures of one load. `report` is as `LoadTest.report` says it."""

    load: Load
    report: dict[str, Any]
    rows: int

    @classmethod
    def from_report(cls, report: dict[str, Any], load: Load, rows: int) -> Figures:
        """From a report of a load that has ended; `rows` are those of each request."""
        return cls(load, report, rows)

    @property
    def answered(self) -> int:
        """Requests that were."""
        return int(self.report["answered"])

    @property
    def failed(self) -> int:
        """Requests that were answered with an error, or not at all."""
        return int(self.report["failed"])

    @property
    def unsent(self) -> int:
        """Requests that were due and not sent."""
        return int(self.report["unsent_outstanding"] + self.report["unsent_late"])

    @property
    def latency_ms(self) -> dict[str, float]:
        """`min`, `mean`, `p50` and so on, from when a request was due."""
        latency: dict[str, float] = self.report["latency_ms"]
        return latency

    @property
    def phases_ms(self) -> dict[str, dict[str, float]]:
        """The server's phases, each with `count`, `mean`, `p99` and so on."""
        return dict(self.report["phases_ms"])

    def per_second(self, name: str) -> float:
        """The report's count of this name, for each second of the measurement."""
        seconds = self.report["seconds"]
        return float(self.report[name] / seconds) if seconds > 0 else 0.0

    def warnings(self) -> list[str]:
        """What makes the figures doubtful, in sentences."""
        return [*self._about_the_server(), *self._about_the_tool()]

    def _about_the_server(self) -> list[str]:
        load, report = self.load, self.report
        found = []
        if report["unsent_outstanding"]:
            found.append(
                f"{report['unsent_outstanding']:,} requests were not sent, since "
                f"{load.max_outstanding:,} were under way (--max-outstanding): the server did "
                "not keep up, and the latencies are without them"
            )
        elif load.rate and self.answered and self.per_second("answered") < _KEPT_UP * load.rate:
            found.append(
                f"{self.per_second('answered'):,.0f} of {load.rate:,.9g} requests a second were "
                "answered: the others waited or failed"
            )
        expired = sum(
            error["count"] for error in report["errors"] if error["code"] == "DEADLINE_EXCEEDED"
        )
        if expired:
            found.append(
                f"{expired:,} requests had no answer within {load.timeout:g} s; the latencies "
                "are without them"
            )
        if report["outstanding"]:
            found.append(f"{report['outstanding']:,} requests were given up without an answer")
        return found

    def _about_the_tool(self) -> list[str]:
        report = self.report
        generator = report["generator"]
        late = generator["lateness_ms"]["p99"]
        found = []
        if report["unsent_late"]:
            found.append(
                f"{report['unsent_late']:,} requests were not sent, since tensorwire bench could "
                "not send so fast: try more --threads, or more machines"
            )
        if (generator["busy"] or 0) >= _BUSY:
            found.append(
                f"a sending thread was busy for {generator['busy']:.0%} of the time: tensorwire "
                "bench was the limit, not the server; try more --threads"
            )
        if late >= _LATE_MS and late >= _LATE_PART * self.latency_ms["p99"]:
            found.append(
                f"1% of the requests were sent {describe_milliseconds(late)} or more after they "
                "were due: tensorwire bench, or its busy machine, is part of the latencies"
            )
        if 0 < self.answered < _ENOUGH_FOR_P99_9:
            found.append(f"{self.answered:,} answers are too few for p99.9 to mean much")
        return found

    def as_json(self) -> dict[str, Any]:
        """All of it, with stable names."""
        load, report = self.load, self.report
        kept = {name: value for name, value in report.items() if name not in _REPORT_ONLY}
        given_up = kept.pop("outstanding")
        return {
            "concurrency": load.concurrency,
            "rate": load.rate,
            "connections": load.connections,
            "threads": load.threads,
            "given_up": given_up,
            **kept,
            "requests_per_s": self.per_second("answered"),
            "rows_per_s": self.per_second("answered") * self.rows,
            "bytes_sent_per_s": self.per_second("bytes_sent"),
            "bytes_received_per_s": self.per_second("bytes_received"),
            "server_timings_ms": self.phases_ms,
            "warnings": self.warnings(),
        }
