"""What becomes of commands, with a repository that never ends a change."""

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tensorwire.messages import new_message
from tensorwire.repository import control as control_module
from tensorwire.repository.change import Change
from tensorwire.repository.control import WAITING_THREADS, Control, _keeping
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.server_config import config_of, model_of
from tensorwire.signature import ModelStatus

SOON = 20.0


class Asked:
    """A command whose caller may go away."""

    method = "tensorwire.ModelRepository/ReloadModel"
    is_json = False
    payload = b""

    def __init__(self, **fields: Any) -> None:
        request = new_message("tensorwire.ReloadModelRequest")
        for name, value in fields.items():
            setattr(request, name, value)
        self.payload = request.SerializeToString()
        self.is_abandoned = False
        self.outcome: object = None
        self.ended = threading.Event()

    def answer(self, payload: bytes) -> None:
        self.outcome = payload
        self.ended.set()

    def fail(self, code: str, message: str) -> None:
        self.outcome = (code, message)
        self.ended.set()


class EndlessRepository:
    """Its changes hang, but for those of a model that is called "good"."""

    configuration: ClassVar[dict[str, ModelConfig]] = {}

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.asked = threading.Semaphore(0)

    def reload(self, name: str) -> Change:
        change = Change()
        if name == "good":
            change.begin()
        self.changes.append(change)
        self.asked.release()
        return change


@pytest.fixture
def repository() -> EndlessRepository:
    return EndlessRepository()


@pytest.fixture
def control(repository: EndlessRepository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    monkeypatch.setattr(control_module, "LOOK_SECONDS", 0.01)
    control = Control(
        lambda _seconds: None,
        repository,  # type: ignore[arg-type]
        lambda name: ModelStatus(name, ()),
    )
    yield control
    control.stop()
    for change in repository.changes:
        change.give_up()


def test_callers_that_went_away_keep_no_thread(
    control: Control, repository: EndlessRepository
) -> None:
    gone = [Asked(name=f"m{number}") for number in range(WAITING_THREADS)]
    for command in gone:
        control.hand_out(command)
    for _ in gone:
        assert repository.asked.acquire(timeout=SOON)
    last = Asked(name="good")
    control.hand_out(last)
    assert not last.ended.is_set()
    for command in gone:
        command.is_abandoned = True
    assert last.ended.wait(SOON)
    assert isinstance(last.outcome, bytes)
    # What they asked for goes on.
    assert [command.outcome for command in gone] == [None] * len(gone)
    assert not any(change.complete for change in repository.changes[:WAITING_THREADS])


def test_a_stop_is_told(control: Control, repository: EndlessRepository) -> None:
    command = Asked(name="m")
    control.hand_out(command)
    assert repository.asked.acquire(timeout=SOON)
    repository.changes[0].give_up()
    assert command.ended.wait(SOON)
    assert command.outcome == ("UNAVAILABLE", "the server is stopping")


def test_what_is_secret_in_a_path_is_kept_and_not_shown() -> None:
    signed = "https://me:secret@host/m.tar.gz?token=secret"
    known = ModelConfig("m", signed, transition="resource", versions=10**12)
    message = config_of(known)
    assert "secret" not in str(message)
    assert message.base_path == "https://host/m.tar.gz"
    assert message.model_version_policy.latest.num_versions == 2**32 - 1
    again = _keeping(model_of(message), {"m": known})
    assert (again.path, again.transition) == (signed, "resource")
    message.base_path = "https://host/other.tar.gz"
    other = _keeping(model_of(message), {"m": known})
    assert (other.path, other.transition) == ("https://host/other.tar.gz", None)
