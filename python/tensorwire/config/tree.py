"""The tree of settings: what a server is told, in frozen dataclasses that hand the core its
part as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tensorwire.errors import ConfigError
from tensorwire.repository.keras_export import cache_directory
from tensorwire.repository.stores import DEFAULT_LIMIT, default_folder, open_cache

from . import values
from .batches import BatchingConfig
from .batching import Batching
from .lifecycle import LifecycleConfig
from .memory import memory_limit
from .network import ConnectionsConfig, TlsConfig
from .setting import branch, setting

if TYPE_CHECKING:
    from tensorwire.repository.stores.cache import StoreCache

MAX_REQUESTS = 65_536
"""Requests at once by default: far more than clients that wait for their replies send,
and few enough that what is kept of each besides its tensors does no harm."""

MEMORY_SHARE = 4
"""Input tensors may take one part in so many of the memory by default: as much again is
needed to merge them, and for the outputs, and the models need the rest."""

LOG_FORMATS = ("auto", "text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")

_threads = values.whole_number(values.MAX_THREADS)
_count = values.whole_number(values.MAX_COUNT)


@dataclass(frozen=True)
class SessionConfig:
    """How TensorFlow uses the machine. What is None is as the file says, else as the
    description says. TensorFlow has one set of threads for a process, made for its first
    session: the first engine's threads count for all."""

    HEADING: ClassVar[str] = "TensorFlow's session"

    intra_op_threads: int | None = setting(
        None,
        values.optional(_threads),
        "TensorFlow's threads inside one op; 0: one a core, which answers a lone request "
        "soonest; 1 takes less CPU where many run at once.",
        shown="0",
    )
    inter_op_threads: int | None = setting(
        None,
        values.optional(_threads),
        "TensorFlow's threads between ops; 0: one a core.",
        shown="0",
    )
    xla: bool | str | None = setting(
        None,
        values.optional(values.xla),
        "Let XLA compile what it can of every model, once for each batch size: on, off, or gpu "
        "for GPUs alone. On a CPU it is often slower, for convolutions by far.",
        shown="off",
    )
    mixed_precision: str | None = setting(
        None,
        values.optional(values.one_of("bfloat16", "off")),
        "Let TensorFlow compute in bfloat16 where the CPU is faster with it: bfloat16 or off.",
        shown="off",
    )
    gpu_memory_growth: bool | None = setting(
        None,
        values.optional(values.flag),
        "Take GPU memory as it is needed, not all of it at the start: on or off.",
        shown="on",
    )
    gpu_memory_fraction: float | None = setting(
        None,
        values.optional(values.fraction),
        "Most of each GPU's memory that is taken, such as 0.5 or 50%.",
        shown="what the GPU has",
    )
    session_config_file: Path | None = setting(
        None,
        values.optional(values.file),
        "File with TensorFlow's ConfigProto, in text format, or encoded with a name that "
        "ends in .pb; the flags above go before what it says.",
    )

    def to_native(self, base: bytes | None) -> dict[str, Any]:
        """As `_core.Engine` takes it; `base` is the file's message, encoded."""
        return {
            "base": None if base is None else list(base),
            "intra_op_threads": self.intra_op_threads,
            "inter_op_threads": self.inter_op_threads,
            "xla": None if self.xla is None else bool(self.xla),
            "xla_on_cpu": None if self.xla is None else self.xla is True,
            "bfloat16": None if self.mixed_precision is None else self.mixed_precision != "off",
            "gpu_memory_growth": self.gpu_memory_growth,
            "gpu_memory_fraction": self.gpu_memory_fraction,
        }


@dataclass(frozen=True)
class LimitsConfig:
    """How much work is let in at once, waiting and running; over it requests are refused
    with RESOURCE_EXHAUSTED. 0 of any: without a limit."""

    HEADING: ClassVar[str] = "Limits"

    max_requests: int = setting(MAX_REQUESTS, _count, "Most requests at once; 0: no limit.")
    max_rows: int = setting(
        0, _count, "Most rows (sizes of first dimensions) of all requests at once; 0: no limit."
    )
    max_bytes: int = setting(
        lambda: memory_limit() // MEMORY_SHARE,
        values.memory_size,
        "Most bytes of input tensors at once, such as 4GiB; 0: no limit.",
        shown="a quarter of the memory",
    )
    default_timeout: float | None = setting(
        None,
        values.time_limit,
        "Deadline of requests that come without one, such as 5s.",
        shown="none",
    )


