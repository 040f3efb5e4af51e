"""What each flag becomes in the tree; what it then does is tested with real servers."""

import logging
from pathlib import Path
from typing import Any

import pytest
import trustme

from tensorwire import Batching
from tensorwire.config import MAX_MESSAGE_BYTES, ServeConfig
from tensorwire.errors import ConfigError, TensorWireError
from tensorwire.model_server.command_line import read
from tensorwire.model_server.failure import status_of
from tensorwire.model_server.flags import FLAGS, cores
from tensorwire.model_server.settings import config_of, tell_without_effect

BASE = "--model_base_path=/models/m"


def config(*flags: str, **environ: str) -> ServeConfig:
    line = read([BASE, *flags])
    assert not line.faults
    assert not line.unknown
    return config_of(line, environ)


def refusal(*flags: str) -> tuple[str, str]:
    """The status and the text of a start that fails."""
    with pytest.raises(TensorWireError) as caught:
        config_of(read(list(flags)), {})
    return status_of(caught.value), str(caught.value)


def test_without_flags_it_is_as_there() -> None:
    told = config()
    listener, lifecycle = told.listener, told.lifecycle
    assert (listener.host, listener.port, listener.rest_port) == ("0.0.0.0", 8500, None)
    assert (listener.unix_socket, listener.tls.tls_certificate) == (None, None)
    assert listener.permitted == "reload"
    assert not listener.tensor_content
    assert (lifecycle.listen_when, lifecycle.max_load_retries) == ("loaded", 5)
    assert (lifecycle.load_retry_interval, lifecycle.poll_interval) == (60.0, 1.0)
    assert lifecycle.config_poll_interval == 0.0
    assert told.batches.batching == Batching()
    assert told.engine.saved_model_tags == ("serve",)
    assert told.log.log_format == "text"


def test_flags_go_before_the_environment() -> None:
    environ = {"TENSORWIRE_PORT": "1", "TENSORWIRE_HOST": "127.0.0.1", "TENSORWIRE_GRACE": "5s"}
    told = config("--port=2", **environ)
    assert (told.listener.port, told.listener.host, told.grace) == (2, "127.0.0.1", 5.0)
    assert told.listener.host_of("rest_port") == "127.0.0.1"
    assert config(**environ).listener.port == 1
    assert config(TENSORWIRE_LISTEN_WHEN="first").lifecycle.listen_when == "first"


def test_places(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    listener = config("--port=0", f"--grpc_socket_path={socket}", "--rest_api_port=8501").listener
    assert (listener.port, listener.rest_port) == (None, 8501)
    assert listener.unix_socket == str(socket)
    assert listener.host_of("rest_port") in ("::", "0.0.0.0")
    assert listener.host_of("port") == "0.0.0.0"
    status, text = refusal("--port=0", BASE)
    assert status == "INVALID_ARGUMENT"
    assert text == (
        "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
    )


def test_rest_on_grpcs_port(caplog: pytest.LogCaptureFixture) -> None:
    assert config("--rest_api_port=8500").listener.rest_port is None
    assert "http_port cannot be same as grpc_port" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], Batching()),
        (["--enable_batching=false"], Batching.off()),
        (
            ["--enable_batching"],
            Batching(max_batch_size=1000, batch_timeout_micros=0, max_enqueued_batches=10),
        ),
    ],
)
def test_batching(flags: list[str], expected: Batching) -> None:
    told = config(*flags)
    assert told.batches.batching == expected
    assert told.engine.runner_threads == (cores() if "--enable_batching" in flags else 0)


def test_a_batching_file(tmp_path: Path) -> None:
    file = tmp_path / "batching.txt"
    file.write_text("max_batch_size { value: 8 } num_batch_threads { value: 3 }")
    flag = f"--batching_parameters_file={file}"
    told = config(flag, "--enable_batching", "--enable_per_model_batching_parameters")
    expected = Batching(max_batch_size=8, batch_timeout_micros=0, max_enqueued_batches=10)
    assert told.batches.batching == expected
    assert told.batches.enable_per_model_batching_parameters
    assert told.engine.runner_threads == 3
    assert refusal(BASE, flag) == (
        "INVALID_ARGUMENT",
        "server_options.batching_parameters_file is set without setting "
        "server_options.enable_batching to true.",
    )
    file.write_text("max_batch: 1")
    status, text = refusal(BASE, flag, "--enable_batching")
    assert (status, text.startswith(f"{file}, line 1: ")) == ("INVALID_ARGUMENT", True)


