import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tensorwire.config import MAX_MESSAGE_BYTES, Settings, load_config, setting_fields
from tensorwire.errors import ConfigError


def test_defaults() -> None:
    config = load_config(environ={})
    assert config.grace == 30.0
    assert json.loads(config.listener.to_native()) == {
        "host": "127.0.0.1",
        "port": 50051,
        "io_threads": 0,
        "max_message_bytes": 2147483647,
        "tensor_content": False,
        "default_model": None,
    }
    assert json.loads(config.engine.to_native(Path("/tf"))) == {
        "tensorflow_dir": "/tf",
        "op_libraries": [],
        "runner_threads": 0,
        "intra_op_threads": 0,
        "inter_op_threads": 0,
    }


def test_arguments_go_before_the_environment_and_that_before_defaults() -> None:
    environ = {"TENSORWIRE_PORT": "8500", "TENSORWIRE_HOST": "0.0.0.0", "TENSORWIRE_GRACE": ""}
    config = load_config({"port": 0}, environ)
    assert (config.listener.port, config.listener.host, config.grace) == (0, "0.0.0.0", 30.0)


def test_every_setting_comes_from_the_environment(tmp_path: Path) -> None:
    library = tmp_path / "ops.so"
    library.touch()
    environ = {
        "TENSORWIRE_HOST": "::1",
        "TENSORWIRE_PORT": "1",
        "TENSORWIRE_GRACE": "500ms",
        "TENSORWIRE_MAX_MESSAGE_SIZE": "64MiB",
        "TENSORWIRE_TENSOR_CONTENT": "true",
        "TENSORWIRE_DEFAULT_MODEL": "a",
        "TENSORWIRE_IO_THREADS": "2",
        "TENSORWIRE_RUNNER_THREADS": "3",
        "TENSORWIRE_INTRA_OP_THREADS": "4",
        "TENSORWIRE_INTER_OP_THREADS": "5",
        "TENSORWIRE_OP_LIBRARY": str(library),
        "TENSORWIRE_TENSORFLOW_DIR": str(tmp_path),
        "TENSORWIRE_LOG_FORMAT": "JSON",
        "TENSORWIRE_LOG_LEVEL": "debug",
    }
    assert {f"TENSORWIRE_{name.upper()}" for name in setting_fields()} == set(environ)
    config = load_config(environ=environ)
    assert config.grace == 0.5
    assert config.listener.max_message_size == 64 * 2**20
    assert config.listener.tensor_content is True
    assert config.engine.op_library == (library,)
    assert config.engine.tensorflow_dir == tmp_path
    assert (config.log.log_format, config.log.log_level) == ("json", "debug")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"port": 65536}, "port can't be '65536': it is not between 0 and 65535"),
        ({"port": "http"}, "port can't be 'http': it is not a whole number"),
        ({"port": True}, "port can't be 'True': it is not a whole number"),
        ({"host": " "}, "host can't be ' ': it is empty"),
        ({"grace": "-1"}, "grace can't be '-1'"),
        ({"grace": float("nan")}, "not between 0 s and 86400 s"),
        ({"grace": "2d"}, "its unit 'd' is none of us, ms, s, m, min, h"),
        ({"max_message_size": "2GiB"}, f"not between 1 and {MAX_MESSAGE_BYTES} bytes"),
        ({"max_message_size": 0}, "not between 1 and"),
        ({"io_threads": 1025}, "not between 0 and 1024"),
        ({"tensor_content": "maybe"}, "neither true nor false"),
        ({"op_library": ["/nowhere/ops.so"]}, "there is no file /nowhere/ops.so"),
        ({"tensorflow_dir": "/nowhere"}, "there is no directory /nowhere"),
        ({"log_format": "xml"}, "it is none of auto, text, json"),
        ({"prot": 1}, "there is no setting 'prot'; the settings are default_model, grace"),
    ],
)
def test_bad_values_are_named_with_their_limit(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings, {})
    assert says in str(caught.value)


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="TENSORWIRE_PORT can't be 'x'"):
        load_config({}, {"TENSORWIRE_PORT": "x"})


def test_the_tree_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config(environ={}).grace = 1.0  # type: ignore[misc]


def test_keyword_arguments_are_the_settings() -> None:
    of_the_program = {"log_format", "log_level"}
    assert set(Settings.__annotations__) == set(setting_fields()) - of_the_program


def test_every_setting_is_described() -> None:
    for name, field in setting_fields().items():
        assert field.metadata["description"].endswith("."), name


def test_an_ipv6_host_may_have_its_brackets() -> None:
    assert load_config({"host": "[::1]"}).listener.host == "::1"
