"""Turns TensorFlow Serving's flags into the settings of `tensorwire serve`: there is one
server, and one tree that says what it does."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any

from tensorwire.config import ServeConfig, load_config
from tensorwire.config.values import MAX_DURATION_SECONDS

from .batching import batching_settings
from .command_line import CommandLine
from .failure import invalid
from .files import named_file, named_message
from .flags import FLAGS
from .network import channel_settings, network_settings, rest_host
from .platform import platform_settings

_log = logging.getLogger("tensorwire.model_server")

DEFAULTS: Mapping[str, Any] = {
    # Every network, where `tensorwire serve` is for this machine alone.
    "host": "0.0.0.0",  # noqa: S104 (as TensorFlow Serving does)
    "port": 8500,
    # Tools look for words in the log's lines.
    "log_format": "text",
    "listen_when": "loaded",
    "load_retry_interval": 60.0,
    "config_poll_interval": 0.0,
}
"""What TensorFlow Serving does where no flag says otherwise. Variables of the environment go
before it, and flags before them."""

MAX_RETRIES = 1_000_000


def config_of(line: CommandLine, environ: Mapping[str, str] | None = None) -> ServeConfig:
    """The tree that these flags mean.

    Raises StartError or ConfigError for what can't be.
    """
    environ = os.environ if environ is None else environ
    given = network_settings(line)
    given |= _lifecycle(line) | _session(line) | batching_settings(line) | _serving(line)
    given |= platform_settings(line)
    connections, more = channel_settings(line)
    config = load_config(given | more, environ, DEFAULTS)
    listener = config.listener
    every = listener.host == DEFAULTS["host"]
    listener = dataclasses.replace(
        listener,
        connections=dataclasses.replace(listener.connections, **connections),
        rest_host=rest_host() if every else None,
        rest_optional=True,
        short_health_names=line.is_on("enable_grpc_healthcheck_service"),
        takes_reloads=True,
    )
    lifecycle = dataclasses.replace(config.lifecycle, waits_for_models=True)
    return dataclasses.replace(config, listener=listener, lifecycle=lifecycle)


def tell_without_effect(line: CommandLine) -> None:
    """One log line for each flag that was given to no effect."""
    for flag in FLAGS:
        if flag.is_effective:
            continue
        asks = line.changed(flag.name)
        if flag.name == "enable_profiler":
            # What it asks for is its default.
            asks = line.given.get(flag.name) is True
        if asks:
            _log.warning("--%s has no effect: %s", flag.name, flag.description)


def _lifecycle(line: CommandLine) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    file = named_file(line, "model_config_file")
    if file is not None:
        settings["model_config_file"] = file
    elif not line.text("model_base_path"):
        raise invalid(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    given = line.given
    if "model_config_file_poll_wait_seconds" in given:
        wait = line.number("model_config_file_poll_wait_seconds")
        settings["config_poll_interval"] = _duration(wait)
    if "file_system_poll_wait_seconds" in given:
        settings["poll_interval"] = _duration(line.number("file_system_poll_wait_seconds"))
    if "num_load_threads" in given:
        settings["load_threads"] = line.number("num_load_threads")
    if "max_num_load_retries" in given:
        # A negative number becomes a huge one there.
        retries = line.number("max_num_load_retries")
        settings["max_load_retries"] = MAX_RETRIES if retries < 0 else min(retries, MAX_RETRIES)
    if "load_retry_interval_micros" in given:
        micros = line.number("load_retry_interval_micros")
        settings["load_retry_interval"] = _duration(micros / 1e6)
    return settings


def _duration(seconds: float) -> float:
    """Below zero means not at all, as zero does here."""
    return min(max(0.0, float(seconds)), MAX_DURATION_SECONDS)


def _session(line: CommandLine) -> dict[str, Any]:
    every = line.number("tensorflow_session_parallelism")
    inside = line.number("tensorflow_intra_op_parallelism")
    between = line.number("tensorflow_inter_op_parallelism")
    if every > 0 and inside > 0 and between > 0:
        raise invalid(
            "--tensorflow_session_parallelism says what --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism say: give that one or those two"
        )
    settings: dict[str, Any] = {}
    if inside or every:
        settings["intra_op_threads"] = inside or every
    if between or every:
        settings["inter_op_threads"] = between or every
    file = named_file(line, "tensorflow_session_config_file")
    if file is not None:
        settings["session_config_file"] = file
    if line["per_process_gpu_memory_fraction"]:
        settings["gpu_memory_fraction"] = line["per_process_gpu_memory_fraction"]
    settings |= _compilation(line)
    settings["saved_model_tags"] = line.text("saved_model_tags")
    return settings


def _compilation(line: CommandLine) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    cpu, gpu = (f"xla_{each}_compilation_enabled" for each in ("cpu", "gpu"))
    if cpu in line.given or gpu in line.given:
        settings["xla"] = line.is_on(cpu) or ("gpu" if line.is_on(gpu) else False)
    precision = line.text("mixed_precision")
    if precision not in ("", "bfloat16"):
        raise invalid(f"--mixed_precision can't be {precision!r}: it is bfloat16 or nothing")
    if precision:
        settings["mixed_precision"] = precision
    return settings


def _serving(line: CommandLine) -> dict[str, Any]:
    settings = _monitoring(line) | _warmup(line)
    if "rest_api_timeout_in_ms" in line.given:
        milliseconds = line.number("rest_api_timeout_in_ms")
        settings["rest_timeout"] = min(milliseconds / 1000, MAX_DURATION_SECONDS)
    if "rest_api_enable_cors_support" in line.given:
        settings["cors"] = line.is_on("rest_api_enable_cors_support")
    if "grpc_max_threads" in line.given:
        settings["max_requests"] = line.number("grpc_max_threads")
    if "enable_signature_method_name_check" in line.given:
        settings["check_method_name"] = line.is_on("enable_signature_method_name_check")
    if "enable_serialization_as_tensor_content" in line.given:
        settings["tensor_content"] = line.is_on("enable_serialization_as_tensor_content")
    return settings


def _warmup(line: CommandLine) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if "enable_model_warmup" in line.given:
        settings["warmup"] = line.is_on("enable_model_warmup")
    times = line.number("num_request_iterations_for_warmup")
    if times > 0:
        settings["warmup_iterations"] = times
    return settings


def _monitoring(line: CommandLine) -> dict[str, Any]:
    config = named_message(line, "monitoring_config_file", "MonitoringConfig")
    if config is None:
        return {}
    prometheus = config.prometheus_config
    if not prometheus.enable:
        return {"monitoring_path": "off"}
    return {"monitoring_path": prometheus.path} if prometheus.path else {}
