import json
from pathlib import Path
from typing import Any

import pytest

from tensorwire import Batching
from tensorwire.config import ServeConfig, load_config
from tensorwire.errors import ConfigError


def batches(settings: dict[str, Any], environ: dict[str, str] | None = None) -> Any:
    return load_config(settings, environ or {}).batches


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "of=all.txt"
    path.write_text("max_batch_size { value: 64 } num_batch_threads { value: 3 }")
    return path


def test_on_by_default() -> None:
    config = batches({})
    assert config.batching == Batching()
    assert config.of_version("any", Path("/x")) == Batching()


@pytest.mark.parametrize("value", [False, Batching.off()])
def test_switched_off_in_a_program(value: Any) -> None:
    assert batches({"batching": value}).batching == Batching.off()
    assert batches({"model_batching": {"a": value}}).model_batching == {"a": Batching.off()}


def test_one_models_batching_replaces_the_whole_of_all_models(file: Path) -> None:
    config = batches(
        {
            "batching": Batching(max_batch_size=8, batch_timeout_micros=5),
            "model_batching": {"a": Batching(max_batch_size=2)},
        }
    )
    assert config.of_version("a", Path("/x")) == Batching(max_batch_size=2)
    assert config.of_version("b", Path("/x")).batch_timeout_micros == 5
    options = ServeConfig(batches=config).version_options("a", Path("/x"))
    assert json.loads(options)["batching"]["max_batch_size"] == 2


def test_flags_go_before_the_file(file: Path) -> None:
    config = batches({"batching_parameters": [str(file), f"a={file}"], "max_batch_size": "16"})
    assert config.batching == Batching(max_batch_size=16)
    assert config.model_batching == {"a": Batching(max_batch_size=64, num_batch_threads=3)}


def test_allowed_sizes_bring_the_largest_with_them(file: Path) -> None:
    config = batches({"batching_parameters": [str(file)], "allowed_batch_sizes": [1, 4]})
    assert config.batching.max_batch_size == 4
    with pytest.raises(ConfigError, match="last entry was 4; expected 8"):
        batches({"max_batch_size": 8, "allowed_batch_sizes": "1,4"})


def test_what_a_program_says_goes_before_the_environment(file: Path) -> None:
    environ = {"TENSORWIRE_MAX_BATCH_SIZE": "9", "TENSORWIRE_NO_BATCHING": "*"}
    assert batches({}, environ).batching == Batching.off()
    assert batches({"batching": Batching()}, environ).batching == Batching()
    assert batches({"max_batch_size": 4}, environ).batching == Batching(max_batch_size=4)
    only_size = {"TENSORWIRE_MAX_BATCH_SIZE": "9"}
    assert batches({"batching_parameters": [str(file)]}, only_size).batching.max_batch_size == 64


def test_none_at_all() -> None:
    config = batches({"no_batching": "*", "model_batching": {"a": Batching(max_batch_size=2)}})
    assert config.batching == Batching.off()
    assert config.of_version("a", Path("/x")) == Batching.off()
    assert batches({"no_batching": ["a", "b"]}).model_batching.keys() == {"a", "b"}


def test_a_wrong_name_lists_the_models() -> None:
    config = batches({"no_batching": ["mnits"]})
    config.check_models(["mnits"])
    with pytest.raises(ConfigError) as caught:
        config.check_models(["mnist", "resnet"])
    assert str(caught.value) == (
        "batching is set for a model 'mnits': the models served are mnist, resnet"
    )


def test_the_number_of_threads_is_of_the_pool_that_all_share() -> None:
    config = load_config({"batching": Batching(num_batch_threads=3)}, {})
    assert config.batches.of_version("a", Path("/x")).num_batch_threads is None
    assert config.engine.runner_threads == 3
    config = load_config({"batching": Batching(num_batch_threads=3), "runner_threads": 2}, {})
    assert config.batches.of_version("a", Path("/x")).num_batch_threads == 3
    assert config.engine.runner_threads == 2


def test_a_file_in_a_versions_folder(tmp_path: Path) -> None:
    (with_file := tmp_path / "1").mkdir()
    (without := tmp_path / "2").mkdir()
    (with_file / "batching_params.pbtxt").write_text(
        "max_batch_size { value: 5 } num_batch_threads { value: 9 }"
    )
    ignoring = batches({"max_batch_size": 2})
    assert ignoring.of_version("a", with_file).max_batch_size == 2
    settings = {"enable_per_model_batching_parameters": True, "max_batch_size": 2}
    config = batches(settings)
    assert config.of_version("a", with_file) == Batching(max_batch_size=5)
    assert config.of_version("a", without) == Batching.off()
    named = batches({**settings, "no_batching": "a"})
    assert named.of_version("a", with_file) == Batching.off()
    (with_file / "batching_params.pbtxt").write_text("x: 1")
    with pytest.raises(ConfigError, match=r"batching_params.pbtxt, line 1: "):
        config.of_version("a", with_file)
