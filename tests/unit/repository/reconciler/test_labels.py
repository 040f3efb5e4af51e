"""Labels."""

import pytest

from harness.repository_doubles import (
    Bench,
    ScriptedSource,
    model,
)
from tensorwire.errors import ConfigError


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


def test_a_label_stays_at_a_version_that_went_away(bench: Bench) -> None:
    source = ScriptedSource(1, 2)
    bench.serve(model(source, versions="all", labels={"x": 2}))
    source.offer(1)
    bench.poll()
    assert bench.served() == [1]
    assert bench.engine.labels["m"] == {"x": 2}
