"""Recorded requests: those that a model's versions are warmed up with, and those that are
kept while it serves.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tensorwire.errors import ConfigError

from . import values
from .request_log import FORMATS, RequestLog, age, share
from .setting import setting

FAILING = ("refuse", "warn")
WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""Where a version's own records are, in its folder."""

MAX_ITERATIONS = 1_000_000
EVERY_MODEL = ""


@dataclass(frozen=True)
class WarmupConfig:
    """How each version is warmed up when it is loaded, with the requests in its file
    `assets.extra/tf_serving_warmup_requests`, if it has one."""

    HEADING: ClassVar[str] = "Warm-up and request logs"

    # Made by a function: as a flag it takes a value, off too.
    warmup: bool = setting(
        lambda: True,
        values.flag,
        f"Run the requests in a version's {WARMUP_FILE} before it is served: on or off.",
        shown="on",
    )
    warmup_iterations: int = setting(
        1, values.whole_number(MAX_ITERATIONS, least=1), "How often each of them is run."
    )
    warmup_failing: str = setting(
        "refuse",
        values.one_of(*FAILING),
        "What becomes of a version of which one fails: refuse to serve it, as TensorFlow "
        "Serving does, or warn.",
    )

    def of_model(self, table: Mapping[str, Any], model: str) -> dict[str, Any]:
        """As `_core.Engine.load` takes it, with what a model's own table says of it: enabled,
        iterations, failing.

        Raises ConfigError for what the table can't say.
        """
        names = {
            "enabled": "warmup",
            "iterations": "warmup_iterations",
            "failing": "warmup_failing",
        }
        unknown = sorted(set(table) - set(names))
        if unknown:
            raise ConfigError(
                f"the warm-up of model {model!r} has no {unknown[0]!r}; its settings are "
                + ", ".join(names)
            )
        found: dict[str, Any] = {"file": None}
        fields = {each.name: each for each in dataclasses.fields(self)}
        for name, field in names.items():
            found[name] = getattr(self, field)
            if name in table:
                try:
                    found[name] = fields[field].metadata["parse"](table[name])
                except (ValueError, TypeError) as error:
                    raise ConfigError(
                        f"{name} of the warm-up of model {model!r} can't be {table[name]!r}: "
                        f"{error}"
                    ) from None
        return found


NO_WARMUP: dict[str, Any] = {"enabled": False, "iterations": 1, "failing": "warn", "file": None}
"""As `_core.Engine.load` takes it."""


def _logs(value: Any) -> dict[str, str | RequestLog]:
    """Models (or every one) with the prefixes of their logs."""
    if isinstance(value, Mapping):
        return {str(model): _log(each) for model, each in value.items()}
    found: dict[str, str | RequestLog] = {}
    for each in values.listed(value, ","):
        if isinstance(each, RequestLog):
            found[EVERY_MODEL] = each
            continue
        model, equals, prefix = os.fspath(each).partition("=")
        name, prefix = (values.text(model), prefix) if equals else (EVERY_MODEL, os.fspath(each))
        if name in found:
            raise ValueError(f"{name or 'every model'} was given twice")
        found[name] = values.text(prefix)
    return found


def _log(value: Any) -> str | RequestLog:
    if isinstance(value, RequestLog):
        return value
    if isinstance(value, (str, os.PathLike)):
        return values.text(os.fspath(value))
    raise ValueError(f"{value!r} is neither a path nor a RequestLog")


@dataclass(frozen=True)
class RequestLogConfig:
    """Which models' requests are kept, and how."""

    HEADING: ClassVar[str] = WarmupConfig.HEADING

    log_requests: Mapping[str, str | RequestLog] = setting(
        dict,
        _logs,
        "Keep requests with their replies in files whose names begin with PREFIX; without "
        "MODEL, those of every model, each in files of PREFIX-MODEL. May be given several times.",
    )
    log_sampling: float = setting(
        1.0, share, "The share of requests that is kept, such as 0.01 or 1%.", shown="1"
    )
    log_requests_format: str = setting(
        "tfrecord",
        values.one_of(*FORMATS),
        "Files of PredictionLog records, which are warm-up files too, or of lines of JSON: "
        "tfrecord or jsonl.",
    )
    log_requests_file_size: int = setting(
        256 * 2**20,
        values.memory_size,
        "Size after which another file is begun, such as 64MiB.",
        shown="256MiB",
    )
    log_requests_file_age: float | None = setting(
        3600.0,
        age,
        "Time after which another file is begun, such as 10m; none: whatever its age.",
        shown="1h",
    )
    log_requests_files: int = setting(
        0,
        values.whole_number(values.MAX_COUNT),
        "Most files that are kept of each model, the oldest are removed; 0: any number.",
    )
    log_requests_total_size: int = setting(
        10 * 2**30,
        values.memory_size,
        "Most bytes of all files that are kept of each model, the oldest are removed; 0: any.",
        shown="10GiB",
    )

    def check_models(self, served: list[str]) -> None:
        """ConfigError for a setting that names a model which is not served."""
        for model in self.log_requests:
            if model not in (EVERY_MODEL, *served):
                raise ConfigError(
                    f"a request log is set for a model {model!r}: the models served are "
                    + ", ".join(served)
                )

    def check_folders(self, served: list[str]) -> None:
        """ConfigError if files of one of these models can't be made."""
        for model in served:
            log = self.of_model({}, model)
            if log is not None:
                log.check_folder()

    def of_model(self, table: Mapping[str, Any], model: str) -> RequestLog | None:
        """A model's log, if it has one: as its own table says, else as the settings say.

        Raises ConfigError for what can't be.
        """
        if table:
            return RequestLog.from_table(table, model)
        found = self.log_requests.get(model)
        if found is None:
            found = self.log_requests.get(EVERY_MODEL)
            if isinstance(found, str):
                found = found + model if found.endswith(os.sep) else f"{found}-{model}"
        if found is None or isinstance(found, RequestLog):
            return found
        return RequestLog(
            prefix=found,
            format=self.log_requests_format,
            sampling_rate=self.log_sampling,
            max_file_bytes=self.log_requests_file_size,
            max_file_age=self.log_requests_file_age,
            max_files=self.log_requests_files,
            max_total_bytes=self.log_requests_total_size,
        )
