import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tensorwire import model_server
from tensorwire.cli.program import run
from tensorwire.config import LogConfig, load_part
from tensorwire.model_server.command_line import read, usage
from tensorwire.model_server.flag import Kind
from tensorwire.model_server.flags import BY_NAME, FLAGS

# As TensorFlow Serving's own main.cc declares them; None: by the machine.
DEFAULTS: dict[str, Any] = {
    "port": 8500,
    "grpc_socket_path": "",
    "rest_api_port": 0,
    "rest_api_num_threads": None,
    "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "enable_batching": False,
    "allow_version_labels_for_unavailable_models": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "model_name": "default",
    "model_base_path": "",
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60000000,
    "file_system_poll_wait_seconds": 1,
    "flush_filesystem_caches": True,
    "tensorflow_session_parallelism": 0,
    "tensorflow_session_config_file": "",
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "use_alts_credentials": False,
    "ssl_config_file": "",
    "platform_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "saved_model_tags": "serve",
    "grpc_channel_arguments": "",
    "grpc_max_threads": None,
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "version": False,
    "monitoring_config_file": "",
    "remove_unused_fields_from_bundle_metagraph": True,
    "prefer_tflite_model": False,
    "num_tflite_pools": None,
    "num_tflite_interpreters_per_pool": 1,
    "enable_signature_method_name_check": False,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "enable_profiler": True,
    "thread_pool_factory_config_file": "",
    "mixed_precision": "",
    "skip_initialize_tpu": False,
    "enable_grpc_healthcheck_service": False,
    "enable_serialization_as_tensor_content": False,
}


def test_there_are_all_48_flags_with_their_defaults() -> None:
    assert len(FLAGS) == len(BY_NAME) == 48
    assert [flag.name for flag in FLAGS] == list(DEFAULTS)
    for flag in FLAGS:
        expected = DEFAULTS[flag.name]
        assert expected is None or flag.usual == expected, flag.name
    threads = BY_NAME["num_tflite_pools"].usual
    assert isinstance(threads, int)
    assert BY_NAME["grpc_max_threads"].usual == 4 * threads
    assert BY_NAME["rest_api_num_threads"].usual == 4 * threads


def test_only_name_and_value_with_an_equals_sign() -> None:
    line = read(["--port=1", "--model_name", "x", "-port=2", "port=3", "--Port=4", "--nope=5"])
    assert line.given == {"port": 1}
    assert line.unknown == ["--model_name", "x", "-port=2", "port=3", "--Port=4", "--nope=5"]
    assert not line.wants_usage
    assert (line.text("model_name"), line.number("rest_api_port")) == ("default", 0)


def test_the_last_of_several_counts() -> None:
    line = read(["--port=1", "--port=2", "--enable_batching", "--enable_batching=false"])
    assert line.given == {"port": 2, "enable_batching": False}


def test_values_may_be_empty_and_have_equals_signs() -> None:
    line = read(["--model_name=", "--grpc_channel_arguments=a=1,b=2"])
    assert line.given == {"model_name": "", "grpc_channel_arguments": "a=1,b=2"}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--enable_batching", True),
        ("--enable_batching=true", True),
        ("--flush_filesystem_caches=false", False),
        ("--load_retry_interval_micros=-9223372036854775808", -(2**63)),
        ("--max_num_load_retries=+7", 7),
        ("--port= 80", 80),
        ("--per_process_gpu_memory_fraction=.5", 0.5),
        ("--per_process_gpu_memory_fraction=1e-1", 0.1),
    ],
)
def test_values(argument: str, value: object) -> None:
    assert list(read([argument]).given.values()) == [value]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--enable_batching=1", "--enable_batching can't be '1': it must be true or false"),
        ("--enable_batching=TRUE", "it must be true or false"),
        ("--enable_batching=", "it must be true or false"),
        ("--port=", "--port can't be '': it is not a whole number"),
        ("--port=80a", "it is not a whole number"),
        ("--port=80 ", "it is not a whole number"),
        ("--port=1.0", "it is not a whole number"),
        ("--port=0x50", "it is not a whole number"),
        ("--port=1_0", "it is not a whole number"),
        ("--port=٣", "it is not a whole number"),
        ("--port=" + "9" * 5000, "it is not a whole number"),
        ("--port=65536", "it is not between 0 and 65535"),
        ("--port=-1", "it is not between 0 and 65535"),
        ("--max_num_load_retries=2147483648", "it does not fit in int32"),
        ("--load_retry_interval_micros=9223372036854775808", "it does not fit in int64"),
        ("--per_process_gpu_memory_fraction=half", "it is not a number"),
        ("--per_process_gpu_memory_fraction=nan", "it is not a number"),
        ("--per_process_gpu_memory_fraction=1.5", "it is not between 0 and 1"),
        ("--grpc_max_threads=0", "it is not between 1 and"),
    ],
)
def test_bad_values_are_faults(argument: str, says: str) -> None:
    line = read([argument])
    assert line.wants_usage
    (fault,) = line.faults
    assert says in fault
    assert line.given == {}


