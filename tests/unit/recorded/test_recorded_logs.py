"""Files of recorded requests: which form one has, what their times are, what is no record."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tensorwire._core import frame_record
from tensorwire.errors import DataLossError
from tensorwire.messages import new_message
from tensorwire.recorded import logs
from tensorwire.recorded.logs import LOG, first_time, read_files


def log(seconds: int, signature: str = "") -> Any:
    message = new_message(LOG)
    message.log_metadata.timestamp_secs = seconds
    message.predict_log.request.model_spec.signature_name = signature
    return message


def tfrecord(file: Path, *records: Any) -> Path:
    file.write_bytes(b"".join(frame_record(each.SerializeToString()) for each in records))
    return file


def test_a_record_whose_length_is_a_brace_is_no_json(tmp_path: Path) -> None:
    """123 bytes: the file begins with `{`."""
    of_that_length = (log(5, "s" * count) for count in range(200))
    (record,) = (each for each in of_that_length if each.ByteSize() == 123)
    file = tfrecord(tmp_path / "log", record)
    assert file.read_bytes().startswith(b"{")
    (read,) = read_files([file])
    assert read.log == record and first_time(file) == 5


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "log"
    line = {"time": "1970-01-01T00:00:07.250000Z", "predict_log": {"request": {}}}
    file.write_text(json.dumps(line) + "\n\n")
    (read,) = read_files([file])
    assert (read.method, read.time, first_time(file)) == ("Predict", 7.25, 7.25)


@pytest.mark.parametrize("line", ["[]", "3", '"x"', "null", "{", '{"time": 3}', '{"no": 1}'])
def test_lines_that_are_no_records(tmp_path: Path, line: str) -> None:
    file = tmp_path / "log"
    file.write_text("{}\n" + line + "\n")
    with pytest.raises(DataLossError, match="line 2 is no record"):
        list(read_files([file]))


def test_what_is_packed_is_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "log.gz"
    file.write_bytes(gzip.compress(tfrecord(tmp_path / "log", log(1)).read_bytes()))
    with pytest.raises(DataLossError, match="compressed by gzip: unpack it first"):
        list(read_files([file]))


def test_a_second_is_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tfrecord(tmp_path / "log", *map(log, (4, 4, 4, 4, 5, 0)))
    times = [4, 4.25, 4.5, 4.75, 5, None]
    assert [each.time for each in read_files([file])] == times
    # However many there are, only so much is kept to do so.
    monkeypatch.setattr(logs, "MOST_KEPT_BYTES", 5000)
    assert [each.time for each in read_files([file])] == [4, 4.5, 4, 4.5, 5, None]


def test_what_comes_before_the_damage_is_read(tmp_path: Path) -> None:
    file = tfrecord(tmp_path / "log", *map(log, (4, 4, 4)))
    file.write_bytes(file.read_bytes()[:-2])
    records = read_files([file])
    assert [next(records).time for _ in range(2)] == [4, 4.5]
    with pytest.raises(DataLossError, match="record 2 is cut short"):
        next(records)


def test_what_is_added_while_it_is_read_is_not(tmp_path: Path) -> None:
    """A server that is sent its own log again keeps that, and would be sent it again."""
    records = tfrecord(tmp_path / "log", log(4), log(5))
    lines = tmp_path / "lines"
    lines.write_text('{"predict_log": {}}\n' * 2)
    for file in (records, lines):
        whole = file.read_bytes()
        found = 0
        for _ in read_files([file]):
            found += 1
            assert found < 10
            with file.open("ab") as end:
                end.write(whole)
        assert found == 2