def test_models(tmp_path: Path) -> None:
    assert refusal() == (
        "INVALID_ARGUMENT",
        "Both server_options.model_base_path and server_options.model_config_file are empty!",
    )
    file = tmp_path / "models.config"
    file.write_text("model_config_list {}")
    line = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=30"]
    lifecycle = config_of(read(line), {}).lifecycle
    assert (lifecycle.model_config_file, lifecycle.config_poll_interval) == (file, 30.0)
    status, text = refusal(f"--model_config_file={tmp_path}/x")
    assert (status, text) == (
        "NOT_FOUND",
        f"{tmp_path}/x; No such file or directory (--model_config_file)",
    )


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("--num_load_threads=3", "load_threads", 3),
        ("--max_num_load_retries=7", "max_load_retries", 7),
        ("--max_num_load_retries=-1", "max_load_retries", 1_000_000),
        ("--load_retry_interval_micros=1500000", "load_retry_interval", 1.5),
        ("--load_retry_interval_micros=-1", "load_retry_interval", 0.0),
        ("--load_retry_interval_micros=9000000000000000000", "load_retry_interval", 86400.0),
        ("--file_system_poll_wait_seconds=9", "poll_interval", 9.0),
        ("--file_system_poll_wait_seconds=0", "poll_interval", 0.0),
        ("--file_system_poll_wait_seconds=-1", "poll_interval", 0.0),
        ("--model_config_file_poll_wait_seconds=-1", "config_poll_interval", 0.0),
    ],
)
def test_lifecycle(flag: str, name: str, value: float) -> None:
    assert getattr(config(flag).lifecycle, name) == value


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--tensorflow_session_parallelism=3"], {"intra_op_threads": 3, "inter_op_threads": 3}),
        (
            ["--tensorflow_session_parallelism=3", "--tensorflow_intra_op_parallelism=2"],
            {"intra_op_threads": 2, "inter_op_threads": 3},
        ),
        (["--tensorflow_inter_op_parallelism=4"], {"inter_op_threads": 4}),
        (["--per_process_gpu_memory_fraction=0.5"], {"gpu_memory_fraction": 0.5}),
        (["--per_process_gpu_memory_fraction=0"], {}),
        (["--xla_cpu_compilation_enabled"], {"xla": True}),
        (["--xla_gpu_compilation_enabled"], {"xla": "gpu"}),
        (["--xla_cpu_compilation_enabled", "--xla_gpu_compilation_enabled"], {"xla": True}),
        (["--xla_gpu_compilation_enabled=false"], {"xla": False}),
        (["--mixed_precision=bfloat16"], {"mixed_precision": "bfloat16"}),
    ],
)
def test_session(flags: list[str], expected: dict[str, Any]) -> None:
    told = vars(config(*flags).engine.session)
    assert {name: value for name, value in told.items() if value is not None} == expected


def test_session_refusals(tmp_path: Path) -> None:
    three = [f"--tensorflow_{each}_parallelism=1" for each in ("session", "intra_op", "inter_op")]
    assert refusal(BASE, *three)[0] == "INVALID_ARGUMENT"
    status, text = refusal(BASE, "--mixed_precision=half")
    assert (status, text) == (
        "INVALID_ARGUMENT",
        "--mixed_precision can't be 'half': it is bfloat16 or nothing",
    )
    file = tmp_path / "session.txt"
    file.touch()
    told = config(f"--tensorflow_session_config_file={file}")
    assert told.engine.session.session_config_file == file


def test_what_a_request_meets() -> None:
    told = config("--grpc_max_threads=7", "--enable_serialization_as_tensor_content")
    assert told.engine.limits.max_requests == 7
    assert told.listener.tensor_content
    assert config("--enable_grpc_healthcheck_service").listener.short_health_names
    tags = config("--saved_model_tags=serve,gpu").engine.saved_model_tags
    assert tags == ("serve", "gpu")
    assert refusal(BASE, "--saved_model_tags=")[0] == "INVALID_ARGUMENT"


