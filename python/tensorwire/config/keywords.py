"""The settings as keyword arguments, for type checkers and editors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypedDict

from .batching import Batching
from .request_log import RequestLog

_Path = str | os.PathLike[str]


class EngineSettings(TypedDict, total=False):
    """The keyword arguments of `Model`; `EngineConfig` says what each means."""

    runner_threads: int
    saved_model_tags: str | Sequence[str]
    op_library: Sequence[_Path]
    tensorflow_dir: _Path | None
    intra_op_threads: int | None
    inter_op_threads: int | None
    xla: bool | str | None
    mixed_precision: str | None
    gpu_memory_growth: bool | None
    gpu_memory_fraction: float | None
    session_config_file: _Path | None
    check_method_name: bool
    measure_budget: float | str
    measure_cache: _Path | None


class Settings(EngineSettings, total=False):
    """The keyword arguments of `Server` and `serve`; what is left out comes from the
    environment, else from the defaults of `ServeConfig`. `batching` goes for all models,
    `model_batching` for those it names, and False for either switches it off."""

    host: str
    port: int | None
    rest_port: int | None
    unix_socket: _Path | None
    tls_certificate: _Path | None
    tls_key: _Path | None
    tls_client_ca: _Path | None
    tls_on: str | Sequence[str]
    max_connections: int
    max_connection_age: float | str | None
    keepalive_time: float | str | None
    grace: float | str
    max_message_size: int | str
    tensor_content: bool
    default_model: str | None
    monitoring_path: str | None
    rest_timeout: float | str | None
    cors: bool
    remote_control: bool | None
    io_threads: int
    config: _Path | None
    model_config_file: _Path | None
    config_poll_interval: float | str
    versions: str | int | Sequence[int]
    poll_interval: float | str
    store_poll_interval: float | str
    reload_changed: bool
    version_transition: str
    load_threads: int
    max_load_retries: int
    load_retry_interval: float | str
    listen_when: str
    batching: Batching | bool | None
    model_batching: Mapping[str, Batching | bool | None]
    batching_parameters: str | Sequence[str]
    max_batch_size: int | None
    batch_timeout: float | str | None
    allowed_batch_sizes: Sequence[int] | None
    pad_variable_length_inputs: bool
    no_batching: str | Sequence[str]
    enable_per_model_batching_parameters: bool
    max_requests: int
    max_rows: int
    max_bytes: int | str
    default_timeout: float | str | None
    warmup: bool
    warmup_iterations: int
    warmup_failing: str
    log_requests: str | Sequence[str] | Mapping[str, _Path | RequestLog]
    log_sampling: float | str
    log_requests_format: str
    log_requests_file_size: int | str
    log_requests_file_age: float | str | None
    log_requests_files: int
    log_requests_total_size: int | str
    store_cache: _Path
    store_cache_size: int | str


"""`Batching` and False (none) go for all models or, in `model_batching`, for one."""
