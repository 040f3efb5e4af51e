"""The first load of what is wanted."""

from pathlib import Path

import pytest

from harness.repository_doubles import (
    Bench,
    CannedExporter,
    RecordingEngine,
    ScriptedSource,
    errors,
    model,
    no_options,
)
from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.reconciler import Reconciler
from tensorwire.repository.source import ModelVersion


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
    # The engine may have refused a load before it noted it.
    assert [call for call in bench.engine.calls if call.startswith("fail")] == [
        "fail gone 1 NOT_FOUND",
        "fail corrupt 4 DATA_LOSS",
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


def test_local_files_do_not_wait_for_downloads(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    bench.reconciler.apply([ModelConfig("m", tmp_path / "m")])
    bench.settle(bench.fetch)
    assert bench.served() == [1]


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
