"""Models that are added, removed and set up anew."""

import threading
from pathlib import Path

import pytest

from harness.repository_doubles import (
    Bench,
    RecordedRetired,
    ScriptedSource,
    model,
)
from tensorwire.errors import NotFoundError
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.source import ModelVersion


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
    assert bench.engine.calls[-1] == "remove m"
    assert not change.complete and bench.engine.freed == []
    bench.settle()
    assert change.complete and bench.engine.freed == ["m"]
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
    # Health waits for it already.
    assert bench.engine.declared == {"m"}
    bench.settle()
    assert removed.complete and added.complete
    assert bench.served() == [1]
    # Both at once: nothing happens to it.
    bench.engine.taken()
    bench.reconciler.remove("m")
    bench.reconciler.put(model(source))
    bench.settle()
    assert not [call for call in bench.engine.taken() if "remove" in call or "unload" in call]


def test_a_model_that_is_added_again_and_removed_again_while_it_leaves(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    removed = [bench.reconciler.remove("m")]
    bench.settle(bench.unload)
    added = bench.reconciler.put(model(source))
    bench.settle(bench.unload)
    removed.append(bench.reconciler.remove("m"))
    bench.settle(bench.unload)
    assert bench.engine.declared == set()
    assert added.wait(0) and not any(each.complete for each in removed)
    bench.settle()
    assert all(each.complete for each in removed)
    assert (bench.served(), bench.engine.declared, source.released) == ([], set(), [1])


def test_health_waits_for_a_model_that_is_added_again_while_the_one_before_still_loads(
    bench: Bench,
) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source))
    source.offer(3)
    bench.pass_time(1.0)
    bench.pass_time(1.0, bench.load)
    bench.reconciler.remove("m")
    bench.settle(bench.load)
    added = bench.reconciler.put(model(source))
    bench.engine.taken()
    bench.settle(bench.load)
    bench.settle()
    # Once more when the load has ended, lest it leave something; never without the name.
    assert [call for call in bench.engine.taken() if "remove" in call] == [
        "remove m but for its name"
    ]
    assert added.complete
    assert bench.served() == [3]


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


@pytest.mark.parametrize("fails", [False, True])
def test_a_load_that_began_when_its_model_was_being_removed_leaves_nothing(
    bench: Bench, *, fails: bool
) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source, versions="all"))
    source.offer(1, 2, 3)
    bench.pass_time(1.0)
    bench.pass_time(1.0, bench.load)
    prepared, removing = threading.Event(), threading.Event()

    def options(_model: ModelConfig, _folder: Path) -> str:
        prepared.set()
        assert removing.wait(30)
        return "{}"

    def remove(name: str, still_wanted: bool) -> RecordedRetired | None:
        # The engine hears of the load only now, and the load ends before the removal does.
        removed = forget(name, still_wanted)
        removing.set()
        loading.join(30)
        return removed

    forget = bench.engine.remove
    bench.engine.refuse = {"/m/3"} if fails else set()
    bench.options = options
    bench.engine.remove = remove  # type: ignore[method-assign]
    loading = threading.Thread(target=bench.load.do_all)
    loading.start()
    assert prepared.wait(30)
    removed = bench.reconciler.remove("m")
    bench.reconciler.step()
    bench.unload.do_all()
    assert bench.served() == ([] if fails else [3])
    assert bench.engine.declared == {"m"}
    bench.settle()
    assert (bench.served(), bench.engine.declared) == ([], set())
    assert removed.complete
    # Each once: a cache counts.
    assert sorted(source.released) == [1, 2, 3]


def test_a_version_that_is_unloaded_while_its_model_goes_is_released_once(bench: Bench) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offer(2)
    bench.pass_time(1.0, bench.unload)
    bench.pass_time(1.0, bench.unload)
    removed = bench.reconciler.remove("m")
    bench.settle()
    assert removed.complete
    assert sorted(source.released) == [1, 2]


def test_a_fetch_that_hangs_holds_up_no_removal(bench: Bench) -> None:
    hanging, good = ScriptedSource(1), ScriptedSource(1)
    bench.reconciler.apply([model(hanging)])
    bench.settle(bench.fetch)
    removed = bench.reconciler.remove("m")
    bench.settle(bench.fetch)
    assert removed.complete
    late = bench.fetch.jobs.pop()
    added = bench.reconciler.put(model(good))
    bench.settle()
    assert added.complete
    bench.engine.taken()
    late()
    bench.settle()
    assert bench.engine.taken() == []
    assert bench.served() == [1]
    assert (hanging.released, good.released) == ([1], [])


def test_other_batching_is_loaded(bench: Bench) -> None:
    from tensorwire.config import Batching

    source = ScriptedSource(1)
    bench.serve(model(source))
    bench.engine.taken()
    bench.serve(model(source, batching=Batching.off()))
    assert bench.engine.taken() == ["load m 1"]
