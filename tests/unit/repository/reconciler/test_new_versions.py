"""What appears, changes and goes while the others serve."""

import pytest

from harness.repository_doubles import (
    Bench,
    ScriptedSource,
    errors,
    model,
)
from tensorwire.errors import ModelLoadError
from tensorwire.repository.look_schedule import LookingCost
from tensorwire.repository.source import ModelVersion, NoVersionsError


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


def test_a_version_that_stays_incomplete_is_not_looked_at_all_the_time() -> None:
    bench = Bench(poll_interval=60.0)
    source = ScriptedSource(1)
    bench.serve(model(source))
    half = ModelVersion(2, "/m/2", stamp="s", incomplete="has no saved_model.pb")
    source.offers = [*source.offers, half]
    looks = source.looks
    for _ in range(121):
        bench.pass_time(1.0)
    # Each minute, and once more when it had just changed.
    assert source.looks - looks == 3


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


def test_the_last_request_of_what_is_replaced_holds_up_no_load(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offer(1, stamp="t")
    bench.pass_time(1.0, bench.unload)
    bench.pass_time(1.0, bench.unload)
    change = bench.reconciler.reload("m")
    bench.settle(bench.unload)
    assert change.complete and not change.failures
    assert bench.engine.calls.count("load m 1") == 3
    # Its files stay as long: it may read them.
    assert (bench.engine.freed, source.released) == ([], [])
    bench.settle()
    assert (bench.engine.freed, source.released) == (["m 1", "m 1"], [1])


def test_where_no_thread_is_to_be_had_one_that_loads_frees_what_is_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))

    def refuse(_job: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bench.unload, "run", refuse)
    source.offer(1, stamp="t")
    bench.poll()
    assert (bench.engine.freed, source.released) == (["m 1"], [1])


def test_a_reload_takes_what_came_after_the_look_that_was_under_way(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.now += 1.0
    bench.reconciler.step()
    change = bench.reconciler.reload("m")
    bench.reconciler.step()
    bench.look.do_all()
    source.offer(1, 2)
    bench.settle()
    assert change.complete
    assert bench.served() == [2]


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


def test_a_look_from_before_a_model_was_removed_counts_no_more(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.now += 1.0
    bench.reconciler.step()
    (old_look,) = bench.look.jobs
    bench.look.jobs.clear()
    bench.reconciler.remove("m")
    change = bench.reconciler.put(model(source))
    bench.settle(bench.look)
    source.offers = ModelLoadError("/m can't be seen")
    old_look()
    bench.settle(bench.look)
    assert not change.complete
    assert len(bench.look.jobs) == 1


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


def test_a_way_back_while_the_old_version_still_drains(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offer(1, 2)
    bench.pass_time(1.0, bench.unload)
    bench.pass_time(1.0, bench.unload)
    # The last request of version 1 takes its time, and version 2 was a mistake.
    source.offer(1)
    bench.pass_time(1.0, bench.unload)
    bench.pass_time(1.0, bench.unload)
    assert len(bench.unload.jobs) == 1
    assert bench.served() == [1, 2]
    bench.engine.taken()
    bench.settle()
    assert bench.engine.taken() == ["unload m 1", "load m 1", "unload m 2"]


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
