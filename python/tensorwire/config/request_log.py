"""Which requests of a model are kept, and where: `RequestLog`, and what of TensorFlow
Serving's `LoggingConfig` it can be made of.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from . import values

FORMATS = ("tfrecord", "jsonl")
_TYPES = {"": "tfrecord", "tfrecord": "tfrecord", "json": "jsonl", "jsonl": "jsonl"}
"""TensorFlow Serving's log collectors by their type, which there anybody may name."""

_MIB = 2**20
MAX_QUEUE_RECORDS = 10_000
MAX_QUEUE_BYTES = 64 * _MIB


def share(value: Any) -> float:
    """A part of a whole, from 0 to 1; also as `1%`."""
    shown = str(value).strip()
    try:
        number = float(shown[:-1]) / 100 if shown.endswith("%") else float(shown)
    except ValueError:
        raise ValueError("it is not a number") from None
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError("it is not from 0 to 1")
    return number


def age(value: Any) -> float | None:
    """Seconds of a file's life; None and `none`: any."""
    seconds = values.time_limit(value)
    if seconds is not None and seconds < 1:
        raise ValueError("it is less than a second")
    return seconds


def _positive_size(value: Any) -> int:
    size = values.memory_size(value)
    if size == 0:
        raise ValueError("it is 0")
    return size


@dataclass(frozen=True, kw_only=True)
class RequestLog:
    """Keeps a share of a model's requests, with their replies, in files that rotate.

        tensorwire.serve("./mnist", log_requests={
            "mnist": tensorwire.RequestLog(prefix="/var/log/mnist", sampling_rate=0.01)})

    A file is called PREFIX-TIME-NUMBER.tfrecord (or .jsonl), with the UTC time at which it
    was begun, and has `.open` behind its name for as long as it is written. A TFRecord file
    of `tensorflow.serving.PredictionLog` is a model's warm-up file too; a line of a JSON
    file is a PredictionLog in protobuf's JSON, with `time` and `duration_ms` before it.

    A request is never held up: what can't be kept, because the disk is slow or full, is
    counted. Raises ConfigError for values that can't be used.
    """

    prefix: str | os.PathLike[str]
    """What the files' names begin with, folder included."""

    format: str = "tfrecord"
    """"tfrecord" or "jsonl"."""

    sampling_rate: float | str = 1.0
    """The share of requests that is kept, chosen at random, from 0 to 1."""

    max_file_bytes: int | str = 256 * _MIB
    """Bytes after which another file is begun; one record may be larger."""

    max_file_age: float | str | None = 3600.0
    """Seconds after which another file is begun; None: whatever its age."""

    max_files: int = 0
    """Most files that are kept, the oldest are removed; 0: any number."""

    max_total_bytes: int | str = 10 * 1024 * _MIB
    """Most bytes of all files that are kept, the oldest are removed; 0: any."""

    flush_interval: float | str = 1.0
    """Seconds that a record may wait in memory before the system has it."""

    queue_records: int = MAX_QUEUE_RECORDS
    """Most records that wait to be written; what comes beyond is lost, and counted."""

    queue_bytes: int | str = MAX_QUEUE_BYTES
    """Most bytes of messages that wait to be written."""

    def __post_init__(self) -> None:
        for name, parse in _PARSERS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, parse(value))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{name} of a request log can't be {value!r}: {error}") from None

    @classmethod
    def from_table(cls, table: Mapping[str, Any], model: str) -> RequestLog | None:
        """The log that a model's table `logging` means: with this class's names, or with
        those of TensorFlow Serving's `LoggingConfig`; None: nothing is kept.

        Raises ConfigError for a name that is neither, and for values that can't be used.
        """
        if _is_logging_config(table):
            return _from_logging_config(table, model)
        if not table:
            return None
        known = {each.name for each in dataclasses.fields(cls)}
        unknown = sorted(set(table) - known)
        if unknown or "prefix" not in table:
            what = f"has no {unknown[0]!r}" if unknown else "needs a prefix"
            raise ConfigError(
                f"the request log of model {model!r} {what}; its settings are "
                + ", ".join(sorted(known))
            )
        return cls(**table)

    def check_folder(self) -> None:
        """ConfigError if no file can be made there. For whoever takes a configuration: what
        becomes of the disk later costs records, and no model is the worse for it."""
        for folder in Path(self.prefix).parents:
            # Not those of Path: they raise where a folder may not be looked into.
            if os.path.isdir(folder):  # noqa: PTH112
                if os.access(folder, os.W_OK | os.X_OK):
                    return
                reason = f"the directory {folder} is not writable"
            elif os.path.exists(folder):  # noqa: PTH110
                reason = f"{folder} is not a directory"
            else:
                continue
            raise ConfigError(f"prefix of a request log can't be {str(self.prefix)!r}: {reason}")

    def to_native(self, tags: list[str]) -> dict[str, Any]:
        """As `_core.Engine.load` takes it; the records say that the model was loaded by
        these tags."""
        return {**dataclasses.asdict(self), "saved_model_tags": tags}