def test_channel_arguments(caplog: pytest.LogCaptureFixture) -> None:
    arguments = {
        "grpc.max_connection_age_ms": 2000,
        "grpc.max_connection_age_grace_ms": 500,
        "grpc.max_connection_idle_ms": 2**31 - 1,
        "grpc.keepalive_time_ms": 3000,
        "grpc.keepalive_timeout_ms": 100,
        "grpc.max_concurrent_streams": 5,
        "grpc.max_receive_message_length": 4096,
        "grpc.http2.bdp_probe": 0,
        "grpc.primary_user_agent": "me",
    }
    text = ",".join(f"{name}={value}" for name, value in arguments.items())
    told = config(f"--grpc_channel_arguments={text}").listener
    connections = told.connections
    assert connections.max_connection_age == 2.0
    assert connections.max_connection_age_grace == 0.5
    assert connections.max_connection_idle is None
    assert (connections.keepalive_time, connections.keepalive_timeout) == (3.0, 0.1)
    assert (connections.max_concurrent_streams, told.max_message_size) == (5, 4096)
    assert [record.message.split()[1] for record in caplog.records] == [
        "grpc.http2.bdp_probe",
        "grpc.primary_user_agent",
    ]
    unlimited = config("--grpc_channel_arguments=grpc.max_receive_message_length=-1")
    assert unlimited.listener.max_message_size == MAX_MESSAGE_BYTES


@pytest.mark.parametrize("text", ["x", "=1", "grpc.max_connection_age_ms=soon", "a=1,b"])
def test_bad_channel_arguments(text: str) -> None:
    status, message = refusal(BASE, f"--grpc_channel_arguments={text}")
    assert status == "INVALID_ARGUMENT"
    assert message.startswith("--grpc_channel_arguments: ")


PEM = "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n"


def test_ssl(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "ssl.txt"
    flags = (f"--ssl_config_file={file}", "--rest_api_port=8501")
    file.write_text(f'server_key: "{PEM}" server_cert: "{PEM}" custom_ca: "{PEM}"')
    tls = config(*flags).listener.tls
    assert [tls.is_on(place) for place in ("port", "rest_port", "unix_socket")] == [
        True,
        False,
        True,
    ]
    assert tls.tls_client_ca is None
    assert "port 8501 answers REST in the clear" in caplog.text
    file.write_text(f'server_key: "{PEM}" server_cert: "{PEM}" client_verify: true')
    assert config(*flags).listener.tls.tls_client_ca is not None
    file.write_text('server_key: "/secrets/key.pem" server_cert: "/x"')
    status, text = refusal(BASE, *flags)
    assert (status, "/secrets" in text) == ("INVALID_ARGUMENT", False)
    assert "server_cert is not PEM text; it has to hold the text itself" in text


def test_roots_that_a_machine_has_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trustme.CA().cert_pem.bytes().decode()
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "0a1b2c3d.0").write_text(root)
    (folder / "1a1b2c3d.0").write_text("broken")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    file = tmp_path / "ssl.txt"
    file.write_text(f'server_key: "{PEM}" server_cert: "{PEM}" client_verify: true')
    roots = config(f"--ssl_config_file={file}").listener.tls.tls_client_ca
    assert roots is not None
    assert roots.given.split() == root.split()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('server_cert: "x"\nserver_key: "-----BEGIN SECRET\\n', "missing ending quote"),
        ('server_cert: "x"\nserver_key = "-----BEGIN SECRET\\n"', "Expected"),
        ('server_cert: "x"\nserver_keyy: "-----BEGIN SECRET\\n"', 'no field named "server_keyy"'),
        ('server_cert: "x"\nserver_key: "-----BEGIN SECRET" }', "Expected"),
    ],
)
def test_what_is_wrong_in_a_file_shows_no_key(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "ssl.txt"
    file.write_text(text)
    status, message = refusal(BASE, f"--ssl_config_file={file}")
    assert status == "INVALID_ARGUMENT"
    assert message.startswith(f"{file}, line 2: ")
    assert says in message
    assert "SECRET" not in message


def test_alts_is_refused_and_never_served_in_the_clear(tmp_path: Path) -> None:
    status, text = refusal(BASE, "--use_alts_credentials")
    assert status == "UNIMPLEMENTED"
    assert "--ssl_config_file" in text
    both = (BASE, "--use_alts_credentials", f"--ssl_config_file={tmp_path}/x")
    assert refusal(*both)[0] == "INVALID_ARGUMENT"


def test_flags_without_effect_are_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    usual = [f"--{flag.name}={flag.usual}" for flag in FLAGS if not isinstance(flag.usual, bool)]
    tell_without_effect(read(usual))
    tell_without_effect(read(["--flush_filesystem_caches=true", "--enable_profiler=false"]))
    assert not caplog.records
    given = {
        "rest_api_num_threads": "=1",
        "allow_version_labels_for_unavailable_models": "",
        "num_unload_threads": "=2",
        "flush_filesystem_caches": "=false",
        "remove_unused_fields_from_bundle_metagraph": "=false",
        "prefer_tflite_model": "",
        "num_tflite_pools": "=1000",
        "num_tflite_interpreters_per_pool": "=2",
        "enable_profiler": "",
        "thread_pool_factory_config_file": "=/x",
        "skip_initialize_tpu": "",
    }
    tell_without_effect(read([f"--{name}{value}" for name, value in given.items()]))
    lines = [record.message for record in caplog.records]
    assert [line.split()[0] for line in lines] == [f"--{name}" for name in given]
    assert all(" has no effect: " in line and line.endswith(".") for line in lines)
    assert set(given) == {flag.name for flag in FLAGS if not flag.is_effective}


def test_files_that_can_not_be_read_are_told(tmp_path: Path) -> None:
    for flag in ("ssl_config_file", "tensorflow_session_config_file"):
        assert refusal(BASE, f"--{flag}={tmp_path}/none")[0] == "NOT_FOUND"
    with pytest.raises(ConfigError, match="TENSORWIRE_MODEL_CONFIG_FILE"):
        config(TENSORWIRE_MODEL_CONFIG_FILE="/nowhere/x")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/here" }', "/here"),
        ('prometheus_config { path: "/here" }', None),
        ("", None),
    ],
)
def test_monitoring(tmp_path: Path, text: str, path: str | None) -> None:
    file = tmp_path / "monitoring.txt"
    file.write_text(text)
    told = config(f"--monitoring_config_file={file}")
    assert told.listener.monitoring_path == path
    assert config().listener.monitoring_path == "/monitoring/prometheus/metrics"


