"""What sources answer, whatever it is."""

import asyncio
from pathlib import Path

import pytest

from harness.repository_doubles import (
    Bench,
    ScriptedSource,
    errors,
    model,
)
from tensorwire.errors import ModelLoadError
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.source import ModelVersion


def test_a_source_that_raises_anything_touches_only_its_model(bench: Bench) -> None:
    bad = ScriptedSource()
    bad.offers = ZeroDivisionError("1/0")
    change = bench.serve(model(bad, "bad"), model(ScriptedSource(1), "good"))
    assert "can't be looked at: ZeroDivisionError" in str(change.outcomes["bad"][0].error)
    assert bench.served("good") == [1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "'NoneType' object is not iterable"),
        (["3"], "it answered '3', which is not a ModelVersion"),
        ([ModelVersion(2**63, "/m")], "the version 9223372036854775808, not an int from 0"),
        ([ModelVersion(-1, "/m")], "the version -1, not an int from 0"),
        ([ModelVersion(2, Path("/m"))], "location and stamp must be text"),  # type: ignore[arg-type]
        (asyncio.CancelledError(), "CancelledError"),
        (SystemExit(3), "SystemExit(3)"),
    ],
)
def test_what_a_source_may_not_answer_is_told_and_what_is_served_stays(
    bench: Bench, answer: object, says: str
) -> None:
    source = ScriptedSource(1)
    bench.serve(model(source))
    source.offers = answer
    bench.poll()
    assert bench.served() == [1]
    change = bench.reconciler.put(model(source, "other"))
    bench.settle()
    assert [says in str(error) for error in errors(change)] == [True]
    # It is looked at again.
    source.offer(2)
    bench.poll()
    assert (bench.served(), bench.served("other")) == ([2], [2])


def test_versions_may_be_answered_one_by_one(bench: Bench) -> None:
    source = ScriptedSource()
    source.offers = (ModelVersion(number, f"/m/{number}") for number in (1, 2))
    bench.serve(model(source))
    assert bench.served() == [2]


def test_a_place_that_cannot_be_seen_is_told_and_what_was_served_stays(bench: Bench) -> None:
    before, after = ScriptedSource(1, 2), ScriptedSource()
    bench.engine.refuse = {"/m/2"}
    bench.serve(model(before, versions="all"))
    bench.engine.refuse = set()
    after.offers = ModelLoadError("/new does not exist")
    change = bench.serve(model(after, versions="all"))
    for _ in range(100):
        bench.pass_time(1.0)
    # Nor is what only the place before had looked for in the new one.
    assert (bench.served(), after.watchers) == ([1], [])
    assert errors(change) == ["/new does not exist"]
    after.offers = [ModelVersion(1, "/new/1", stamp="s")]
    bench.poll()
    assert bench.engine.available["m"] == {1: "/new/1"}
    # Each hears of what it gave.
    assert (before.released, after.released) == ([2, 1], [])


def test_what_one_source_gave_is_not_released_by_another(bench: Bench) -> None:
    """The same files at a URL that was signed anew."""
    before, after = ScriptedSource(1), ScriptedSource(1)
    bench.serve(model(before))
    bench.serve(model(after))
    bench.reconciler.remove("m")
    bench.settle()
    assert (before.released, after.released) == ([1], [])


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
