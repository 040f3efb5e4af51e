"""What the reconciler does, step by step: no thread, no sleep, a clock that is moved."""

import logging
import threading
from pathlib import Path

import pytest

from tensorwire.errors import ConfigError, ModelLoadError, NotFoundError
from tensorwire.repository.change import Change, describe_failures
from tensorwire.repository.look_schedule import LookingCost
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.reconciler import Reconciler
from tensorwire.repository.source import ModelVersion, NoVersionsError

from .doubles import Bench, CannedExporter, RecordingEngine, ScriptedSource, model, no_options


@pytest.fixture
def bench() -> Bench:
    return Bench()


def errors(change: Change) -> list[str | None]:
    return [each.error for every in change.outcomes.values() for each in every]


# The first load.


def test_the_highest_version_is_loaded(bench: Bench) -> None:
    change = bench.serve(model(ScriptedSource(1, 12)))
    assert change.complete
    assert bench.engine.taken() == ["declare m", "load m 12"]
    assert [(each.version, each.error) for each in change.outcomes["m"]] == [(12, None)]


@pytest.mark.parametrize(
    ("versions", "served"), [(2, [2, 3]), ("all", [1, 2, 3]), ([1, 3, 9], [1, 3])]
)
def test_a_policy_may_want_several(
    bench: Bench, versions: object, served: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    bench.serve(model(ScriptedSource(1, 2, 3), versions=versions))
    assert bench.served() == served
    assert ("has no version 9" in caplog.text) == (versions == [1, 3, 9])


def test_failures_are_recorded_and_the_others_load(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    gone, corrupt = ScriptedSource(), ScriptedSource(4)
    gone.offers = ModelLoadError("/gone does not exist")
    bench.engine.refuse = {"/m/4"}
    good = model(ScriptedSource(1), "good")
    change = bench.serve(model(gone, "gone"), model(corrupt, "corrupt"), good)
    assert {name: [each.error for each in every] for name, every in change.outcomes.items()} == {
        "gone": ["/gone does not exist"],
        "corrupt": ["/m/4 is corrupt"],
        "good": [None],
    }
    # The engine has set the state of what it refused itself.
    assert [call for call in bench.engine.calls if call.startswith("fail")] == [
        "fail gone 1 NOT_FOUND"
    ]
    assert "model corrupt version 4 can't be served: /m/4 is corrupt; tried again" in caplog.text


def test_a_slow_model_holds_up_no_other(bench: Bench) -> None:
    slow = model(ScriptedSource(1), "slow")
    change = bench.reconciler.apply([slow, model(ScriptedSource(1), "quick")])
    bench.reconciler.step()
    bench.look.jobs.pop(0)  # The look at the slow one hangs.
    bench.settle()
    assert bench.served("quick") == [1]
    assert not change.complete


def test_a_keras_file_is_exported_first(bench: Bench, tmp_path: Path) -> None:
    source = ScriptedSource()
    source.offers = [ModelVersion(1, "/net.h5", needs_export=True)]
    (error,) = errors(bench.serve(model(source)))
    assert error == "/net.h5 can't be exported"
    assert bench.engine.errors["m", 1] == error
    bench.exporter._made = tmp_path / "made"
    bench.pass_time(5.0)
    assert bench.engine.available["m"] == {1: str(tmp_path / "made")}


def test_each_version_is_loaded_with_its_options(bench: Bench) -> None:
    def options(model: ModelConfig, folder: Path) -> str:
        if model.name == "bad":
            raise ConfigError(f"{folder}/batching_params.pbtxt, line 1: no")
        return f"{model.name} {folder}"

    bench.options = options
    change = bench.serve(model(ScriptedSource(2), "good"), model(ScriptedSource(1), "bad"))
    assert bench.engine.options == ["good /m/2"]
    assert change.outcomes["bad"][0].error == "/m/1/batching_params.pbtxt, line 1: no"
    assert "fail bad 1 INVALID_ARGUMENT" in bench.engine.calls


def test_a_version_that_cannot_be_fetched(bench: Bench) -> None:
    source = ScriptedSource(1)
    source.unfetchable[1] = ModelLoadError("the bucket is closed")
    assert errors(bench.serve(model(source))) == ["the bucket is closed"]
    source.unfetchable[1] = RuntimeError("oops")
    bench.pass_time(5.0)
    assert "oops" in bench.engine.errors["m", 1]
    source.unfetchable.clear()
    bench.pass_time(10.0)
    assert bench.served() == [1]


# New versions.


def test_a_new_version_is_taken_once_it_is_quiet(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    for stamp in ("half", "more", "all"):
        source.offers = [ModelVersion(1, "/m/1", stamp="s"), ModelVersion(2, "/m/2", stamp=stamp)]
        bench.pass_time(1.0)
        assert bench.engine.taken() == []
    bench.pass_time(1.0)
    # The new one answers before the old one goes.
    assert bench.engine.taken() == ["load m 2", "unload m 1"]
    assert source.released == [1]


def test_a_version_that_is_not_complete_is_not_taken(bench: Bench) -> None:
    source = ScriptedSource()
    source.offers = [ModelVersion(3, "/m/3", stamp="s", incomplete="has no saved_model.pb")]
    (error,) = errors(bench.serve(model(source, "m")))
    assert error is not None
    assert error.endswith("is complete: version 3 has no saved_model.pb")
    source.offer(3, stamp="t")
    bench.poll()
    assert bench.served() == [3]
    assert "forget m 1" in bench.engine.calls  # What stood for the failed look.


def test_files_that_are_exchanged_are_loaded_again(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    source.offers = [ModelVersion(1, "/m/1", stamp="t", incomplete="has no saved_model.pb")]
    bench.poll()
    source.offer(1, stamp="u")
    bench.pass_time(1.0)
    assert bench.engine.taken() == []
    bench.pass_time(1.0)
    assert bench.engine.taken() == ["load m 1"]
    assert source.released == [1]  # What was loaded before, which a cache may drop.


def test_that_can_be_switched_off() -> None:
    bench = Bench(reload_changed=False)
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    source.offer(1, stamp="t")
    bench.poll()
    assert bench.engine.taken() == []
    bench.reconciler.reload("m")
    bench.settle()
    assert bench.engine.taken() == ["load m 1"]


def test_a_version_whose_folder_is_gone_is_unloaded(bench: Bench) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source, versions="all"))
    source.offer(1)
    bench.pass_time(1.0)
    assert bench.served() == [1]


def test_a_source_that_is_seen_to_be_empty_is_unloaded_and_one_that_is_not_seen_stays(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offers = ModelLoadError("/m can't be read: Permission denied")
    for _ in range(3):
        bench.pass_time(1.0)
    assert bench.served() == [1]
    assert caplog.text.count("Permission denied") == 1
    source.offers = NoVersionsError("/m is empty")
    bench.pass_time(1.0)
    assert bench.served() == []
    source.offer(1)
    bench.poll()
    assert bench.served() == [1]


def test_a_source_that_raises_anything_touches_only_its_model(bench: Bench) -> None:
    bad = ScriptedSource()
    bad.offers = ZeroDivisionError("1/0")
    change = bench.serve(model(bad, "bad"), model(ScriptedSource(1), "good"))
    assert "can't be looked at: ZeroDivisionError" in str(change.outcomes["bad"][0].error)
    assert bench.served("good") == [1]


def test_the_old_version_stays_until_a_new_one_answers(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.refuse = {"/m/2"}
    source.offer(1, 2)
    bench.poll()
    for _ in range(400):
        bench.pass_time(1.0)
    assert bench.served() == [1]
    source.offer(1, 2, 3)
    bench.poll()
    assert bench.served() == [3]


def test_resource_preserving_unloads_first() -> None:
    bench = Bench(version_transition="resource")
    source = ScriptedSource(1, 2)
    bench.serve(model(source, versions=2), model(ScriptedSource(1), "other"))
    bench.engine.taken()
    source.offer(2, 3)
    bench.poll()
    assert bench.engine.taken() == ["unload m 1", "load m 3"]
    source.offer(2, 3, stamp="t")
    bench.poll()
    done = bench.engine.taken()
    assert sorted(done[:2]) == ["unload m 2", "unload m 3"]
    assert sorted(done[2:]) == ["load m 2", "load m 3"]


def test_looking_takes_a_bounded_share_of_a_core() -> None:
    cost = LookingCost()
    for index in range(500):
        cost.note(f"m{index}", 0.001)
    assert cost.least_interval == pytest.approx(10.0)
    for index in range(499):
        cost.note(f"m{index}", 0.0)
    cost.note("m499", 0.002)
    assert cost.least_interval == pytest.approx(0.04)


def test_polling_once() -> None:
    bench = Bench(poll_interval=0.0)
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offer(1, 2)
    bench.pass_time(1000.0)
    assert bench.served() == [1]
    bench.reconciler.reload("m")
    bench.settle()
    assert bench.served() == [2]


def test_what_changes_often_is_not_loaded_each_time(bench: Bench) -> None:
    """Several changes while something loads become one."""
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    for number in range(2, 6):
        source.offer(number)
        bench.pass_time(1.0, bench.load)
        bench.pass_time(1.0, bench.load)
    bench.settle()
    # The others waited for a thread, and were not wanted any more when it was there.
    loaded = [call for call in bench.engine.taken() if call.startswith("load")]
    assert loaded == ["load m 5"]
    assert bench.served() == [5]


# Failures and retries.


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


def test_a_lasting_change_waits_for_the_last_retry() -> None:
    bench = Bench(max_load_retries=1, load_retry_interval=60.0)
    bad = ScriptedSource(7)
    bench.engine.refuse = {"/m/7"}
    late = ScriptedSource()
    late.offers = ModelLoadError("/late does not exist")
    change = bench.serve(model(bad, "bad"), model(late, "late"), lasting=True)
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


# Labels.


def test_labels_work_from_the_start_and_move_when_they_can(bench: Bench) -> None:
    source = ScriptedSource(1, 2)
    labelled = model(source, versions="all", labels={"stable": 1, "canary": 2})
    bench.reconciler.apply([labelled])
    bench.settle(bench.load)
    assert bench.engine.labels["m"] == {"stable": 1, "canary": 2}
    bench.settle()
    # Version 3 is not loaded yet: stable stays where it is until it is.
    source.offer(1, 2, 3)
    change = bench.reconciler.put(model(source, versions=1, labels={"stable": 3}))
    bench.settle(bench.load)
    assert bench.engine.labels["m"] == {"stable": 1}
    assert bench.served() == [1, 2]
    bench.settle()
    assert bench.engine.labels["m"] == {"stable": 3}
    assert bench.served() == [3]
    assert change.complete


def test_a_label_on_a_version_that_is_not_wanted_is_refused(bench: Bench) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source, labels={"stable": 2}))
    change = bench.reconciler.put(model(source, labels={"stable": 1, "canary": 9}))
    bench.settle()
    assert [(each.code, str(each)) for each in change.labels] == [
        (
            "FAILED_PRECONDITION",
            f"Request to assign label to version {number} of model m, which is not currently "
            "available for inference",
        )
        for number in (1, 9)
    ]
    # What it pointed to before is better than nothing.
    assert bench.engine.labels["m"] == {"stable": 2}
    with pytest.raises(ConfigError, match="label to version 3 of model m"):
        model(source, versions=[1, 2], labels={"x": 3})


# The configuration.


def test_a_configuration_replaces_the_one_before(bench: Bench) -> None:
    keep, drop = model(ScriptedSource(1), "keep"), model(ScriptedSource(1), "drop")
    bench.serve(keep, drop)
    bench.engine.taken()
    change = bench.serve(keep, model(ScriptedSource(5), "new"))
    assert set(bench.engine.taken()) == {"remove drop", "declare new", "load new 5"}
    assert list(change.outcomes) == ["new"]
    assert set(bench.reconciler.configuration) == {"keep", "new"}


def test_another_place_of_the_same_version_is_loaded(bench: Bench) -> None:
    bench.serve(model(ScriptedSource(1)))
    elsewhere = ScriptedSource()
    elsewhere.offers = [ModelVersion(1, "/elsewhere/1", stamp="s")]
    bench.serve(model(elsewhere))
    assert bench.engine.available["m"] == {1: "/elsewhere/1"}


def test_a_removed_model_is_gone_at_once(bench: Bench) -> None:
    bench.serve(model(ScriptedSource(1)))
    change = bench.reconciler.remove("m")
    bench.settle(bench.unload)
    assert not change.complete
    bench.settle()
    assert change.complete
    assert bench.engine.calls[-1] == "remove m"
    for refused in (bench.reconciler.remove("m"), bench.reconciler.reload("m")):
        bench.settle()
        assert isinstance(refused.refused, NotFoundError)
        assert refused.wait(0)


def test_a_model_that_is_added_again_while_it_leaves(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    removed = bench.reconciler.remove("m")
    bench.settle(bench.unload)
    added = bench.reconciler.put(model(source))
    bench.settle(bench.unload)
    assert not removed.complete and not added.complete
    bench.settle()
    assert removed.complete and added.complete
    assert bench.served() == [1]
    # Both at once: nothing happens to it.
    bench.engine.taken()
    bench.reconciler.remove("m")
    bench.reconciler.put(model(source))
    bench.settle()
    assert not [call for call in bench.engine.taken() if "remove" in call or "unload" in call]


def test_a_model_removed_while_it_loads_leaves_nothing(bench: Bench) -> None:
    source = ScriptedSource(1)
    change = bench.reconciler.apply([model(source)])
    bench.settle(bench.load)
    removed = bench.reconciler.remove("m")
    bench.settle(bench.load)
    assert source.watchers[0].cancelled.is_set()
    assert not removed.complete
    bench.settle()
    assert removed.complete and change.wait(0)
    assert bench.served() == []


def test_other_batching_is_loaded(bench: Bench) -> None:
    from tensorwire.config import Batching

    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    bench.serve(model(source, batching=Batching.off()))
    assert bench.engine.taken() == ["load m 1"]


# The end.


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


def test_it_waits_without_looking_around() -> None:
    """With threads, and the clock of the wall: a poll's version is found."""
    engine, source = RecordingEngine(), ScriptedSource(1)
    reconciler = Reconciler(engine, CannedExporter(), no_options).start()
    assert reconciler.apply([model(source)]).wait(30)
    source.offer(1, 2)
    assert reconciler.reload("m").wait(30)
    assert 2 in engine.available["m"]
    assert reconciler.remove("m").wait(30)
    assert reconciler.stop(30.0) is True


def test_versions_are_released_to_the_source_they_came_from() -> None:
    bench = Bench()
    first, second = ScriptedSource(1), ScriptedSource(1)
    bench.serve(model(first))
    bench.reconciler.put(model(second))
    bench.settle()
    assert bench.served() == [1]
    second.offer(2)
    bench.poll()
    assert bench.served() == [2]
    assert (first.released, second.released) == ([1], [])
    bench.reconciler.remove("m")
    bench.settle()
    assert (first.released, second.released) == ([1], [2])


def test_a_version_is_fetched_still_when_its_store_was_away_for_long(bench: Bench) -> None:
    source = ScriptedSource(1)
    source.unfetchable[1] = ModelLoadError("the store does not answer")
    bench.serve(model(source))
    for _ in range(20):
        bench.pass_time(300.0)
    source.unfetchable.clear()
    bench.pass_time(300.0)
    assert bench.served() == [1]


def test_a_store_is_looked_at_less_often(bench: Bench) -> None:
    source = bench.sources["s3://bucket/m"] = ScriptedSource(1)
    bench.serve(ModelConfig("m", "s3://bucket/m"))
    assert (bench.served(), source.looks) == ([1], 1)
    for _ in range(9):
        bench.pass_time(1.0)
    assert source.looks == 1
    source.offer(1, 2)
    bench.pass_time(1.0)
    assert source.looks == 2
    # Whether what is new is quiet is seen soon.
    bench.pass_time(1.0)
    assert (bench.served(), source.looks) == ([2], 3)


def test_an_error_of_what_was_fetched_names_where_it_came_from(bench: Bench) -> None:
    source = bench.sources["s3://bucket/m"] = ScriptedSource()
    source.offers = [ModelVersion(1, "s3://bucket/m/1", stamp="s")]
    source.fetch = lambda version, watcher: Path("/cache/0123/content")  # type: ignore[method-assign]
    bench.engine.refuse.add("/cache/0123/content")
    change = bench.serve(ModelConfig("m", "s3://bucket/m"))
    assert errors(change) == ["s3://bucket/m/1 is corrupt"]
