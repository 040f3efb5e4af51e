"""Commands that change the models, without a network: none holds up another."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.repository_doubles import Bench, ScriptedSource, model
from tensorwire.config.lifecycle import LifecycleConfig
from tensorwire.messages import message_type, new_message
from tensorwire.repository import control as control_module
from tensorwire.repository.control import RELOAD_CONFIG, SERVICE, Control
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.repository import Repository
from tensorwire.repository.server_config import added_model, config_of, model_of
from tensorwire.signature import ModelStatus

TIMEOUT = 20.0


class Told:
    """A command, and what it was answered."""

    is_json = False

    def __init__(self, method: str, **fields: object) -> None:
        self.method = f"{SERVICE}/{method}"
        request = new_message(f"tensorwire.{method}Request")
        for name, value in fields.items():
            setattr(request, name, value)
        self.payload = request.SerializeToString()
        self._reply = f"tensorwire.{method}Response"
        self.code = self.text = ""
        self.encoded = b""
        self.ended = threading.Event()

    def answer(self, payload: bytes) -> None:
        self.code, self.encoded = "OK", payload
        self.ended.set()

    def fail(self, code: str, message: str) -> None:
        self.code, self.text = code, message
        self.ended.set()

    def wait(self) -> "Told":
        assert self.ended.wait(TIMEOUT), self.method
        return self

    @property
    def reply(self) -> object:
        return message_type(self._reply).FromString(self.encoded)


class Plane:
    """A control plane over a bench whose jobs are done by hand."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.repository = Repository([], LifecycleConfig())
        self.repository.start(self.bench.reconciler, lasting=False)
        self.control = Control(
            lambda _seconds: None, self.repository, lambda name: ModelStatus(name, ())
        )

    def tell(self, method: str, **fields: object) -> Told:
        told = Told(method, **fields)
        self.control.hand_out(told)
        return told


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane()
    yield made
    made.control.stop()
    made.repository.stop(TIMEOUT)


def test_what_takes_for_ever_holds_up_nothing(plane: Plane) -> None:
    """A store that does not answer, and a caller who tries again and again."""
    plane.repository.put(model(ScriptedSource(1)))
    assert plane.tell("ReloadModel", name="m", no_wait=True).wait().code == "OK"
    waiting = [plane.tell("ReloadModel", name="m") for _ in range(200)]
    listed = plane.tell("ListModels").wait()
    assert [each.config.name for each in listed.reply.models] == ["m"]
    assert plane.tell("GetConfig").wait().code == "OK"
    assert plane.tell("UnloadModel", name="m", no_wait=True).wait().code == "OK"
    assert plane.tell("UnloadModel", name="m").wait().code == "NOT_FOUND"
    # Those who waited for the model are told that nothing more will come of it.
    for each in waiting:
        assert each.wait().code == "OK"


def test_a_stop_answers_those_who_wait(plane: Plane) -> None:
    plane.repository.put(model(ScriptedSource(1)))
    waiting = [plane.tell("ReloadModel", name="m") for _ in range(5)]
    plane.tell("GetConfig").wait()
    assert not any(each.ended.is_set() for each in waiting)
    plane.control.stop()
    plane.repository.stop(TIMEOUT)
    for each in waiting:
        assert (each.wait().code, each.text) == ("UNAVAILABLE", "the server is stopping")


def test_so_many_are_under_way_and_no_more(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "MOST_UNDER_WAY", 3)
    plane.repository.put(model(ScriptedSource(1)))
    for _ in range(3):
        plane.tell("ReloadModel", name="m")
    refused = plane.tell("UnloadModel", name="m").wait()
    assert refused.code == "RESOURCE_EXHAUSTED"
    assert refused.text.startswith("3 requests to change or list the models are under way")
    # There is room again when they are answered.
    plane.repository.remove("m")
    plane.bench.unload.do_all()


@pytest.mark.parametrize("no_wait", [False, True])
@pytest.mark.parametrize("method", ["ReloadModel", "UnloadModel"])
def test_a_model_that_is_not_there(plane: Plane, method: str, no_wait: bool) -> None:
    told = plane.tell(method, name="none", no_wait=no_wait).wait()
    assert (told.code, told.text) == ("NOT_FOUND", "Could not find any versions of model none")


def test_a_load_that_is_not_waited_for_is_shown(plane: Plane) -> None:
    request = new_message("tensorwire.LoadModelRequest")
    request.config.name, request.config.base_path = "new", "/models/new"
    request.no_wait = True
    told = Told("LoadModel")
    told.payload = request.SerializeToString()
    plane.control.hand_out(told)
    assert told.wait().reply.model.config.base_path == "/models/new"


