"""Files of recorded requests, as a server's request log has them: TFRecord files of
`tensorflow.serving.PredictionLog`, or lines of JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tensorwire._core import NativeError, RecordReader, frame_record
from tensorwire.errors import DataLossError, TensorWireError
from tensorwire.messages import message_type, new_message

LOG = "tensorflow.serving.PredictionLog"

METHODS = {
    "predict_log": "Predict",
    "classify_log": "Classify",
    "regress_log": "Regress",
    "multi_inference_log": "MultiInference",
}
"""The method of PredictionService whose request a record holds, by the record's kind."""


@dataclass(frozen=True)
class Recorded:
    """A record of a request."""

    place: str
    """Where it is, for people: `FILE, record 3`."""

    log: Any
    """The `PredictionLog`."""

    time: float | None
    """When the request came, in seconds since 1970; None: the record doesn't say."""

    @property
    def kind(self) -> str | None:
        """Which of the log's messages is set."""
        name: str | None = self.log.WhichOneof("log_type")
        return name

    @property
    def method(self) -> str | None:
        """The method that was called; None: none that can be called again."""
        return METHODS.get(self.kind or "")

    @property
    def request(self) -> Any:
        """The request's message."""
        return getattr(self.log, self.kind or "").request

    @property
    def response(self) -> Any:
        """The reply's message; None: it was not kept."""
        part = getattr(self.log, self.kind or "")
        return part.response if part.HasField("response") else None

    @property
    def model(self) -> str:
        """The model that was asked."""
        request = self.request
        if self.method == "MultiInference":
            return request.tasks[0].model_spec.name if request.tasks else ""
        return str(request.model_spec.name)


def read_files(paths: Iterable[Path]) -> Iterator[Recorded]:
    """The records of these files, one after the other.

    Raises TensorWireError for a file that can't be read, DataLossError for a record that is
    damaged.
    """
    for path in paths:
        yield from _read_lines(path) if _is_json(path) else _read_records(path)


def first_time(path: Path) -> float | None:
    """When the first request of a file came, in seconds since 1970; None: it has none, or
    doesn't say.

    Raises what `read_files` does.
    """
    if _is_json(path):
        return next((each.time for each in _read_lines(path)), None)
    return next((_second(log) for log, _ in _logs_of(path)), None)


def _is_json(path: Path) -> bool:
    start = _start(path)
    # A TFRecord file may begin with a brace as well: a length of 123 bytes. But the upper
    # bytes of a length are 0, which no line of JSON has in it.
    return start.lstrip()[:1] == b"{" and b"\0" not in start


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise TensorWireError(f"{path} can't be read: {error.strerror}") from None


def _read_records(path: Path) -> Iterator[Recorded]:
    """Their times are whole seconds: those of one are spread over it, in their order."""
    same: list[tuple[str, Any]] = []
    kept = 0
    try:
        for number, (log, size) in enumerate(_logs_of(path)):
            if same and (_second(log) != _second(same[0][1]) or kept >= MOST_KEPT_BYTES):
                yield from _spread(same)
                same, kept = [], 0
            same.append((f"{path}, record {number}", log))
            kept += size + _RECORD_BYTES
    except DataLossError:
        # Those before the damage are whole.
        yield from _spread(same)
        raise
    yield from _spread(same)


MOST_KEPT_BYTES = 64 * 2**20
"""Records of one second are kept in memory to spread them, but no more than these."""

_RECORD_BYTES = 4096
"""What a record takes beside its own bytes."""


def _spread(same: list[tuple[str, Any]]) -> Iterator[Recorded]:
    for index, (place, log) in enumerate(same):
        second = _second(log)
        yield Recorded(place, log, None if second is None else second + index / len(same))


def _second(log: Any) -> int | None:
    return log.log_metadata.timestamp_secs or None


def _logs_of(path: Path) -> Iterator[tuple[Any, int]]:
    """Each log with its size in bytes."""
    from google.protobuf.message import DecodeError

    kind = message_type(LOG)
    number = -1
    try:
        for record in RecordReader(str(path)):
            number += 1
            yield kind.FromString(record), len(record)
    except NativeError as error:
        packed = number < 0 and _start(path).startswith(_GZIP)
        hint = "; it looks compressed by gzip: unpack it first" if packed else ""
        raise DataLossError(f"{path}: {error.args[1]}{hint}") from None
    except DecodeError:
        raise DataLossError(f"{path}: record {number} is no PredictionLog") from None


_GZIP = b"\x1f\x8b"


def _read_lines(path: Path) -> Iterator[Recorded]:
    from google.protobuf import json_format

    with path.open("rb") as file:
        # Not what is added later: a server may log what it is sent of its own log.
        left = os.fstat(file.fileno()).st_size
        for number, line in enumerate(file):
            left -= len(line)
            if left < 0:
                return
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                time = fields.pop("time", None)
                fields.pop("duration_ms", None)
                log = json_format.ParseDict(fields, new_message(LOG))
                seconds = None if time is None else _seconds(time)
            except (ValueError, TypeError, AttributeError, json_format.ParseError) as error:
                raise DataLossError(f"{path}: line {number + 1} is no record: {error}") from None
            yield Recorded(f"{path}, line {number + 1}", log, seconds)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def write_whole(path: Path, logs: Iterable[Any]) -> None:
    """Writes a TFRecord file of these logs beside `path`, and gives it `path`'s name when all
    of it is there; folders are made.

    Raises TensorWireError if it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise TensorWireError(f"{path} can't be written: {error.strerror}") from None
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for log in logs:
                file.write(frame_record(log.SerializeToString(deterministic=True)))
        # As any new file of the user's: mkstemp's is for its owner alone.
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        raise TensorWireError(f"{path} can't be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
