import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.server_doubles import RecordingCore, StoppingWatcher
from tensorwire import server as server_module
from tensorwire._core import NativeError
from tensorwire.cli.announcement import announce
from tensorwire.cli.serve import _whereabouts
from tensorwire.config import Batching
from tensorwire.errors import (
    ConfigError,
    ModelLoadError,
    NotFoundError,
    TensorWireError,
    UnavailableError,
)
from tensorwire.running import run, serve
from tensorwire.server import Server


def test_models_are_declared_before_it_listens_and_loaded_after(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    with Server(models, port=0) as server:
        assert core.calls[:3] == ["declare a", "declare b", "listen 0"]
        assert core.calls.index("load a 1") > 2 and core.calls.index("load b 1") > 2
        assert (server.port, server.address) == (4321, "127.0.0.1:4321")
        assert all(status.available for status in server.models.values())
        assert list(server.signatures("a")["serving_default"].inputs) == ["x"]
        assert server.wait(0) is False
    assert core.calls[-1] == "stop 30"
    assert server.wait(0) is True


@pytest.mark.parametrize(
    ("host", "address", "whereabouts"),
    [
        ("0.0.0.0", "127.0.0.1:4321", "0.0.0.0:4321 (every network)"),
        ("::", "[::1]:4321", "[::]:4321 (every network)"),
        ("::1", "[::1]:4321", "[::1]:4321"),
        ("h", "h:4321", "h:4321"),
    ],
)
def test_the_address_is_one_that_can_be_called(
    core: RecordingCore,
    models: dict[str, Path],
    host: str,
    address: str,
    whereabouts: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tensorwire")
    with Server(models, host=host) as server:
        assert server.address == address
        assert server.whereabouts == whereabouts
    assert f"listening on {whereabouts}" in caplog.messages


def test_the_command_line_tells_both_addresses(
    core: RecordingCore, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(models, host="0.0.0.0") as server:
        announce(server)
        told = _whereabouts(server)
    out = capsys.readouterr().out
    assert out.startswith("Listening on 0.0.0.0:4321 (every network) (gRPC and REST)\n")
    assert "tensorwire predict 127.0.0.1:4321 a " in out
    assert (told["address"], told["host"]) == ("127.0.0.1:4321", "0.0.0.0")


def test_a_model_that_went_meanwhile_is_not_told_of(
    core: RecordingCore, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def signatures(name: str, version: int | None) -> tuple[int, list[Any]]:
        if name == "a":
            raise NativeError("NOT_FOUND", "Servable not found for request: Latest(a)", "")
        return RecordingCore.signatures(core, name, version)

    core.signatures = signatures  # type: ignore[method-assign]
    with Server(models) as server:
        announce(server)
    out = capsys.readouterr().out
    assert "Serving b, version 1" in out
    assert "Serving a" not in out


def test_a_taken_port_ends_the_start_before_anything_loads(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    core.taken = True
    with pytest.raises(TensorWireError, match=r"cannot listen on 127.0.0.1:1: in use"):
        Server(models).start()
    assert core.calls == ["declare a", "declare b"]


def test_a_broken_model_beside_a_healthy_one(core: RecordingCore, models: dict[str, Path]) -> None:
    core.refuse = {"a"}
    with Server(models) as server:
        errors = {each.model.name: each.error for each in server.outcomes}
        assert errors == {"a": f"{models['a']} is corrupt", "b": None}
        assert server.models["a"].versions == ()


def test_nothing_to_serve_is_an_error(core: RecordingCore, models: dict[str, Path]) -> None:
    core.refuse = {"a", "b"}
    server = Server(models)
    with pytest.raises(ModelLoadError) as caught:
        server.start()
    assert str(caught.value) == (
        f"none of the 2 models can be served: a: {models['a']} is corrupt; "
        f"b: {models['b']} is corrupt"
    )
    assert core.calls[-1] == "stop 0"
    with pytest.raises(ModelLoadError, match=r"the model can't be served: a: .* is corrupt"):
        Server(models["a"]).start()
    # A file of settings alone says nothing of that.
    file = models["a"] / "tensorwire.toml"
    file.write_text("[server]\nport = 0\n")
    with pytest.raises(ModelLoadError, match="the model can't be served: a: "):
        Server(models["a"], config=file).start()


def test_before_it_is_started(core: RecordingCore, models: dict[str, Path]) -> None:
    server = Server(models)
    with pytest.raises(TensorWireError, match="no port yet"):
        _ = server.port
    with pytest.raises(NotFoundError, match="not started"):
        server.signatures("a")
    assert server.models["a"].versions == ()
    assert server.stop() is True
    assert server.start().outcomes == []
    assert core.calls == []


def test_it_is_started_once(core: RecordingCore, models: dict[str, Path]) -> None:
    with Server(models) as server, pytest.raises(TensorWireError, match="started before"):
        server.start()


def test_settings_are_checked_when_it_is_made(models: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="port can't be '-1'"):
        Server(models, port=-1)
    with pytest.raises(ConfigError, match="there is no setting 'prot'"):
        Server(models, prot=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="can't be 'zz': the models served are a, b"):
        Server(models, default_model="zz")


@pytest.mark.parametrize("configured", [True, False])
def test_serve_tells_where_it_listens_if_no_log_does(
    core: RecordingCore,
    models: dict[str, Path],
    configured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(server_module._log, "hasHandlers", lambda: configured)
    monkeypatch.setattr(Server, "wait", lambda self: True)
    serve(models)
    assert capsys.readouterr().err == ("" if configured else "listening on 127.0.0.1:4321\n")


def test_the_port_may_open_when_the_models_are_loaded(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    with Server(models, port=0, listen_when="loaded"):
        loads = [core.calls.index(f"load {name} 1") for name in models]
        assert core.calls.index("listen 0") > max(loads)


def test_a_model_that_never_loads_then_ends_the_start(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    core.refuse = {"a"}
    server = Server(models, listen_when="loaded", max_load_retries=2, load_retry_interval=0)
    with pytest.raises(ModelLoadError) as caught:
        server.start()
    assert str(caught.value) == (
        "1 servable(s) did not become available: "
        f"{{{{name: a version: 1}} due to error: {models['a']} is corrupt}}, }}"
    )
    assert not any(call.startswith("listen") for call in core.calls)
    missing = Server({**models, "m": models["a"] / "none"}, listen_when="loaded")
    core.refuse = set()
    with pytest.raises(ModelLoadError, match=r"name: m version: 1\} due to error: .*/none does"):
        missing.start()
    watcher = StoppingWatcher("listening")
    assert run(Server(models, listen_when="loaded"), watcher) is True
    assert watcher.seen == ["listening"]


def test_models_come_and_go(core: RecordingCore, models: dict[str, Path]) -> None:
    with Server({"a": models["a"]}) as server:
        assert server.add_model("b", models["b"], labels={"stable": 1}).available
        assert list(server.models) == ["a", "b"]
        assert "labels b {'stable': 1}" in core.calls
        server.set_labels("b", {})
        assert server.configuration["b"].labels == {}
        with pytest.raises(ConfigError, match="label to version 5 of model b"):
            server.set_labels("b", {"stable": 5})
        server.remove_model("b")
        assert "remove b" in core.calls
        for unknown in (server.remove_model, server.reload_model):
            with pytest.raises(NotFoundError, match="any versions of model b"):
                unknown("b")
        with pytest.raises(NotFoundError, match="there is no model b"):
            server.set_labels("b", {})
        core.refuse = {"a"}
        with pytest.raises(ModelLoadError, match=r"model a version 1 can't be served: .* corrupt"):
            server.reload_model("a")
        server.replace_models({})
        assert server.models == {}


@pytest.mark.parametrize("change", ["add_model", "reload_model"])
def test_a_change_that_a_stop_cuts_short_did_not_go_well(
    core: RecordingCore, models: dict[str, Path], change: str
) -> None:
    server = Server({"a": models["a"]}, grace=0).start()
    core.loading.clear()
    core.hold = threading.Event()
    changes: dict[str, Callable[[], object]] = {
        "add_model": lambda: server.add_model("a", models["a"], batching=Batching.off()),
        "reload_model": lambda: server.reload_model("a"),
    }
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(changes[change])
        assert core.loading.wait(30)
        server.stop()
        with pytest.raises(UnavailableError, match="the server was stopped before it was done"):
            changing.result(30)
        core.hold.set()
    for late in (server.reload_model, server.remove_model):
        with pytest.raises(UnavailableError):
            late("a")
    with pytest.raises(UnavailableError):
        server.replace_models({})


def test_a_url_that_nothing_can_open_ends_the_start(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    server = Server({"a": models["a"], "b": "gopher://there/b"})
    with pytest.raises(ConfigError, match="gopher"):
        server.start()
    assert core.calls[-1] == "stop 0"