@dataclass(frozen=True)
class MeasuringConfig:
    """How a model's cost is measured when it is loaded."""

    HEADING: ClassVar[str] = "Measuring"

    measure_budget: float = setting(
        2.0,
        values.duration,
        "Time to measure what a version's batches cost when it is loaded; 0: not at all.",
        shown="2s",
    )
    measure_cache: Path | None = setting(
        cache_directory,
        values.cache_folder,
        "Folder that keeps the measures for later starts; off: none.",
        shown="~/.cache/tensorwire",
    )


@dataclass(frozen=True)
class StoreConfig:
    """Where models from stores such as s3:// are kept on this machine."""

    HEADING: ClassVar[str] = "Model stores"

    store_cache: Path = setting(
        default_folder,
        values.new_folder,
        "Folder that keeps what was downloaded from model stores; several servers may share it.",
        shown="~/.cache/tensorwire/stores",
    )
    store_cache_size: int = setting(
        DEFAULT_LIMIT,
        values.memory_size,
        "Most bytes in it, such as 50GiB: what was used longest ago is removed, and never "
        "what is served; 0: no limit.",
        shown="20GiB",
    )

    def open_cache(self) -> StoreCache:
        """The cache; nothing is made or looked at yet."""
        return open_cache(self.store_cache, self.store_cache_size)


@dataclass(frozen=True)
class EngineConfig:
    """What runs the models."""

    HEADING: ClassVar[str] = "Engine"

    tensorflow_dir: Path | None = setting(
        None,
        values.optional(values.directory),
        "Folder of the TensorFlow package to use; found if not given.",
    )
    op_library: tuple[Path, ...] = setting(
        (), values.files, "Shared library with custom TensorFlow ops; may be given several times."
    )
    saved_model_tags: tuple[str, ...] = setting(
        ("serve",),
        values.tags,
        "Tags, with commas between them, of the graph that is served of each SavedModel.",
        shown="serve",
    )
    runner_threads: int = setting(0, _threads, "Threads that run larger models; 0: one a core.")
    check_method_name: bool = setting(
        False,
        values.flag,
        "Answer a request only by a signature whose method_name is of its kind, as TensorFlow "
        "Serving does with --enable_signature_method_name_check.",
    )
    session: SessionConfig = branch(SessionConfig)
    limits: LimitsConfig = branch(LimitsConfig)
    measuring: MeasuringConfig = branch(MeasuringConfig)

    def version_options(self, batching: Batching) -> str:
        """The options of a version that is batched so, as `_core.Engine.load` takes them."""
        return json.dumps(
            {
                "batching": batching.to_native(),
                "check_method_name": self.check_method_name,
                "tags": list(self.saved_model_tags),
            }
        )

    def to_native(self, tensorflow_dir: Path, base: bytes | None = None) -> str:
        """The JSON that `_core.Engine` takes; `base` is the session's file, encoded."""
        limits, measuring = self.limits, self.measuring
        cache = measuring.measure_cache
        return json.dumps(
            {
                "tensorflow_dir": str(tensorflow_dir),
                "op_libraries": [str(path) for path in self.op_library],
                "runner_threads": self.runner_threads,
                "limits": {
                    "requests": limits.max_requests,
                    "rows": limits.max_rows,
                    "bytes": limits.max_bytes,
                },
                "default_timeout": limits.default_timeout,
                "measuring": {
                    "budget": measuring.measure_budget,
                    "cache": None if cache is None else str(cache),
                },
                "session": self.session.to_native(base),
            }
        )


