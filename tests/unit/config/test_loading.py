import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tensorwire import Batching
from tensorwire.config import MAX_MESSAGE_BYTES, Settings, all_settings, load_config
from tensorwire.config.engine import MAX_REQUESTS
from tensorwire.config.loading import ONLY_IN_PROGRAMS
from tensorwire.errors import ConfigError
from tensorwire.repository.policy import Specific


def test_defaults() -> None:
    config = load_config(environ={})
    assert config.grace == 30.0
    native = json.loads(config.listener.to_native())
    # What this process's open files leave room for.
    assert native["connections"].pop("max_connections") >= 0
    assert native == {
        "listeners": [
            {
                "kind": "tcp",
                "host": "127.0.0.1",
                "port": 50051,
                "protocols": "all",
                "tls": None,
                "optional": False,
            }
        ],
        "connections": {
            "max_concurrent_streams": 1024,
            "max_connection_age": None,
            "max_connection_age_grace": None,
            "max_connection_idle": None,
            "keepalive_time": 7200.0,
            "keepalive_timeout": 20.0,
        },
        "io_threads": 0,
        "max_message_bytes": 2147483647,
        "tensor_content": False,
        "rest": {"cors": False, "timeout": 30.0},
        "default_model": None,
        "monitoring_path": "/monitoring/prometheus/metrics",
        "short_health_names": False,
        "control": "everything",
    }
    native = json.loads(config.engine.to_native(Path("/tf")))
    # A share of this machine's memory.
    assert native["limits"].pop("bytes") > 2**20
    assert native == {
        "tensorflow_dir": "/tf",
        "op_libraries": [],
        "runner_threads": 0,
        "limits": {"requests": MAX_REQUESTS, "rows": 0},
        "default_timeout": None,
        "measuring": {"budget": 2.0, "cache": str(config.engine.measuring.measure_cache)},
        "session": {
            "base": None,
            "intra_op_threads": None,
            "inter_op_threads": None,
            "xla": None,
            "xla_on_cpu": None,
            "bfloat16": None,
            "gpu_memory_growth": None,
            "gpu_memory_fraction": None,
        },
    }


def test_arguments_go_before_the_environment_and_that_before_defaults() -> None:
    environ = {"TENSORWIRE_PORT": "8500", "TENSORWIRE_HOST": "0.0.0.0", "TENSORWIRE_GRACE": ""}
    config = load_config({"port": 0}, environ)
    assert (config.listener.port, config.listener.host, config.grace) == (0, "0.0.0.0", 30.0)


