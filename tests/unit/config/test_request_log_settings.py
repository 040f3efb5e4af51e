"""What may be said of a request log, and TensorFlow Serving's LoggingConfig."""

from pathlib import Path
from typing import Any

import pytest

from tensorwire.config import RequestLog, load_config, request_log_of
from tensorwire.config.request_log import as_logging_config
from tensorwire.errors import ConfigError
from tensorwire.messages import new_message
from tensorwire.repository.toml_models import TomlModels


def logging_config(**fields: Any) -> Any:
    message = new_message("tensorflow.serving.LoggingConfig")
    message.log_collector_config.type = fields.get("type", "")
    message.log_collector_config.filename_prefix = fields.get("prefix", "/tmp/m")
    message.sampling_config.sampling_rate = fields.get("rate", 0.5)
    return message


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("", "tfrecord"), ("tfrecord", "tfrecord"), ("json", "jsonl"), ("JSONL", "jsonl")],
)
def test_tensorflow_servings_config(kind: str, wanted: str) -> None:
    log = request_log_of(logging_config(type=kind), "m")
    assert log == RequestLog(prefix="/tmp/m", format=wanted, sampling_rate=0.5)


def test_a_rate_of_nothing_is_no_log() -> None:
    assert request_log_of(logging_config(rate=0, prefix=""), "m") is None


def test_the_first_task_that_is_every_task() -> None:
    message = logging_config(rate=0.5)
    add = message.sampling_config.per_task_sampling_configs.add
    add(dc="aa", sampling_rate=0.1)
    add(task_index=3, sampling_rate=0.2)
    add(sampling_rate=0.3)
    add(sampling_rate=0.4)
    log = request_log_of(message, "m")
    assert log is not None and log.sampling_rate == 0.3


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"type": "kafka"}, "type 'kafka', which there is not: the types are tfrecord"),
        ({"rate": 1.5}, "sampling_rate 1.5 is not from 0 to 1"),
        ({"rate": float("nan")}, "is not from 0 to 1"),
        ({"prefix": ""}, "has no filename_prefix"),
        ({"prefix": "/dev/null/m"}, "/dev/null is not a directory"),
    ],
)
def test_what_a_config_can_not_say(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        request_log_of(logging_config(**fields), "m")


def test_a_custom_config_is_refused() -> None:
    message = logging_config()
    message.custom_logging_config.type_url = "x/y"
    with pytest.raises(ConfigError, match="custom_logging_config, which there is not"):
        request_log_of(message, "m")


def test_a_models_own_table(tmp_path: Path) -> None:
    config = load_config({"log_requests": str(tmp_path / "all")}, {}).request_logs
    table = {"prefix": str(tmp_path / "own"), "sampling_rate": "2%"}
    assert config.of_model(table, "m") == RequestLog(prefix=tmp_path / "own", sampling_rate=0.02)
    serving = {
        "log_collector_config": {"filename_prefix": str(tmp_path / "own")},
        "sampling_config": {"sampling_rate": 0.02},
    }
    assert config.of_model(serving, "m") == RequestLog(prefix=tmp_path / "own", sampling_rate=0.02)
    default = config.of_model({}, "m")
    assert default is not None and default.prefix == str(tmp_path / "all-m")
    for bad, says in (({"sampling_rate": 1}, "needs a prefix"), ({"rate": 1}, "has no 'rate'")):
        with pytest.raises(ConfigError, match=says):
            config.of_model(bad, "m")


def test_a_table_as_tensorflow_serving_says_it(tmp_path: Path) -> None:
    table = {"prefix": str(tmp_path / "own"), "format": "jsonl", "sampling_rate": 0.25}
    said = as_logging_config(table, "m")
    config = load_config({}, {}).request_logs
    assert config.of_model(said, "m") == RequestLog.from_table(table, "m")
    assert as_logging_config(said, "m") == said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"log_requests": "/tmp/a,/tmp/b"}, "every model was given twice"),
        ({"log_requests": {"m": 3}}, "3 is neither a path nor a RequestLog"),
        ({"log_sampling": "200%"}, "it is not from 0 to 1"),
        ({"log_requests_file_age": "10ms"}, "it is less than a second"),
        ({"warmup_failing": "ignore"}, "it is none of refuse, warn"),
        ({"warmup_iterations": 0}, "it is not between 1 and 1000000"),
    ],
)
def test_what_can_not_be(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(settings, {})


@pytest.mark.parametrize("prefix", ["", "/", "/tmp/"])
def test_a_prefix_has_a_name(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix of a request log can't be"):
        RequestLog(prefix=prefix)


def test_a_models_own_warm_up() -> None:
    config = load_config({"warmup_iterations": 3}, {}).warmups
    assert config.of_model({"failing": "warn"}, "m") == {
        "file": None,
        "enabled": True,
        "iterations": 3,
        "failing": "warn",
    }
    with pytest.raises(ConfigError, match="has no 'times'"):
        config.of_model({"times": 3}, "m")
    with pytest.raises(ConfigError, match="failing of the warm-up of model 'm' can't be 'no'"):
        config.of_model({"failing": "no"}, "m")


def test_a_log_that_can_not_be_written_is_no_fault_of_a_version(tmp_path: Path) -> None:
    """Its folder is looked at when a configuration is taken, and not when a version is loaded
    or described."""
    (tmp_path / "file").write_text("in the way")
    prefix = str(tmp_path / "file" / "m")
    config = load_config({"log_requests": prefix}, {}).request_logs
    with pytest.raises(ConfigError, match="file is not a directory"):
        config.check_folders(["m"])
    log = config.of_model({}, "m")
    assert log is not None and log.prefix == f"{prefix}-m"
    serving = {
        "log_collector_config": {"filename_prefix": prefix},
        "sampling_config": {"sampling_rate": 1},
    }
    for table in (serving, {"prefix": prefix}):
        assert config.of_model(table, "m") == RequestLog(prefix=prefix)
        assert as_logging_config(table, "m")


def test_models_in_toml(tmp_path: Path) -> None:
    """A mistake is told when the file is read; what begins with ./ is beside the file."""
    file = tmp_path / "tensorwire.toml"

    def read(line: str) -> Any:
        file.write_text(f'[models.m]\npath = "/m"\n{line}\n')
        (model,) = TomlModels(file)()
        return model.options

    assert read('logging = { prefix = "./logs/m" }') == {
        "logging": {"prefix": str(tmp_path / "logs" / "m")}
    }
    (tmp_path / "file").write_text("in the way")
    for line, says in (
        ("logging = { prefix = './file/m' }", "file is not a directory"),
        ("logging = { prefix = '/tmp/m', sampling_rate = 2 }", "it is not from 0 to 1"),
        ("logging = { rate = 1 }", "has no 'rate'"),
        ("warmup = { times = 1 }", "has no 'times'"),
    ):
        with pytest.raises(ConfigError, match=says) as error:
            read(line)
        assert str(error.value).startswith(f"{file}: [models.m] ")


@pytest.mark.parametrize("prefix", ["/tmp/a\0b", "/tmp/\udcff"])
def test_a_prefix_is_a_path_in_utf8(prefix: str) -> None:
    with pytest.raises(ConfigError, match="a path in UTF-8 and without NUL is wanted"):
        RequestLog(prefix=prefix)
