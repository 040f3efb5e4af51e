"""What a replay counts, with a server that is played by the test."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from tensorwire._core import NativeError
from tensorwire.messages import new_message
from tensorwire.recorded import replay as replay_module
from tensorwire.recorded.logs import LOG, Recorded
from tensorwire.recorded.replay import Plan, Replay, Result

CALL_SECONDS = 0.05


class SlowChannel:
    """Answers, or fails, after a while, with a reply that has no outputs."""

    fails = False

    def __init__(self, *_: Any) -> None:
        pass

    def call(self, *_: Any) -> tuple[None, list[Any]]:
        time.sleep(CALL_SECONDS)
        if self.fails:
            raise NativeError("UNAVAILABLE", "out of order", "")
        return None, []

    def close(self) -> None:
        pass


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> type[SlowChannel]:
    made = type("Channel", (SlowChannel,), {})
    monkeypatch.setattr(replay_module, "Channel", made)
    return made


def recorded(number: int, response: dict[str, Any] | None = None) -> Recorded:
    from google.protobuf import json_format

    part: dict[str, Any] = {"request": {"model_spec": {"name": "m"}}}
    if response is not None:
        part["response"] = response
    log = json_format.ParseDict({"predict_log": part}, new_message(LOG))
    return Recorded(f"log, line {number}", log, 0.0)


def replayed(speed: float | None, *records: Recorded) -> Result:
    plan = Plan(speed=speed, concurrency=1, timeout=10.0, tolerance=0.0)
    settings: Any = SimpleNamespace(targets=("127.0.0.1:1",), to_native=lambda: "{}")
    under_way = Replay(settings, plan)
    under_way.run(records, lambda _result: None)
    return under_way.result


@pytest.mark.parametrize("fails", [False, True])
def test_what_keeps_no_pace_is_never_late(channel: type[SlowChannel], fails: bool) -> None:
    channel.fails = fails
    records = [recorded(number) for number in range(4)]
    assert replayed(None, *records).lateness == 0.0
    # All are due at once, and there is one caller, whatever comes of the calls.
    paced = replayed(1.0, *records)
    assert paced.failed == (4 if fails else 0)
    assert paced.lateness > CALL_SECONDS


def test_a_recorded_reply_that_cannot_be_read_is_no_failed_call(
    channel: type[SlowChannel],
) -> None:
    wrong = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": 3}]}, "tensor_content": "AA=="}
    result = replayed(None, recorded(1, {"outputs": {"y": wrong}}))
    assert (result.failed, result.answered, result.compared, result.different) == (0, 1, 1, 1)
    (mismatch,) = result.mismatches
    (one,) = mismatch.differences
    assert one.output == "reply" and "the recorded reply can't be read" in one.what
