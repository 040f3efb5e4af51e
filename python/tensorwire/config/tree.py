"""The tree of settings: what a server is told, in frozen dataclasses that hand the core its
part as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from . import values
from .batches import BatchingConfig
from .batching import Batching
from .engine import EngineConfig
from .lifecycle import LifecycleConfig
from .listener import ListenerConfig
from .recorded import RequestLogConfig, WarmupConfig
from .setting import branch, setting
from .stores import StoreConfig

LOG_FORMATS = ("auto", "text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


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
    warmups: WarmupConfig = branch(WarmupConfig)
    request_logs: RequestLogConfig = branch(RequestLogConfig)

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

        Raises ConfigError for a file in its folder that can't be read, and for what the tables
        can't say.
        """
        tables = tables or {}
        return self.engine.version_options(
            batching or self.batches.of_version(model, folder),
            self.warmups.of_model(tables.get("warmup", {}), model),
            self.request_logs.of_model(tables.get("logging", {}), model),
        )