def test_commands_are_taken_whatever_became_of_one(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Told("ListModels"), Told("ListModels")
    left = [second, first]
    control = Control(
        lambda _seconds: left.pop() if left else None,
        plane.repository,
        lambda name: ModelStatus(name, ()),
    )
    hand_out = control.hand_out

    def without_threads(command: Told) -> None:
        if command is first:
            raise RuntimeError("can't start new thread")
        hand_out(command)

    monkeypatch.setattr(control, "hand_out", without_threads)
    control.start()
    try:
        assert second.wait().code == "OK"
    finally:
        control.stop()


def test_a_command_that_finds_no_thread_is_answered_and_counts_no_more(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "MOST_UNDER_WAY", 1)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            told = plane.tell("ListModels").wait()
        assert told.code == "RESOURCE_EXHAUSTED"
        assert told.text == "there is no thread for it: can't start new thread"
    assert plane.tell("ListModels").wait().code == "OK"


def test_what_is_secret_in_a_path_is_kept_and_not_shown() -> None:
    signed = "https://me:secret@host/m.tar.gz?token=secret"
    known = ModelConfig("m", signed, transition="resource", versions=10**12)
    message = config_of(known)
    assert "secret" not in str(message)
    assert message.base_path == "https://host/m.tar.gz"
    assert message.model_version_policy.latest.num_versions == 2**32 - 1
    again = model_of(message, known)
    assert (again.path, again.transition) == (signed, "resource")
    message.base_path = "https://host/other.tar.gz"
    other = model_of(message, known)
    assert (other.path, other.transition) == ("https://host/other.tar.gz", None)


def send_back(plane: Plane) -> Told:
    """Gives the server the configuration that it tells."""
    request = new_message("tensorflow.serving.ReloadConfigRequest")
    request.config.CopyFrom(plane.tell("GetConfig").wait().reply.config)
    told = Told("ListModels")
    told.method, told.payload = RELOAD_CONFIG, request.SerializeToString()
    plane.control.hand_out(told)
    return told.wait()


def test_what_is_read_back_changes_nothing_when_it_is_sent_back(
    plane: Plane, tmp_path: Path
) -> None:
    prefix = str(tmp_path / "log")
    tables = [
        {"logging": {"prefix": prefix, "sampling_rate": 0.5, "max_files": 5}},
        {"logging": {"prefix": prefix}, "warmup": {"iterations": 2}},
        {"logging": {}},
        {"warmup": {"iterations": 3}},
    ]
    told = [ModelConfig(f"m{n}", f"/m/{n}", options=each) for n, each in enumerate(tables)]
    # One of no path at all, which is shown as what it calls itself.
    for each in (*told, model(ScriptedSource(1), "own")):
        plane.repository.put(each)
    plane.tell("GetConfig").wait()
    before = dict(plane.repository.configuration)
    assert len(before) == len(told) + 1
    # At once: there is nothing to load, though none of the bench's jobs is done.
    assert (send_back(plane).code, plane.repository.configuration) == ("OK", before)


def test_what_a_load_leaves_unsaid_of_a_models_log_stays(tmp_path: Path) -> None:
    log = {"prefix": str(tmp_path / "log"), "max_files": 5}
    known = ModelConfig("m", "/m", options={"logging": log}, transition="resource")
    message = config_of(known)
    message.version_labels["x"] = 4
    message.ClearField("logging_config")
    again = added_model(message, {"m": known})
    assert (again.labels, again.options) == ({"x": 4}, known.options)
    # One that lists all there is to say says that there is none.
    message.ClearField("logging_config")
    assert model_of(message, known).options == {}
    # Elsewhere it is another model.
    message.base_path = "/other"
    assert added_model(message, {"m": known}).options == {}


def test_a_models_log_is_changed_by_who_says_so(tmp_path: Path) -> None:
    log = {"prefix": str(tmp_path / "log"), "max_files": 5}
    known = ModelConfig("m", "/m", options={"logging": log, "warmup": {"iterations": 2}})
    message = config_of(known)
    message.logging_config.sampling_config.sampling_rate = 0.25
    again = added_model(message, {"m": known})
    assert again.options["warmup"] == {"iterations": 2}
    assert again.options["logging"]["sampling_config"] == {"sampling_rate": 0.25}
    # What was told of one that a program gave badly keeps nobody from mending it.
    broken = ModelConfig("m", "/m", options={"logging": {"nonsense": 1}})
    assert added_model(message, {"m": broken}).options == {"logging": again.options["logging"]}


def test_a_source_of_its_own_stays_unless_a_path_is_given() -> None:
    known = model(ScriptedSource(1))
    message = config_of(known)
    message.version_labels["x"] = 1
    again = added_model(message, {"m": known})
    assert again.source is known.source and again.labels == {"x": 1}
    message.base_path = "/m"
    again = added_model(message, {"m": known})
    assert (again.source, again.path) == (None, "/m")
