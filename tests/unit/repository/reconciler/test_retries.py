"""Failures, and when what failed is tried again."""

import pytest

from harness.repository_doubles import (
    Bench,
    ScriptedSource,
    errors,
    model,
)
from tensorwire.config import Batching
from tensorwire.errors import ModelLoadError
from tensorwire.repository.change import describe_failures


def test_retries_wait_longer_each_time_and_end() -> None:
    bench = Bench(max_load_retries=3, load_retry_interval=5.0, poll_interval=0.0)
    source = ScriptedSource(1)
    bench.engine.refuse = {"/m/1"}
    bench.serve(model(source))
    tries = []
    for second in range(200):
        before = len(source.watchers)
        bench.pass_time(1.0)
        if len(source.watchers) > before:
            tries.append(second + 1)
    assert tries == [5, 15, 35]


def test_a_failed_version_is_tried_again_when_its_files_change() -> None:
    bench = Bench(max_load_retries=0)
    source = ScriptedSource(1)
    bench.engine.refuse = {"/m/1"}
    bench.serve(model(source))
    bench.engine.refuse = set()
    bench.pass_time(1000.0)
    assert bench.served() == []
    source.offer(1, stamp="repaired")
    bench.poll()
    assert bench.served() == [1]


def test_a_failed_version_is_tried_again_when_its_source_is_back() -> None:
    bench = Bench(max_load_retries=1)
    source = ScriptedSource(1)
    source.unfetchable[1] = ModelLoadError("the bucket can't be reached")
    bench.serve(model(source))
    source.offers = ModelLoadError("the bucket can't be reached")
    bench.pass_time(100.0)
    bench.pass_time(100.0)
    source.unfetchable.clear()
    assert bench.served() == []
    source.offer(1)
    bench.poll()
    assert bench.served() == [1]


def test_a_source_that_flickers_has_no_broken_version_tried_for_ever() -> None:
    bench = Bench(max_load_retries=1)
    source = ScriptedSource(1)
    bench.engine.refuse = {"/m/1"}
    bench.serve(model(source))
    bench.pass_time(100.0)
    for _ in range(10):
        source.offers = ModelLoadError("the bucket can't be reached")
        bench.poll()
        source.offer(1)
        bench.poll()
    assert len(source.watchers) == 2


def test_a_lasting_change_waits_for_the_last_retry() -> None:
    bench = Bench(max_load_retries=1, load_retry_interval=60.0)
    bad = ScriptedSource(7)
    bench.engine.refuse = {"/m/7"}
    late = ScriptedSource()
    late.offers = ModelLoadError("/late does not exist")
    change = bench.serve(model(bad, "bad"), model(late, "late"), lasting=True, waits=True)
    assert not change.complete
    bench.pass_time(60.0)
    assert list(change.outcomes) == ["bad"]
    late.offer(1)
    bench.poll()
    assert change.complete
    assert describe_failures("servable", change.failures) == (
        "1 servable(s) did not become available: "
        "{{name: bad version: 7} due to error: /m/7 is corrupt}, }"
    )


def test_a_lasting_change_need_not_wait_for_what_is_not_there() -> None:
    bench = Bench()
    gone, empty = ScriptedSource(), ScriptedSource()
    gone.offers = ModelLoadError("/gone does not exist")
    change = bench.serve(model(gone, "gone"), model(empty, "empty"), lasting=True)
    assert change.complete
    missing, nothing = errors(change)
    assert missing == "/gone does not exist" and nothing.endswith("has no versions")


def test_other_options_that_failed_once_are_tried_again(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.refuse = {"/m/1"}
    bench.engine.taken()
    change = bench.serve(model(source, batching=Batching.off()))
    assert change.failures
    assert bench.served() == [1]
    bench.engine.refuse = set()
    bench.pass_time(10.0)
    assert bench.engine.taken() == ["load m 1"]
    # And that was all.
    bench.pass_time(1000.0)
    assert bench.engine.taken() == []


def test_a_reload_that_fails_is_tried_as_often_as_any_load() -> None:
    bench = Bench(max_load_retries=2, load_retry_interval=5.0)
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.refuse = {"/m/1"}
    bench.reconciler.reload("m")
    for _ in range(1000):
        bench.pass_time(1.0)
    assert len(source.watchers) == 1 + 3
    assert bench.served() == [1]


def test_a_reload_is_not_forgotten_where_no_thread_is_to_be_had(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()

    def refuse(_job: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(bench.fetch, "run", refuse)
        change = bench.reconciler.reload("m")
        bench.settle()
    bench.pass_time(1.0)
    assert bench.engine.taken() == ["load m 1"]
    assert change.complete and not change.failures


def test_options_that_change_while_their_version_is_loaded_are_loaded_after(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    bench.reconciler.reload("m")
    bench.settle(bench.load)
    bench.reconciler.put(model(source, batching=Batching.off()))
    bench.settle(bench.load)
    bench.settle()
    assert bench.engine.taken() == ["load m 1", "load m 1"]


def test_a_reload_that_was_called_off_is_made_when_its_version_is_wanted_again(
    bench: Bench,
) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source, versions=[1, 2]))
    bench.engine.taken()
    bench.reconciler.reload("m")
    bench.settle(bench.load)
    # What of it has not begun never does.
    bench.reconciler.put(model(source, versions=[2]))
    bench.reconciler.step()
    bench.reconciler.put(model(source, versions=[1, 2]))
    bench.settle()
    assert bench.engine.taken().count("load m 1") == 1
    assert bench.served() == [1, 2]