def test_every_setting_comes_from_the_environment(tmp_path: Path) -> None:
    library, session, batching = (tmp_path / name for name in ("ops.so", "session", "batching"))
    library.touch()
    session.touch()
    batching.write_text("max_enqueued_batches { value: 7 }")
    environ = {
        "TENSORWIRE_HOST": "::1",
        "TENSORWIRE_PORT": "1",
        "TENSORWIRE_REST_PORT": "8501",
        "TENSORWIRE_UNIX_SOCKET": "@mine",
        "TENSORWIRE_TLS_CERTIFICATE": str(session),
        "TENSORWIRE_TLS_KEY": str(library),
        "TENSORWIRE_TLS_CLIENT_CA": str(session),
        "TENSORWIRE_TLS_ON": "port,unix_socket",
        "TENSORWIRE_MAX_CONNECTIONS": "30",
        "TENSORWIRE_MAX_CONNECTION_AGE": "10m",
        "TENSORWIRE_KEEPALIVE_TIME": "none",
        "TENSORWIRE_GRACE": "500ms",
        "TENSORWIRE_CONFIG": str(library),
        "TENSORWIRE_MODEL_CONFIG_FILE": str(batching),
        "TENSORWIRE_CONFIG_POLL_INTERVAL": "0",
        "TENSORWIRE_VERSIONS": "1, 3",
        "TENSORWIRE_POLL_INTERVAL": "10s",
        "TENSORWIRE_RELOAD_CHANGED": "off",
        "TENSORWIRE_VERSION_TRANSITION": "resource",
        "TENSORWIRE_LOAD_THREADS": "2",
        "TENSORWIRE_MAX_LOAD_RETRIES": "0",
        "TENSORWIRE_LOAD_RETRY_INTERVAL": "1m",
        "TENSORWIRE_LISTEN_WHEN": "loaded",
        "TENSORWIRE_MAX_MESSAGE_SIZE": "64MiB",
        "TENSORWIRE_TENSOR_CONTENT": "true",
        "TENSORWIRE_DEFAULT_MODEL": "a",
        "TENSORWIRE_MONITORING_PATH": "off",
        "TENSORWIRE_REMOTE_CONTROL": "off",
        "TENSORWIRE_REST_TIMEOUT": "5s",
        "TENSORWIRE_CORS": "on",
        "TENSORWIRE_IO_THREADS": "2",
        "TENSORWIRE_RUNNER_THREADS": "3",
        "TENSORWIRE_INTRA_OP_THREADS": "4",
        "TENSORWIRE_INTER_OP_THREADS": "5",
        "TENSORWIRE_XLA": "on",
        "TENSORWIRE_MIXED_PRECISION": "BFLOAT16",
        "TENSORWIRE_SAVED_MODEL_TAGS": "serve, gpu",
        "TENSORWIRE_GPU_MEMORY_GROWTH": "off",
        "TENSORWIRE_GPU_MEMORY_FRACTION": "50%",
        "TENSORWIRE_SESSION_CONFIG_FILE": str(session),
        "TENSORWIRE_OP_LIBRARY": str(library),
        "TENSORWIRE_TENSORFLOW_DIR": str(tmp_path),
        "TENSORWIRE_MAX_REQUESTS": "10",
        "TENSORWIRE_MAX_ROWS": "20",
        "TENSORWIRE_MAX_BYTES": "1MiB",
        "TENSORWIRE_DEFAULT_TIMEOUT": "5s",
        "TENSORWIRE_MEASURE_BUDGET": "0",
        "TENSORWIRE_MEASURE_CACHE": "off",
        "TENSORWIRE_STORE_CACHE": str(tmp_path / "stores"),
        "TENSORWIRE_STORE_POLL_INTERVAL": "30s",
        "TENSORWIRE_STORE_CACHE_SIZE": "50GiB",
        "TENSORWIRE_MAX_BATCH_SIZE": "32",
        "TENSORWIRE_BATCH_TIMEOUT": "2ms",
        "TENSORWIRE_ALLOWED_BATCH_SIZES": "1, 8,32",
        "TENSORWIRE_PAD_VARIABLE_LENGTH_INPUTS": "yes",
        "TENSORWIRE_BATCHING_PARAMETERS": f"{batching},a={batching}",
        "TENSORWIRE_NO_BATCHING": "b,c",
        "TENSORWIRE_ENABLE_PER_MODEL_BATCHING_PARAMETERS": "1",
        "TENSORWIRE_CHECK_METHOD_NAME": "on",
        "TENSORWIRE_LOG_FORMAT": "JSON",
        "TENSORWIRE_LOG_LEVEL": "debug",
        "TENSORWIRE_WARMUP": "off",
        "TENSORWIRE_WARMUP_ITERATIONS": "3",
        "TENSORWIRE_WARMUP_FAILING": "warn",
        "TENSORWIRE_LOG_REQUESTS": f"{tmp_path}/all-,a={tmp_path}/a",
        "TENSORWIRE_LOG_SAMPLING": "1%",
        "TENSORWIRE_LOG_REQUESTS_FORMAT": "jsonl",
        "TENSORWIRE_LOG_REQUESTS_FILE_SIZE": "1MiB",
        "TENSORWIRE_LOG_REQUESTS_FILE_AGE": "10m",
        "TENSORWIRE_LOG_REQUESTS_FILES": "4",
        "TENSORWIRE_LOG_REQUESTS_TOTAL_SIZE": "3MiB",
    }
    from_variables = set(all_settings()) - set(ONLY_IN_PROGRAMS)
    assert {f"TENSORWIRE_{name.upper()}" for name in from_variables} == set(environ)
    config = load_config(environ=environ)
    assert config.grace == 0.5
    assert config.listener.max_message_size == 64 * 2**20
    assert config.listener.tensor_content is True
    assert config.listener.permitted == "nothing"
    listeners = json.loads(config.listener.to_native())["listeners"]
    assert [(each["kind"], each.get("protocols"), bool(each["tls"])) for each in listeners] == [
        ("tcp", "all", True),
        ("tcp", "rest", False),
        ("unix", None, True),
    ]
    assert listeners[2]["path"] == "@mine"
    assert listeners[0]["tls"]["require_client"] is True
    assert (config.listener.rest_timeout, config.listener.cors) == (5.0, True)
    connections = config.listener.connections
    assert connections.max_connections == 30
    assert (connections.max_connection_age, connections.keepalive_time) == (600.0, None)
    assert json.loads(config.version_options("m", tmp_path))["check_method_name"] is True
    life = config.lifecycle
    assert (life.model_config_file, life.config_poll_interval) == (batching, 0.0)
    assert (life.versions, life.poll_interval) == (Specific(frozenset({1, 3})), 10.0)
    assert life.store_poll_interval == 30.0
    assert (life.reload_changed, life.version_transition) == (False, "resource")
    assert (life.load_threads, life.max_load_retries) == (2, 0)
    assert (life.load_retry_interval, life.listen_when) == (60.0, "loaded")
    assert config.engine.op_library == (library,)
    assert config.engine.tensorflow_dir == tmp_path
    assert config.stores.store_cache == tmp_path / "stores"
    assert config.stores.store_cache_size == 50 * 2**30
    assert (config.log.log_format, config.log.log_level) == ("json", "debug")
    native = json.loads(config.engine.to_native(tmp_path, b"\x10\x01"))
    assert native["limits"] == {"requests": 10, "rows": 20, "bytes": 2**20}
    assert native["default_timeout"] == 5.0
    assert native["measuring"] == {"budget": 0.0, "cache": None}
    assert native["session"] == {
        "base": [16, 1],
        "intra_op_threads": 4,
        "inter_op_threads": 5,
        "xla": True,
        "xla_on_cpu": True,
        "bfloat16": True,
        "gpu_memory_growth": False,
        "gpu_memory_fraction": 0.5,
    }
    assert config.engine.session.session_config_file == session
    assert json.loads(config.engine.version_options(Batching()))["tags"] == ["serve", "gpu"]
    batches = config.batches
    assert batches.enable_per_model_batching_parameters is True
    assert batches.batching == Batching(
        max_batch_size=32,
        batch_timeout_micros=2000,
        max_enqueued_batches=7,
        allowed_batch_sizes=(1, 8, 32),
        pad_variable_length_inputs=True,
    )
    assert batches.model_batching == {
        "a": Batching(max_enqueued_batches=7),
        "b": Batching.off(),
        "c": Batching.off(),
    }
    version = json.loads(config.version_options("a", tmp_path))
    assert version["warmup"] == {
        "enabled": False,
        "iterations": 3,
        "failing": "warn",
        "file": None,
    }
    assert version["logging"] == {
        "prefix": str(tmp_path / "a"),
        "format": "jsonl",
        "sampling_rate": 0.01,
        "max_file_bytes": 2**20,
        "max_file_age": 600.0,
        "max_files": 4,
        "max_total_bytes": 3 * 2**20,
        "flush_interval": 1.0,
        "queue_records": 10_000,
        "queue_bytes": 64 * 2**20,
        "saved_model_tags": ["serve", "gpu"],
    }


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
        ({"prot": 1}, "there is no setting 'prot'; the settings are allowed_batch_sizes, batch"),
        ({"xla": "cpu"}, "xla can't be 'cpu': it is none of on, off, gpu"),
        ({"saved_model_tags": ", "}, "saved_model_tags can't be ', ': it has no tag"),
        ({"mixed_precision": "half"}, "can't be 'half': it is none of bfloat16, off"),
        ({"gpu_memory_fraction": 0}, "it is not above 0 and at most 1"),
        ({"gpu_memory_fraction": "150%"}, "it is not above 0 and at most 1"),
        ({"gpu_memory_fraction": "half"}, "it is not a number"),
        ({"gpu_memory_fraction": float("nan")}, "it is not above 0 and at most 1"),
        ({"session_config_file": "/nowhere/x"}, "there is no file /nowhere/x"),
        ({"max_requests": -1}, "not between 0 and 9007199254740992"),
        ({"max_bytes": "-1"}, "max_bytes can't be '-1'"),
        ({"default_timeout": "-1s"}, "default_timeout can't be '-1s'"),
        ({"measure_budget": "2x"}, "measure_budget can't be '2x'"),
        ({"measure_cache": __file__}, "is not a directory"),
        ({"max_batch_size": 0}, "max_batch_size can't be '0': it is not between 1 and"),
        ({"allowed_batch_sizes": "1,x"}, "allowed_batch_sizes can't be '1,x': it is not a whole"),
        ({"allowed_batch_sizes": 3}, "it is not a list"),
        ({"batching": "off"}, "it is neither a Batching nor True nor False"),
        ({"model_batching": False}, "it is not a mapping of model names"),
        ({"batching_parameters": "/nowhere/x"}, "there is no file /nowhere/x"),
        ({"batching_parameters": "=/x"}, "batching_parameters can't be '=/x': it is empty"),
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
    assert set(Settings.__annotations__) == set(all_settings()) - of_the_program


