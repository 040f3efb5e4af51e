"""`Server` and `Model` inside this process."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorwire as tw
from tensorwire.errors import (
    ConfigError,
    FailedPreconditionError,
    InvalidArgumentError,
    ModelLoadError,
    NotFoundError,
    TensorTypeError,
)


def test_a_server_in_a_thread(models: Path) -> None:
    """Where no signal can be handled."""
    answers: list[float] = []

    def use() -> None:
        with (
            tw.Server(models / "half_plus_two", port=0) as server,
            tw.Client(server.address, timeout=10.0) as client,
        ):
            answers.append(float(client.predict("half_plus_two", [4.0])["y"][0]))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(60)
    assert answers == [5.0]


def test_two_servers_in_one_process(models: Path) -> None:
    with (
        tw.Server({"m": models / "half_plus_two" / "1"}, port=0) as first,
        tw.Server({"m": models / "half_plus_two" / "2"}, port=0) as second,
        tw.Client(first.address) as one,
        tw.Client(second.address) as two,
    ):
        assert one.predict("m", [2.0])["y"] == 3.0
        assert two.predict("m", [2.0])["y"] == 4.0
        assert [each.version for each in first.models["m"].versions] == [1]


def test_a_stopped_server_is_gone(models: Path) -> None:
    with tw.Server(models / "add", port=0) as server:
        address = server.address
        assert server.stop() is True
    with (
        tw.Client(address, timeout=5.0, retry=tw.Retry(retries=0)) as client,
        pytest.raises(tw.errors.UnavailableError),
    ):
        client.status("add")


def test_a_model_in_process(models: Path) -> None:
    with tw.Model(models / "half_plus_two") as model:
        assert (model.metadata.name, model.metadata.version) == ("half_plus_two", 2)
        assert model.predict([2.0])["y"].tolist() == [4.0]
        x = np.array([[1, 2]], np.float32)[0]
        assert model.predict({"x": x}, outputs=["y"])["y"].tolist() == [3.5, 4.0]
        assert set(model.predict({"x": x}, signature="summary")) == {"least", "most", "y"}


def test_strings_in_process(models: Path) -> None:
    with tw.Model(models / "shout") as model:
        assert model.predict(["hello"])["loud"].tolist() == [b"HELLO!"]
        assert model.predict(["hello"], strings="str")["loud"].tolist() == ["HELLO!"]


def test_a_model_says_what_is_wrong(models: Path) -> None:
    with tw.Model(models / "add") as model:
        with pytest.raises(InvalidArgumentError, match=r"2 inputs \(a, b\); give a mapping"):
            model.predict([1.0])
        with pytest.raises(TensorTypeError, match="input 'a' is float32, got"):
            model.predict({"a": ["x"], "b": [1.0]})
        with pytest.raises(InvalidArgumentError, match="input size does not match signature"):
            model.predict({"a": [1.0]})
        with pytest.raises(tw.errors.FailedPreconditionError, match="nope"):
            model.predict({"a": [1.0]}, signature="nope")
    model.close()
    with pytest.raises(NotFoundError, match="the model was closed"):
        model.predict({"a": [1.0], "b": [1.0]})


def test_a_models_errors_name_it(models: Path) -> None:
    with tw.Model(models / "add") as model:
        assert repr(model) == f"Model({str(models / 'add')!r})"
        wrong: list[dict[str, Any]] = [
            {"inputs": [1.0]},
            {"inputs": None},
            {"inputs": {"a": ["x"], "b": [1.0]}},
            {"inputs": {}, "signature": "nope"},
            {"inputs": {}, "timeout": -1},
            {"inputs": {}, "timeout": 1e300},
            {"inputs": {}, "outputs": "sum"},
            {"inputs": {}, "strings": "text"},
        ]
        for arguments in wrong:
            with pytest.raises(tw.errors.TensorWireError) as raised:
                model.predict(**arguments)
            assert (raised.value.model, raised.value.target) == ("add", None)
            assert "model 'add'" in str(raised.value) and len(str(raised.value)) < 200
        with pytest.raises(FailedPreconditionError) as raised:
            model.predict([1.0], signature="nope")
        assert raised.value.details == "there is no signature 'nope'; there is 'serving_default'"


def test_a_path_that_is_none() -> None:
    with pytest.raises(ConfigError, match="path must be the path of a model; got 5"):
        tw.Model(5)  # type: ignore[arg-type]


def test_no_inputs_need_not_be_given(models: Path) -> None:
    with tw.Model(models / "no_inputs") as model:
        assert model.predict()["answer"] == 42
        with pytest.raises(InvalidArgumentError, match="takes no inputs; leave them out"):
            model.predict([1])
    with (
        tw.Server(models / "no_inputs", port=0) as server,
        tw.Client(server.address, timeout=20.0) as client,
    ):
        assert client.predict("no_inputs")["answer"] == 42


def test_ranges_and_numpys_scalars_in_process(models: Path) -> None:
    with tw.Model(models / "half_plus_two") as model:
        assert model.predict(range(3)).keys() == {"y"}
        assert model.predict({"x": [np.float64(2.0)]})["y"].tolist() == [4.0]


@pytest.mark.parametrize("name", ["corrupt", "missing_variables", "empty", "nowhere"])
def test_a_model_that_cannot_be_loaded(models: Path, name: str) -> None:
    with pytest.raises(ModelLoadError, match=name):
        tw.Model(models / name)


def test_many_threads_share_a_model(models: Path) -> None:
    wrong: list[float] = []

    with tw.Model(models / "half_plus_two") as model:

        def call(number: float) -> None:
            for _ in range(100):
                answer = float(model.predict([number])["y"][0])
                if answer != number / 2 + 3:
                    wrong.append(answer)

        threads = [threading.Thread(target=call, args=(float(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []


LEFT_RUNNING = """
import logging, socket, sys, threading, time
import tensorwire as tw

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
server = tw.Server(sys.argv[1], port=0).start()
client = tw.Client(server.address)
answered = threading.Event()

def predict():
    while True:
        client.predict("half_plus_two", [1.0])
        answered.set()

def disturb():
    while True:  # Each of these is a log line of an I/O thread.
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.send(b"x" * 50)

for work in (predict, predict, disturb):
    threading.Thread(target=work, daemon=True).start()
assert answered.wait(60)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_the_interpreter_ends_while_a_server_works(models: Path, attempt: int) -> None:
    """Nobody stopped it: its threads log, and daemon threads call it, to the end."""
    command = [sys.executable, "-c", LEFT_RUNNING, str(models / "half_plus_two")]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert ended.returncode == 0


FORKED = """
import os, sys
import tensorwire as tw

kind, path = sys.argv[1:]
made = tw.Model(path) if kind == "model" else tw.Server(path, port=0).start()
child = os.fork()
if child == 0:
    if kind == "stopped server":
        assert made.stop() is True
    if kind == "model":
        try:
            made.predict([1.0])
        except tw.errors.FailedPreconditionError:
            pass
    sys.exit(3)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 3, status
if kind == "model":
    assert made.predict([2.0])["y"].tolist() == [4.0]
else:
    with tw.Client(made.address) as client:
        assert client.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]
    made.stop()
"""


@pytest.mark.parametrize("kind", ["model", "server", "stopped server"])
def test_a_fork_ends_by_itself_and_leaves_the_parent_alone(models: Path, kind: str) -> None:
    command = [sys.executable, "-c", FORKED, kind, str(models / "half_plus_two")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "panicked" not in ended.stderr
