"""What a server is told: one frozen tree, filled from the environment, then from flags
or arguments, checked once and handed to the core as JSON. Nothing else in the package
reads `TENSORWIRE_*` variables of the server.
"""

from __future__ import annotations

from .batching import Batching
from .engine import EngineConfig
from .keywords import EngineSettings, Settings
from .loading import all_settings, load_config, load_part
from .request_log import RequestLog, request_log_of
from .setting import Setting
from .tree import LOG_FORMATS, LOG_LEVELS, LogConfig, ServeConfig
from .values import MAX_MESSAGE_BYTES
from .values import duration as parse_grace

__all__ = [
    "LOG_FORMATS",
    "LOG_LEVELS",
    "MAX_MESSAGE_BYTES",
    "Batching",
    "EngineConfig",
    "EngineSettings",
    "LogConfig",
    "RequestLog",
    "ServeConfig",
    "Setting",
    "Settings",
    "all_settings",
    "load_config",
    "load_part",
    "parse_grace",
    "request_log_of",
]