PLATFORM = """
platform_configs {
  key: "tensorflow"
  value {
    source_adapter_config {
      [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] {
        legacy_config {
          session_config { intra_op_parallelism_threads: 4 }
          batching_parameters { max_batch_size { value: 16 } }
          saved_model_tags: "serve"
          saved_model_tags: "gpu"
          enable_session_metadata: true
        }
      }
    }
  }
}
"""


def test_platform_config_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "platform.txt"
    flag = f"--platform_config_file={file}"
    file.write_text(PLATFORM)
    told = config(flag, "--saved_model_tags=other", "--enable_batching=false")
    assert told.engine.saved_model_tags == ("serve", "gpu")
    assert told.batches.batching.max_batch_size == 16
    assert told.batches.batching.max_enqueued_batches == 10
    assert "its session_config is not applied" in caplog.text
    # What it does not say is not said by flags either.
    batching = ("--enable_batching", "--enable_per_model_batching_parameters")
    assert not config(flag, *batching).batches.enable_per_model_batching_parameters
    file.write_text(PLATFORM.replace("batching_parameters { max_batch_size { value: 16 } }", ""))
    assert config(flag, *batching).batches.batching == Batching()
    caplog.clear()
    file.write_text(PLATFORM.replace('key: "tensorflow"', 'key: "other"'))
    assert refusal(BASE, flag) == (
        "INVALID_ARGUMENT",
        "--platform_config_file: it says nothing of the platform tensorflow",
    )
    assert "the platform other is not served" in caplog.text
    file.write_text('platform_configs { key: "tensorflow" value {} }')
    assert "is configured by nothing" in refusal(BASE, flag)[1]
    file.write_text("platform_configs {")
    assert refusal(BASE, flag)[1].startswith(f"{file}, line 1: ")
    file.write_text(PLATFORM.replace("SavedModelBundleSource", "Another"))
    assert refusal(BASE, flag)[0] == "INVALID_ARGUMENT"


def test_warmup() -> None:
    warmups = config("--enable_model_warmup=false").warmups
    assert (warmups.warmup, warmups.warmup_iterations) == (False, 1)
    many = config("--num_request_iterations_for_warmup=5000").warmups
    assert many.warmup_iterations == 5000
    warmups = config("--num_request_iterations_for_warmup=3").warmups
    assert (warmups.warmup, warmups.warmup_iterations) == (True, 3)
    assert config("--num_request_iterations_for_warmup=-3").warmups.warmup_iterations == 1


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(1500, 1.5), (0, None), (2**31 - 1, 86400.0)]
)
def test_rest(milliseconds: int, seconds: float | None) -> None:
    told = config(f"--rest_api_timeout_in_ms={milliseconds}", "--rest_api_enable_cors_support")
    assert (told.listener.rest_timeout, told.listener.cors) == (seconds, True)
    assert config().listener.rest_timeout == 30.0
