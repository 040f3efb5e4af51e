"""The records of several files in the order of their times, and when each is sent."""

import json
import time
from pathlib import Path

import pytest

from tensorwire.errors import ConfigError, DataLossError
from tensorwire.messages import new_message
from tensorwire.recorded.logs import LOG, Recorded
from tensorwire.recorded.pace import in_order
from tensorwire.recorded.replay import DueTimes


def lines(file: Path, *seconds: int | None) -> Path:
    """A log of requests that came then."""
    records = [
        {"predict_log": {}} | ({} if at is None else {"time": f"1970-01-01T00:00:{at:02}Z"})
        for at in seconds
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def test_files_are_mixed_by_time(tmp_path: Path) -> None:
    files = [
        lines(tmp_path / "b", 20, 40, 40),
        lines(tmp_path / "a", 10, 30, 40, 50),
        lines(tmp_path / "later", 45),
        lines(tmp_path / "none", None),
        lines(tmp_path / "empty"),
    ]
    found = [(Path(each.place.split(",")[0]).name, each.time) for each in in_order(files)]
    assert found == [
        ("none", None),
        ("a", 10), ("b", 20), ("a", 30), ("b", 40), ("b", 40), ("a", 40), ("later", 45), ("a", 50),
    ]  # fmt: skip


def test_a_slow_request_holds_up_no_other_file(tmp_path: Path) -> None:
    """It stands where it was answered, with the time at which it came."""
    slow = lines(tmp_path / "slow", 10, 30, 11, 31)
    other = lines(tmp_path / "other", 20, 30, 40)
    found = [each.time for each in in_order([slow, other])]
    assert found == [10, 20, 30, 11, 30, 31, 40]


def test_a_damaged_file_is_told_when_it_is_met(tmp_path: Path) -> None:
    good, bad = lines(tmp_path / "good", 10, 30), lines(tmp_path / "bad", 20)
    bad.write_text(bad.read_text() + "{")
    records = in_order([good, bad])
    assert [next(records).time for _ in range(2)] == [10, 20]
    with pytest.raises(DataLossError, match="bad: line 2"):
        list(records)


def recorded(at: float | None) -> Recorded:
    return Recorded("log, line 1", new_message(LOG), at)


def test_the_pace_never_goes_back() -> None:
    due = DueTimes(2.0, 100.0)
    times = (1000.0, 1004.0, 1001.0, 1006.0)
    assert [due.of(recorded(each)) for each in times] == [100, 102, 102, 103]
    with pytest.raises(ConfigError, match="log, line 1 has no time"):
        due.of(recorded(None))
    assert DueTimes(None, 0.0).of(recorded(None)) <= time.monotonic()
