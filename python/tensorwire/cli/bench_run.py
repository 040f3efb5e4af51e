"""Runs one load of `tensorwire bench`, and shows how far it is while it does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tensorwire._core import LoadTest, NativeError
from tensorwire.client import Retry, Tls
from tensorwire.client.settings import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_MESSAGE_BYTES,
    ClientSettings,
    chosen_tls,
)
from tensorwire.errors import from_native

from .bench_call import BenchCall
from .bench_figures import Figures
from .bench_plan import Load
from .tables import describe_milliseconds

TIMINGS_METADATA = ("tensorwire-timings", "1")
"""Asks the server to say how long each of its phases took."""

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0
"""After Ctrl-C, for answers that are on their way."""

_STAGES = {"connecting": "connecting", "warming_up": "warming up", "finishing": "last answers"}


@dataclass(frozen=True)
class Aim:
    """The server that a load goes to."""

    target: str
    tls: Tls | None


def run_load(aim: Aim, call: BenchCall, load: Load) -> tuple[Figures, bool]:
    """Runs it to its end; the figures, and whether Ctrl-C was pressed."""
    try:
        test = _start(aim, call, load)
    except NativeError as error:
        raise from_native(error, model=call.model) from None
    with _Display(load) as display:
        interrupted = _until_end(test, display.show)
    return Figures.from_report(json.loads(test.report()), load, call.rows), interrupted


def _start(aim: Aim, call: BenchCall, load: Load) -> LoadTest:
    settings = ClientSettings(
        targets=(aim.target,),
        timeout=load.timeout,
        retry=Retry(retries=load.retries),
        keepalive=None,
        metadata=(),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        wait_for_ready=False,
        strings="bytes",
        max_message_bytes=MAX_MESSAGE_BYTES,
        tls=chosen_tls(aim.tls, (aim.target,)),
    )
    metadata = [TIMINGS_METADATA] if load.server_timings else []
    return LoadTest([aim.target], settings.to_native(), call.request, load.to_native(), metadata)


def _until_end(test: LoadTest, show: Callable[[dict[str, Any]], None]) -> bool:
    """Whether it was interrupted. The first Ctrl-C lets what is under way finish, for a
    moment; the second doesn't."""
    try:
        while not test.wait(_POLL_SECONDS):
            show(json.loads(test.report()))
        return False
    except KeyboardInterrupt:
        try:
            test.stop()
            ended = test.wait(_GRACE_SECONDS)
        except KeyboardInterrupt:
            ended = False
        if not ended:
            test.cancel()
            test.wait(_GRACE_SECONDS)
        return True


class _Display:
    """A line with a bar on a terminal, on standard error; nothing elsewhere."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task: TaskID = self._progress.add_task(
            load.name, total=self._total(), figures="connecting"
        )

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, report: dict[str, Any]) -> None:
        """Shows what the load has come to so far."""
        recent = report["recent"]
        parts = [f"{recent['answered'] / max(recent['seconds'], 1e-9):,.0f}/s"]
        stage = _STAGES.get(report["stage"])
        if stage is not None:
            parts = [stage, *(parts if report["stage"] == "finishing" else [])]
        elif recent["latency_ms"]["count"]:
            for name in ("p50", "p99"):
                parts.append(f"{name} {describe_milliseconds(recent['latency_ms'][name])}")
        unsent = report["unsent_outstanding"] + report["unsent_late"]
        counts = {"failed": report["failed"], "not sent": unsent}
        parts += [f"{count:,} {what}" for what, count in counts.items() if count]
        self._progress.update(
            self._task, completed=self._completed(report), figures=", ".join(parts), refresh=True
        )

    def _total(self) -> float:
        return self._load.requests or self._load.duration or 1

    def _completed(self, report: dict[str, Any]) -> float:
        done = report["answered"] + report["failed"] if self._load.requests else report["seconds"]
        return min(float(done), self._total())