def _prefix(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("it is not a path")
    path = Path(os.fspath(value)).expanduser().absolute()
    if not path.name or os.fspath(value).endswith(os.sep):
        raise ValueError("it ends with no name for the files to begin with")
    if "\0" in str(path) or not _is_unicode(str(path)):
        raise ValueError("a path in UTF-8 and without NUL is wanted")
    return str(path)


def _is_unicode(text: str) -> bool:
    # Bytes of a file name that are no UTF-8 are lone surrogates in Python.
    return not any("\ud800" <= character <= "\udfff" for character in text)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "prefix": _prefix,
    "format": values.one_of(*FORMATS),
    "sampling_rate": share,
    "max_file_bytes": _positive_size,
    "max_file_age": age,
    "max_files": values.whole_number(values.MAX_COUNT),
    "max_total_bytes": values.memory_size,
    "flush_interval": values.duration,
    "queue_records": values.whole_number(values.MAX_COUNT, least=1),
    "queue_bytes": _positive_size,
}


def request_log_of(message: Any, model: str) -> RequestLog | None:
    """The log that a `tensorflow.serving.LoggingConfig` message means; None: nothing is
    kept, as it gives no sampling rate above 0.

    Raises ConfigError for a collector of another type than "" or "tfrecord", "json" or
    "jsonl", for custom ones, for values that can't be used, and if no file can be made there.
    """
    log = _log_of(message, model)
    if log is not None:
        log.check_folder()
    return log


def _log_of(message: Any, model: str) -> RequestLog | None:
    collector, sampling = message.log_collector_config, message.sampling_config
    if message.HasField("custom_logging_config"):
        raise _refused(model, "custom_logging_config")
    if collector.type.strip().lower() not in _TYPES:
        raise _refused(model, f"type {collector.type!r}")
    rate = sampling.sampling_rate
    for task in sampling.per_task_sampling_configs:
        # A server here is no task of a data center: only what holds for every task is its.
        if not task.dc and not task.HasField("task_index"):
            rate = task.sampling_rate
            break
    if math.isnan(rate) or not 0 <= rate <= 1:
        raise ConfigError(
            f"logging_config of model {model!r}: sampling_rate {rate:g} is not from 0 to 1"
        )
    if rate == 0:
        return None
    if not collector.filename_prefix:
        raise ConfigError(
            f"logging_config of model {model!r} has no filename_prefix: say where the files go"
        )
    return RequestLog(
        prefix=collector.filename_prefix,
        format=_TYPES[collector.type.strip().lower()],
        sampling_rate=rate,
    )


def as_logging_config(table: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A model's table `logging` with the names of TensorFlow Serving's `LoggingConfig`, as
    far as that can say it."""
    if _is_logging_config(table):
        return dict(table)
    log = RequestLog.from_table(table, model)
    if log is None:
        return {}
    return {
        "log_collector_config": {"type": log.format, "filename_prefix": os.fspath(log.prefix)},
        "sampling_config": {"sampling_rate": log.sampling_rate},
    }


def _is_logging_config(table: Mapping[str, Any]) -> bool:
    names = {"log_collector_config", "sampling_config", "custom_logging_config"}
    return not names.isdisjoint(table)


def _refused(model: str, what: str) -> ConfigError:
    return ConfigError(
        f"logging_config of model {model!r} asks for a log collector of {what}, which there is "
        "not: the types are tfrecord (or empty) and jsonl"
    )


def _from_logging_config(table: Mapping[str, Any], model: str) -> RequestLog | None:
    from google.protobuf import json_format

    from tensorwire.messages import new_message

    message = new_message("tensorflow.serving.LoggingConfig")
    try:
        json_format.ParseDict(dict(table), message)
    except json_format.ParseError as error:
        raise ConfigError(f"logging_config of model {model!r}: {error}") from None
    return _log_of(message, model)