def test_help_is_for_itself() -> None:
    assert read(["--help"]).wants_usage
    assert read(["--port=1", "--help"]).wants_usage
    # As in TensorFlow's own parser, where it is one unknown argument of several.
    assert not read(["x", "--help"]).wants_usage


def test_what_follows_two_dashes_is_unknown() -> None:
    line = read(["--port=1", "--", "--port=2"])
    assert (line.given, line.unknown) == ({"port": 1}, ["--", "--port=2"])


def test_the_command_hands_all_of_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def main(arguments: object, program: str) -> int:
        seen.extend([arguments, program])
        return 7

    command = importlib.import_module("tensorwire.cli.model_server")
    monkeypatch.setattr(command, "main", main)
    words = ["-x", "--port=1", "--help", "y", "--debug", "--", "--port=2", "--unheard of"]
    assert run(["model-server", *words]) == 7
    assert seen == [tuple(words), "tensorwire model-server"]


def test_the_usage_text_names_every_flag_once() -> None:
    lines = usage("server").splitlines()
    assert lines[:2] == ["usage: server", "Flags:"]
    assert len(lines) == 51
    assert "TENSORWIRE_HOST" in lines[-1]
    for flag, line in zip(FLAGS, lines[2:-1], strict=True):
        shown, kind, description = line.removeprefix("\t").split("\t")
        assert shown.startswith(f"--{flag.name}=")
        assert kind == flag.kind.value
        assert description.endswith(".")
        assert "  " not in description
    assert '\t--saved_model_tags="serve" ' in usage("server")
    assert "\t--enable_batching=false " in usage("server")


@pytest.mark.parametrize("kind", Kind)
def test_there_are_flags_of_every_kind(kind: Kind) -> None:
    assert any(flag.kind is kind for flag in FLAGS)


@pytest.mark.parametrize("arguments", [["--help"], ["--port=x"], ["--enable_batching=maybe"]])
def test_the_program_prints_its_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert model_server.main(arguments) == 255
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: tensorwire-model-server\nFlags:\n")
    assert "\n\t--port=8500 " in printed.out
    assert bool(printed.err) is (arguments != ["--help"])


def test_the_program_goes_on_after_an_unknown_argument(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "none"
    arguments = ["--prot=1", "--port", "1", f"--model_config_file={missing}"]
    assert model_server.main(arguments) == 255
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"unknown argument: {each}" for each in ("--prot=1", "--port", "1")]
    assert lines[3].startswith("usage: ")
    assert lines[-1] == (
        f"Failed to start server. Error: NOT_FOUND: {missing}; No such file or directory "
        "(--model_config_file)"
    )


def test_variables_that_flags_go_before_are_not_looked_at(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before the flags either: by themselves these can't be."""
    monkeypatch.setenv("TENSORWIRE_PORT", "http")
    monkeypatch.setenv("TENSORWIRE_REST_PORT", "8500")
    missing = f"--model_config_file={tmp_path / 'none'}"
    assert model_server.main(["--port=9000", "--rest_api_port=8501", missing]) == 255
    assert "Error: NOT_FOUND: " in capsys.readouterr().out
    # What is told before the flags are looked at is of the log alone, and may be in a file.
    file = tmp_path / "tensorwire.toml"
    file.write_text('[server]\nlog_level = "error"\nport = 8500\nrest_port = 8500\n')
    monkeypatch.setenv("TENSORWIRE_CONFIG", str(file))
    assert load_part(LogConfig, defaults={"log_format": "text"}) == LogConfig("text", "error")
    monkeypatch.setenv("TENSORWIRE_LOG_LEVEL", "loud")
    assert model_server.main(["--port=9000", missing]) == 255
    assert "TENSORWIRE_LOG_LEVEL can't be 'loud'" in capsys.readouterr().out


def test_every_flag_has_a_test_of_its_effect() -> None:
    here = Path(__file__).parent
    folders = (here, here.parent.parent / "e2e" / "model_server")
    tests = [file for folder in folders for file in folder.glob("test_*.py")]
    # This file's table of them all is no test.
    texts = [file.read_text() for file in tests if file != Path(__file__)]
    untested = [
        flag.name
        for flag in FLAGS
        # Printing the version is in this file too; the name of a model is said everywhere.
        if not any(re.search(rf"\b{flag.name}\b", text) for text in texts)
    ]
    assert untested == []


def test_the_program_is_installed() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert '\ntensorwire-model-server = "tensorwire.model_server:main"\n' in project