def test_every_setting_is_described() -> None:
    for name, setting in all_settings().items():
        assert setting.description.endswith("."), name


def test_an_ipv6_host_may_have_its_brackets() -> None:
    assert load_config({"host": "[::1]"}).listener.host == "::1"


@pytest.mark.parametrize("none", [None, 0, "0", "none", "None"])
def test_no_deadline_by_default(none: Any) -> None:
    environ = {"TENSORWIRE_DEFAULT_TIMEOUT": "1s"}
    assert load_config({"default_timeout": none}, environ).engine.limits.default_timeout is None


def test_defaults_of_a_caller_give_way_to_all_else() -> None:
    defaults = {"measure_budget": 0.0}
    for settings, environ, budget in [
        ({}, {}, 0.0),
        ({"measure_budget": "1s"}, {}, 1.0),
        ({}, {"TENSORWIRE_MEASURE_BUDGET": "3"}, 3.0),
    ]:
        config = load_config(settings, environ, defaults)
        assert config.engine.measuring.measure_budget == budget


def test_the_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = load_config(environ={}).engine.measuring.measure_cache
    assert cache == tmp_path / "tensorwire"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "everything"),
        ({"host": "localhost"}, "everything"),
        ({"host": "::1"}, "everything"),
        ({"host": "127.9.9.9"}, "everything"),
        ({"host": "0.0.0.0"}, "nothing"),
        ({"host": "::"}, "nothing"),
        ({"host": "example.org"}, "nothing"),
        ({"host": "0.0.0.0", "port": "off", "unix_socket": "@mine"}, "everything"),
        ({"host": "0.0.0.0", "port": "off", "rest_port": 0, "unix_socket": "@mine"}, "nothing"),
        ({"host": "0.0.0.0", "remote_control": True}, "everything"),
        ({"remote_control": "off"}, "nothing"),
    ],
)
def test_only_this_machine_may_change_the_models_unless_said_otherwise(
    settings: dict[str, object], expected: str
) -> None:
    config = load_config(settings, {})
    assert json.loads(config.listener.to_native())["control"] == expected


