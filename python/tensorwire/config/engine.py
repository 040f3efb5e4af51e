"""The settings of what runs the models: TensorFlow's session, limits, measuring."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tensorwire.repository.keras_export import cache_directory

from . import values
from .batching import Batching
from .memory import memory_limit
from .recorded import NO_WARMUP
from .request_log import RequestLog
from .setting import branch, setting

MAX_REQUESTS = 65_536
"""Requests at once by default: far more than clients that wait for their replies send,
and few enough that what is kept of each besides its tensors does no harm."""

MEMORY_SHARE = 4
"""Input tensors may take one part in so many of the memory by default: as much again is
needed to merge them, and for the outputs, and the models need the rest."""

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

    def version_options(
        self,
        batching: Batching,
        warmup: Mapping[str, Any] = NO_WARMUP,
        log: RequestLog | None = None,
    ) -> str:
        """The options of a version that is batched and warmed up so, and some of whose
        requests are kept, as `_core.Engine.load` takes them."""
        tags = list(self.saved_model_tags)
        return json.dumps(
            {
                "batching": batching.to_native(),
                "check_method_name": self.check_method_name,
                "tags": tags,
                "warmup": dict(warmup),
                "logging": None if log is None else log.to_native(tags),
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