@dataclass(frozen=True)
class ListenerConfig:
    """Where and how requests come in."""

    HEADING: ClassVar[str] = "Network"

    host: str = setting(
        "127.0.0.1",
        values.host,
        "Address to listen on; 0.0.0.0 or :: offers the server to every network.",
    )
    port: int | None = setting(
        50051,
        values.switchable_port,
        "Port to listen on, for gRPC and REST; 0: any free one; off: none.",
    )
    rest_port: int | None = setting(
        None,
        values.switchable_port,
        "A further port for REST alone; 0: any free one.",
        shown="none",
    )
    unix_socket: str | None = setting(
        None,
        values.optional(values.socket_path),
        "Unix socket to listen on too: a file, which is made and removed, or @NAME in "
        "Linux's abstract namespace.",
    )
    io_threads: int = setting(
        0, _threads, "Threads that read and write the network; 0: one a core."
    )
    max_message_size: int = setting(
        values.MAX_MESSAGE_BYTES,
        values.message_size,
        "Largest request taken, such as 64MiB.",
        shown="2GiB - 1",
    )
    tensor_content: bool = setting(
        False,
        values.flag,
        "Answer tensors as raw bytes even where the call did not ask for it: cheaper, "
        "but clients that read float_val and the like find it empty.",
    )
    default_model: str | None = setting(
        None,
        values.optional_text,
        "Model for text requests that name none, where several are served.",
    )
    monitoring_path: str | None = setting(
        "/monitoring/prometheus/metrics",
        values.page_path,
        "Path of the page with metrics under TensorFlow Serving's names, beside /metrics; off: "
        "none.",
    )
    rest_timeout: float | None = setting(
        30.0,
        values.time_limit,
        "Time that a REST request may take once its body is there; none: any time.",
        shown="30s",
    )
    cors: bool = setting(
        False,
        values.flag,
        "Let scripts of any web page call the REST API.",
    )
    remote_control: bool | None = setting(
        None,
        values.optional(values.flag),
        "Let callers add, remove and reload models over the network: on or off.",
        shown="on where only this machine is listened to",
    )

    rest_host: str | None = None
    """Where `rest_port` is, if not at `host`."""

    short_health_names: bool = False
    """Health knows services by the names that TensorFlow Serving has for them as well."""

    tls: TlsConfig = branch(TlsConfig)
    connections: ConnectionsConfig = branch(ConnectionsConfig)

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ConfigError(
                "there is nothing to listen on: port is off, and neither rest_port nor "
                "unix_socket is given"
            )
        if self.port and self.port == self.rest_port:
            raise ConfigError(
                f"port and rest_port can't both be {self.port}; REST is answered on port too"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The settings that say where it listens, in the order the core is told them."""
        each = {
            "port": self.port,
            "rest_port": self.rest_port,
            "unix_socket": self.unix_socket,
        }
        return tuple(kind for kind, value in each.items() if value is not None)

    def host_of(self, kind: str) -> str:
        """The address that one of its TCP ports is at."""
        if kind == "rest_port" and self.rest_host is not None:
            return self.rest_host
        return self.host

    @property
    def takes_commands(self) -> bool:
        """Whether callers may change the models."""
        if self.remote_control is None:
            return self.kinds == ("unix_socket",) or values.is_loopback(self.host)
        return self.remote_control

    def _listener(self, kind: str) -> dict[str, Any]:
        tls = self.tls.to_native() if self.tls.is_on(kind) else None
        if kind == "unix_socket":
            return {"kind": "unix", "path": self.unix_socket, "tls": tls}
        port, protocols = (self.port, "all") if kind == "port" else (self.rest_port, "rest")
        place = {"kind": "tcp", "host": self.host_of(kind), "port": port}
        return {**place, "protocols": protocols, "tls": tls}

    def to_native(self) -> str:
        """The JSON that `_core.Server` takes.

        Raises ConfigError for a TLS file that can't be read.
        """
        return json.dumps(
            {
                "listeners": [self._listener(kind) for kind in self.kinds],
                "connections": self.connections.to_native(),
                "io_threads": self.io_threads,
                "max_message_bytes": self.max_message_size,
                "tensor_content": self.tensor_content,
                "rest": {"timeout": self.rest_timeout, "cors": self.cors},
                "default_model": self.default_model,
                "monitoring_path": self.monitoring_path,
                "short_health_names": self.short_health_names,
                "control": self.takes_commands,
            }
        )


@dataclass(frozen=True)
class LogConfig:
    """What is said about it while it runs, on standard error."""

    HEADING: ClassVar[str] = "Log"

    log_format: str = setting(
        "auto",
        values.one_of(*LOG_FORMATS),
        "Log lines as text or json; auto: text on a terminal.",
    )
    log_level: str = setting(
        "info", values.one_of(*LOG_LEVELS), "Least important log lines shown."
    )


@dataclass(frozen=True)
class ServeConfig:
    """The whole tree."""

    HEADING: ClassVar[str] = "Network"

    listener: ListenerConfig = branch(ListenerConfig)
    grace: float = setting(
        30.0,
        values.duration,
        "Time for running requests to finish when stopped, such as 30s.",
        shown="30s",
    )
    lifecycle: LifecycleConfig = branch(LifecycleConfig)
    batches: BatchingConfig = branch(BatchingConfig)
    engine: EngineConfig = branch(EngineConfig)
    stores: StoreConfig = branch(StoreConfig)
    log: LogConfig = branch(LogConfig)

    def version_options(
        self,
        model: str,
        folder: Path,
        batching: Batching | None = None,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> str:
        """A version's options as JSON, as `_core.Engine.load` takes them. What is said of the
        model itself goes before the settings: its `batching`, and its `tables` warmup and
        logging.

        Raises ConfigError for a file in its folder that can't be read, and for what the
        tables can't say.
        """
        for name in tables or {}:
            raise ConfigError(f"{name} of model {model!r} can't be set by this server")
        return self.engine.version_options(batching or self.batches.of_version(model, folder))