@pytest.mark.parametrize(
    ("host", "rest_host", "expected"),
    [
        ("0.0.0.0", None, "reload"),
        ("127.0.0.1", "::", "reload"),
        ("127.0.0.1", None, "everything"),
    ],
)
def test_a_model_server_opens_to_others_what_tensorflow_serving_does(
    host: str, rest_host: str | None, expected: str
) -> None:
    listener = load_config({"host": host, "rest_port": 0}, {}).listener
    told = dataclasses.replace(listener, rest_host=rest_host, takes_reloads=True)
    assert told.permitted == expected


@pytest.mark.parametrize("value", ["tcp://10.96.0.1:50051", "udp://[fd00::1]:1"])
def test_a_kubernetes_service_of_our_name_sets_no_port(value: str) -> None:
    environ = {"TENSORWIRE_PORT": value, "TENSORWIRE_REST_PORT": value}
    listener = load_config({}, environ).listener
    assert (listener.port, listener.rest_port) == (50051, None)
    with pytest.raises(ConfigError, match="port can't be"):
        load_config({"port": value}, {})


def test_a_key_in_place_of_a_path_is_not_shown() -> None:
    key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + "SECRET" * 200
    with pytest.raises(ConfigError) as caught:
        load_config({}, {"TENSORWIRE_TLS_KEY": key})
    assert "SECRET" not in str(caught.value)
    assert "it is no PEM text" in str(caught.value)
    with pytest.raises(ConfigError, match=r"there is no file /nowhere/key\.pem"):
        load_config({"tls_key": "/nowhere/key.pem"}, {})


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(ConfigError, match="set the variable XDG_CACHE_HOME"):
        load_config({}, {})
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert load_config({}, {}).stores.store_cache == Path("/cache/tensorwire/stores")
