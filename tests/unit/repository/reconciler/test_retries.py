"""Failures, and when what failed is tried again."""

from harness.repository_doubles import (
    Bench,
    ScriptedSource,
    errors,
    model,
)
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
