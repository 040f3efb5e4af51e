"""Sends recorded requests again, at their own pace, at a multiple of it or as fast as they
are answered, and compares what comes back."""

from __future__ import annotations

import queue
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tensorwire._core import Channel, NativeError, Request
from tensorwire.client.settings import ClientSettings
from tensorwire.errors import ConfigError, DataLossError, TensorWireError

from .compare import Difference, compare_messages, compare_tensors
from .logs import Recorded

MOST_KEPT = 1000
"""Differences, and errors, that are kept to be shown; all are counted."""


@dataclass(frozen=True)
class Plan:
    """How the requests are sent."""

    speed: float | None
    """Times their own pace; None: as fast as they are answered."""

    concurrency: int
    """Most requests under way."""

    timeout: float
    """Seconds for each call."""

    tolerance: float
    """How much floats of a reply may differ, absolute or relative."""

    model: str | None = None
    """The model to ask instead, its latest version; None: as recorded."""

    signature: str | None = None
    """The signature to ask for instead; None: as recorded."""


@dataclass(frozen=True)
class Mismatch:
    """A reply that is not as recorded."""

    place: str
    differences: list[Difference]


@dataclass
class Result:
    """What a replay came to."""

    sent: int = 0
    answered: int = 0
    compared: int = 0
    different: int = 0
    without_reply: int = 0
    """Answered, with nothing recorded to compare."""

    skipped: int = 0
    """Records that hold no request that can be sent again."""

    errors: Counter[str] = field(default_factory=Counter)
    """Failed calls by gRPC's name of the error."""

    mismatches: list[Mismatch] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Places and messages of failed calls."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Seconds, of the calls that were answered."""

    lateness: float = 0.0
    """Most seconds that a request was sent after it was due; 0 where there is no pace."""

    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Calls that failed."""
        return sum(self.errors.values())


class Replay:
    """One replay; `run` may be interrupted by KeyboardInterrupt, or end by an error of the
    records, after which `result` has what was done."""

    def __init__(self, settings: ClientSettings, plan: Plan) -> None:
        self._channel = Channel(settings.targets, settings.to_native())
        self._plan = plan
        self._lock = threading.Lock()
        # Bounded: a file is not read further ahead than it is sent.
        self._waiting: queue.Queue[tuple[Recorded, float] | None] = queue.Queue(plan.concurrency)
        self._is_over = False
        self.result = Result()

    def run(self, records: Iterable[Recorded], shown: Callable[[Result], None]) -> None:
        """Sends them all and waits for the answers; `shown` is called now and then.

        Raises what `records` does, once what came before it is answered.
        """
        workers = [
            threading.Thread(target=self._work, daemon=True) for _ in range(self._plan.concurrency)
        ]
        started = time.monotonic()
        for worker in workers:
            worker.start()
        try:
            broken = self._feed(records, started, shown)
            for _ in workers:
                self._waiting.put(None)
            for worker in workers:
                worker.join()
        finally:
            with self._lock:
                self._is_over = True
                self.result.seconds = time.monotonic() - started
            self._channel.close()
        if broken is not None:
            raise broken

    def _feed(
        self, records: Iterable[Recorded], started: float, shown: Callable[[Result], None]
    ) -> TensorWireError | None:
        """Hands them to the workers; why there are no more, if that is an error."""
        due_times = DueTimes(self._plan.speed, started)
        try:
            for record in records:
                if record.method is None:
                    self.result.skipped += 1
                    continue
                due = due_times.of(record)
                _sleep_until(due)
                self.result.sent += 1
                self._waiting.put((record, due))
                shown(self.result)
        except TensorWireError as error:
            return error
        return None

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            record, due = item
            try:
                self._send(record, due)
            except Exception as error:  # One record's fault is not the others'.
                self._failed(record, "INTERNAL", repr(error))

    def _send(self, record: Recorded, due: float) -> None:
        request = Request.encoded(str(record.method), self._message(record))
        began = time.monotonic()
        if self._plan.speed is not None:
            self._note_lateness(began - due)
        try:
            reply = self._channel.call(request, self._plan.timeout, [], False)
        except NativeError as error:
            self._failed(record, str(error.args[0]), str(error.args[1]))
            return
        ended = time.monotonic()
        try:
            differences = self._compare(record, reply)
        except DataLossError as error:
            # It was answered all the same.
            differences = [Difference("reply", str(error))]
        with self._lock:
            if self._is_over:
                return
            result = self.result
            result.answered += 1
            result.latencies.append(ended - began)
            if differences is None:
                result.without_reply += 1
                return
            result.compared += 1
            if differences:
                result.different += 1
                if len(result.mismatches) < MOST_KEPT:
                    result.mismatches.append(Mismatch(record.place, differences))

    def _note_lateness(self, seconds: float) -> None:
        with self._lock:
            if not self._is_over:
                self.result.lateness = max(self.result.lateness, seconds)

    def _failed(self, record: Recorded, code: str, message: str) -> None:
        with self._lock:
            # What an interruption cuts off is no failure.
            if self._is_over:
                return
            self.result.errors[code] += 1
            if len(self.result.failures) < MOST_KEPT:
                self.result.failures.append((record.place, f"{code}: {message}"))

    def _message(self, record: Recorded) -> bytes:
        request, plan = record.request, self._plan
        if record.method == "MultiInference":
            specs = [task.model_spec for task in request.tasks]
        else:
            specs = [request.model_spec]
        for spec in specs:
            if plan.model is not None:
                spec.name = plan.model
                # Another model has versions of its own.
                spec.ClearField("version")
                spec.ClearField("version_label")
            if plan.signature is not None:
                spec.signature_name = plan.signature
        message: bytes = request.SerializeToString()
        return message

    def _compare(self, record: Recorded, reply: Any) -> list[Difference] | None:
        recorded = record.response
        if recorded is None:
            return None
        if record.method == "Predict":
            message = recorded.SerializeToString()
            return compare_tensors(message, reply[1], self._plan.tolerance)
        answered = type(recorded).FromString(reply)
        return compare_messages(recorded, answered, self._plan.tolerance)


class DueTimes:
    """When each record is to be sent, by the monotonic clock."""

    def __init__(self, speed: float | None, started: float) -> None:
        self._speed = speed
        self._started = self._last = started
        self._first: float | None = None

    def of(self, record: Recorded) -> float:
        """Never before the one before it: records stand in the order in which they were
        answered, so that one that took long has a time that is past. ConfigError for one
        without a time."""
        if self._speed is None:
            return time.monotonic()
        if record.time is None:
            raise ConfigError(
                f"{record.place} has no time, so there is no pace: send it with --speed max"
            )
        if self._first is None:
            self._first = record.time
        due = self._started + (record.time - self._first) / self._speed
        self._last = max(self._last, due)
        return self._last


def _sleep_until(due: float) -> None:
    while (left := due - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
