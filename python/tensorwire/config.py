"""What a server is told: one frozen tree, filled from the environment, then from flags
or arguments, checked once and handed to the core as JSON. Nothing else in the package
reads `TENSORWIRE_*` variables of the server.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from .errors import ConfigError
from .units import parse_duration, parse_size

MAX_MESSAGE_BYTES = 2**31 - 1
"""The largest message that gRPC's own implementations can take: 2 GiB less one byte."""

MAX_GRACE_SECONDS = 86_400.0
"""A day; a longer grace is taken for a mistake in the unit."""

MAX_THREADS = 1024
"""More threads than any machine this runs on has use for."""

LOG_FORMATS = ("auto", "text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


class EngineSettings(TypedDict, total=False):
    """The keyword arguments of `Model`; `EngineConfig` says what each means."""

    runner_threads: int
    intra_op_threads: int
    inter_op_threads: int
    op_library: Sequence[str | os.PathLike[str]]
    tensorflow_dir: str | os.PathLike[str] | None


class Settings(EngineSettings, total=False):
    """The keyword arguments of `Server` and `serve`; what is left out comes from the
    environment, else from the defaults of `ServeConfig`."""

    host: str
    port: int
    grace: float | str
    max_message_size: int | str
    tensor_content: bool
    default_model: str | None
    io_threads: int


def _host(value: Any) -> str:
    """A host as the socket takes it: an IPv6 address without the brackets of URLs."""
    return _text(value).removeprefix("[").removesuffix("]")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it is empty" if isinstance(value, str) else "it is not text")
    return value.strip()


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _whole_number(limit: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ValueError("it is not a whole number")
        try:
            number = int(value)
        except ValueError:
            raise ValueError("it is not a whole number") from None
        if not 0 <= number <= limit:
            raise ValueError(f"it is not between 0 and {limit}")
        return number

    return parse


def _flag(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    known = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if known is None:
        raise ValueError("it is neither true nor false")
    return known


def _message_size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("it is not a size")
    size = parse_size(value)
    if not 1 <= size <= MAX_MESSAGE_BYTES:
        raise ValueError(f"it is not between 1 and {MAX_MESSAGE_BYTES} bytes (2GiB - 1)")
    return size


def parse_grace(value: Any) -> float:
    """Seconds from a number or a text such as `30s`; ValueError if out of range."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("it is not a duration")
    seconds = parse_duration(value)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_GRACE_SECONDS:
        raise ValueError(f"it is not between 0 s and {MAX_GRACE_SECONDS:.0f} s")
    return seconds


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        choice = str(value).strip().lower()
        if choice not in choices:
            raise ValueError(f"it is none of {', '.join(choices)}")
        return choice

    return parse


def _libraries(value: Any) -> tuple[Path, ...]:
    given = value.split(os.pathsep) if isinstance(value, str) else list(value)
    paths = tuple(Path(path).expanduser().absolute() for path in given if str(path))
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
    return paths


def _directory(value: Any) -> Path | None:
    if value is None:
        return None
    path = Path(value).expanduser().absolute()
    if not path.is_dir():
        raise ValueError(f"there is no directory {path}")
    return path


def _setting(default: Any, parse: Callable[[Any], Any], description: str) -> Any:
    """A field with what fills it: its `parse` raises ValueError with the reason."""
    return field(default=default, metadata={"parse": parse, "description": description})


@dataclass(frozen=True)
class EngineConfig:
    """What runs the models."""

    tensorflow_dir: Path | None = _setting(  # noqa: RUF009 (it is a dataclass field)
        None, _directory, "Folder of the TensorFlow package to use; found if not given."
    )
    op_library: tuple[Path, ...] = _setting(
        (), _libraries, "Shared library with custom TensorFlow ops; may be given several times."
    )
    runner_threads: int = _setting(
        0, _whole_number(MAX_THREADS), "Threads that run larger models; 0: one a core."
    )
    intra_op_threads: int = _setting(
        0, _whole_number(MAX_THREADS), "TensorFlow's threads inside one op; 0: one a core."
    )
    inter_op_threads: int = _setting(
        0, _whole_number(MAX_THREADS), "TensorFlow's threads between ops; 0: one a core."
    )

    def to_native(self, tensorflow_dir: Path) -> str:
        """The JSON that `_core.Engine` takes."""
        return json.dumps(
            {
                "tensorflow_dir": str(tensorflow_dir),
                "op_libraries": [str(path) for path in self.op_library],
                "runner_threads": self.runner_threads,
                "limits": {"requests": 0, "rows": 0, "bytes": 0},
                "default_timeout": None,
                "measuring": {"budget": 2.0, "cache": None},
                "session": {
                    "base": None,
                    "intra_op_threads": self.intra_op_threads,
                    "inter_op_threads": self.inter_op_threads,
                    "xla": None,
                    "gpu_memory_growth": None,
                    "gpu_memory_fraction": None,
                },
            }
        )


@dataclass(frozen=True)
class ListenerConfig:
    """Where and how requests come in."""

    host: str = _setting(
        "127.0.0.1",
        _host,
        "Address to listen on; 0.0.0.0 or :: offers the server to every network.",
    )
    port: int = _setting(50051, _whole_number(65535), "Port to listen on; 0: any free one.")
    io_threads: int = _setting(
        0, _whole_number(MAX_THREADS), "Threads that read and write the network; 0: one a core."
    )
    max_message_size: int = _setting(
        MAX_MESSAGE_BYTES, _message_size, "Largest request taken, such as 64MiB."
    )
    tensor_content: bool = _setting(
        False,
        _flag,
        "Answer tensors as raw bytes even where the call did not ask for it: cheaper, "
        "but clients that read float_val and the like find it empty.",
    )
    default_model: str | None = _setting(
        None, _optional_text, "Model for text requests that name none, where several are served."
    )

    def to_native(self) -> str:
        """The JSON that `_core.Server` takes."""
        return json.dumps(
            {
                "host": self.host,
                "port": self.port,
                "io_threads": self.io_threads,
                "max_message_bytes": self.max_message_size,
                "tensor_content": self.tensor_content,
                "default_model": self.default_model,
            }
        )


@dataclass(frozen=True)
class LogConfig:
    """What is said about it while it runs, on standard error."""

    log_format: str = _setting(
        "auto", _one_of(*LOG_FORMATS), "Log lines as text or json; auto: text on a terminal."
    )
    log_level: str = _setting("info", _one_of(*LOG_LEVELS), "Least important log lines shown.")


@dataclass(frozen=True)
class ServeConfig:
    """The whole tree."""

    engine: EngineConfig = EngineConfig()
    listener: ListenerConfig = ListenerConfig()
    log: LogConfig = LogConfig()
    grace: float = _setting(
        30.0, parse_grace, "Time for running requests to finish when stopped, such as 30s."
    )


_BRANCHES: dict[str, type[Any]] = {
    "listener": ListenerConfig,
    "engine": EngineConfig,
    "log": LogConfig,
}


def setting_fields() -> dict[str, dataclasses.Field[Any]]:
    """Every setting by its name, which is unique in the tree."""
    fields = {each.name: each for each in dataclasses.fields(ServeConfig) if each.metadata}
    for branch in _BRANCHES.values():
        fields |= {each.name: each for each in dataclasses.fields(branch)}
    return fields


def environment_variable(name: str) -> str:
    """The variable that fills a setting: `TENSORWIRE_PORT` for `port`."""
    return f"TENSORWIRE_{name.upper()}"


def load_config(
    settings: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> ServeConfig:
    """The tree with what `settings` says, else `environ` (None: the process's own; empty
    variables count as not set), else the defaults.

    Raises ConfigError for an unknown setting and for a value out of its limits.
    """
    settings = settings or {}
    environ = os.environ if environ is None else environ
    fields = setting_fields()
    unknown = sorted(set(settings) - set(fields))
    if unknown:
        raise ConfigError(
            f"there is no setting {unknown[0]!r}; the settings are {', '.join(sorted(fields))}"
        )
    values: dict[str, Any] = {}
    for name, each in fields.items():
        variable = environment_variable(name)
        if name in settings:
            values[name] = _parse(each, settings[name], name)
        elif environ.get(variable):
            values[name] = _parse(each, environ[variable], variable)
    branches = {key: _fill(branch, values) for key, branch in _BRANCHES.items()}
    own = {name: value for name, value in values.items() if name == "grace"}
    return ServeConfig(**branches, **own)


def _parse(each: dataclasses.Field[Any], value: Any, source: str) -> Any:
    try:
        return each.metadata["parse"](value)
    except (ValueError, TypeError) as error:
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        raise ConfigError(f"{source} can't be {str(shown)!r}: {error}") from None


def _fill(branch: type[Any], values: Mapping[str, Any]) -> Any:
    names = {each.name for each in dataclasses.fields(branch)}
    return branch(**{name: value for name, value in values.items() if name in names})
