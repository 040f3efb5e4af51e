"""When the system gives no more, and when it is time to stop."""

import dataclasses
import logging
import threading

import pytest

from harness.repository_doubles import (
    Bench,
    CannedExporter,
    Job,
    RecordedRetired,
    RecordingEngine,
    ScriptedSource,
    model,
    no_options,
)
from tensorwire._core import NativeError
from tensorwire.repository.reconciler import Reconciler


def test_a_fault_in_attending_is_not_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[BaseException] = [RuntimeError("can't start new thread"), SystemExit(1)]

    def start(name: str, version: int) -> None:
        if faults:
            raise faults.pop()

    monkeypatch.setattr(bench.engine, "start", start)
    change = bench.serve(model(ScriptedSource(1)))
    assert not change.complete
    bench.pass_time(1.0)
    bench.pass_time(1.0)
    assert change.complete and bench.served() == [1]
    assert caplog.text.count("a fault of TensorWire's") == 2


@pytest.mark.parametrize("kind", ["look", "fetch", "load", "unload"])
def test_threads_that_cannot_be_had_are_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = ScriptedSource(1)
    refusals = [RuntimeError("can't start new thread")]
    workers = getattr(bench, kind)

    def run(job: Job) -> None:
        if refusals:
            raise refusals.pop()
        workers.jobs.append(job)

    # The unloading thread is not asked for by its workers.
    if kind == "unload":
        crew = dataclasses.replace(bench.reconciler._crew, unload=run)
        bench.reconciler._attendant._crew = crew
    else:
        monkeypatch.setattr(workers, "run", run)
    bench.serve(model(source))
    bench.pass_time(5.0)
    source.offer(2)
    bench.poll()
    bench.pass_time(1.0)
    assert bench.served() == [2]
    assert not refusals


def test_what_cannot_be_freed_yet_is_freed_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tensorwire.repository.attendant.AGAIN_SECONDS", 0.0)
    refusals = [NativeError("RESOURCE_EXHAUSTED", "cannot start a thread", "")] * 2
    free = RecordedRetired.free

    def refuse(retired: RecordedRetired) -> None:
        if refusals:
            raise refusals.pop()
        free(retired)

    monkeypatch.setattr(RecordedRetired, "free", refuse)
    bench.serve(model(ScriptedSource(1)))
    change = bench.reconciler.remove("m")
    bench.settle()
    assert change.complete and bench.engine.freed == ["m"]


def test_a_removal_without_a_thread_is_gone_at_once_and_freed_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))

    def refuse(_job: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(bench.unload, "run", refuse)
        removed = bench.reconciler.remove("m")
        bench.settle()
        assert (bench.served(), bench.engine.declared) == ([], set())
        # It does not come back from there; the next one waits for it.
        added = bench.reconciler.put(model(source))
        bench.settle()
        assert not removed.complete and not added.complete
        assert bench.engine.declared == {"m"}
    bench.pass_time(1.0)
    assert removed.complete and added.complete
    assert bench.engine.freed.count("m") >= 1
    assert (bench.served(), source.released) == ([1], [1])


def test_stopping_wakes_who_waits_and_ends_fetches(bench: Bench) -> None:
    source = ScriptedSource(1)
    change = bench.reconciler.apply([model(source)])
    bench.settle(bench.load)
    assert bench.reconciler.stop(0.0) is True
    assert change.wait(5.0) is False
    assert bench.exporter.cancelled
    assert source.watchers[0].cancelled.is_set()
    assert bench.reconciler.reload("m").wait(5.0) is False


class HoldingEngine(RecordingEngine):
    """Loads nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def load(self, name: str, version: int, path: str, options: str) -> None:
        self.entered.release()
        assert self.release.wait(30)


def test_a_load_that_cannot_be_interrupted_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = HoldingEngine()
    reconciler = Reconciler(engine, CannedExporter(), no_options).start()
    change = reconciler.apply([model(ScriptedSource(1), f"m{index}") for index in range(4)])
    assert engine.entered.acquire(timeout=30)
    with caplog.at_level(logging.ERROR):
        assert reconciler.stop(0.0) is False
        assert change.wait(30) is False
    engine.release.set()
    assert reconciler.stop(30.0) is True
    assert caplog.text == ""
