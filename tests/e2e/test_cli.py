"""`tensorwire predict` and `inspect` against a real server and real files, in a pipe and
on a terminal; and `serve` on a terminal."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tensorwire as tw
from harness.server_process import ServerProcess
from harness.stores import FileServer, running
from harness.terminal import ESCAPES, in_pipe, on_terminal, plain


@pytest.fixture(scope="module")
def target(server: ServerProcess) -> str:
    return server.address


def predict(target: str, *arguments: str, stdin: bytes = b"") -> dict[str, object]:
    done = in_pipe("predict", target, *arguments, "--json", stdin=stdin)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_json_text(target: str) -> None:
    # Each number is an example of its own: the model takes a batch of scalars.
    assert predict(target, "half_plus_two", "--input", "x=[2, 4]") == {"y": [4.0, 5.0]}
    assert predict(target, "half_plus_two", "--input", "[2, 4]") == {"y": [4.0, 5.0]}
    both = predict(target, "add", "-i", "a=[1, 2]", "-i", "b=[3, 4]")
    assert list(both.values()) == [[4.0, 6.0]]


def test_version_signature_and_outputs(target: str) -> None:
    least = predict(
        target, "half_plus_two", "-i", "[2, 4]", "--signature", "summary", "-o", "least"
    )
    assert list(least) == ["least"]


def test_files(target: str, tmp_path: Path) -> None:
    x = np.array([2, 4], np.float32)
    (tmp_path / "x.json").write_text("[2, 4]")
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    (tmp_path / "x.csv").write_text("x\n2\n4\n")
    for name in ("x.json", "x.npy", "x.npz", "x.csv"):
        path = str(tmp_path / name)
        assert predict(target, "half_plus_two", "-i", path) == {"y": [4.0, 5.0]}, name


def test_standard_input(target: str) -> None:
    expected = {"y": [4.0, 5.0]}
    assert predict(target, "half_plus_two", stdin=b"[2, 4]") == expected
    assert predict(target, "half_plus_two", "-i", "x=-", stdin=b"2\n4\n") == expected


def test_an_image(target: str, tmp_path: Path) -> None:
    """Scaled to the 8 by 8 grey pixels that the network takes."""
    Image.new("RGB", (64, 32), "white").save(tmp_path / "white.png")
    from_image = predict(target, "conv", "-i", str(tmp_path / "white.png"))
    from_ones = predict(target, "conv", "-i", "ones")
    # An image is one example: its outputs have no batch dimension.
    assert {name: [value] for name, value in from_image.items()} == from_ones


def test_strings(target: str) -> None:
    outputs = predict(target, "strings", "-i", '["Hello", "é"]')
    assert "hello" in json.dumps(outputs)


def test_a_table_is_shown_to_people(target: str) -> None:
    piped = in_pipe("predict", target, "half_plus_two", "-i", "[2, 4]")
    assert piped.code == 0 and not ESCAPES.search(piped.out)
    shown = on_terminal("predict", target, "half_plus_two", "-i", "[2, 4]")
    assert shown.code == 0
    for text in (piped.out, plain(shown.out)):
        assert "y" in text and "4" in text and "5" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no_such_model", "-i", "1"), "no_such_model"),
        (("add", "-i", "a=[1, 2]", "-i", "b=[1, 2, 3]"), "shapes"),
        (("half_plus_two", "-i", "[1]", "--signature", "nope"), "nope"),
        (("half_plus_two", "-i", "[1]", "--version", "99"), "99"),
    ],
)
def test_failures_are_1_and_one_line(target: str, arguments: tuple[str, ...], says: str) -> None:
    done = in_pipe("predict", target, *arguments)
    assert done.code == 1
    assert done.out == ""
    assert says in done.err and len(done.err.splitlines()) == 1


def test_no_server(unused_tcp_port: int) -> None:
    done = in_pipe("predict", f"127.0.0.1:{unused_tcp_port}", "m", "-i", "1", "--timeout", "5s")
    assert done.code == 1
    assert f"127.0.0.1:{unused_tcp_port}" in done.err and "refused" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("half_plus_two", "-i", "z=[1]"), "no input 'z'"),
        (("half_plus_two", "-i", "x=[1"), "neither a file nor JSON"),
        (("half_plus_two", "-i", "/no/such/file.npy"), "/no/such/file.npy"),
        (("half_plus_two", "--timeout", "soon"), "'soon'"),
    ],
)
def test_wrong_usage_is_2(target: str, arguments: tuple[str, ...], says: str) -> None:
    done = in_pipe("predict", target, *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err and "Traceback" not in done.err


def test_inspect_a_server(target: str) -> None:
    piped = in_pipe("inspect", target, "--json")
    assert piped.code == 0
    assert "half_plus_two" in json.dumps(json.loads(piped.out))
    shown = on_terminal("inspect", target, "half_plus_two")
    assert shown.code == 0
    text = plain(shown.out)
    for word in ("half_plus_two", "AVAILABLE", "serving_default", "float32"):
        assert word in text, text


def test_inspect_a_server_by_its_url(target: str) -> None:
    done = in_pipe("inspect", f"http://{target}", "half_plus_two", "--json")
    assert (done.code, done.err) == (0, "")
    assert list(json.loads(done.out)["models"]) == ["half_plus_two"]


def test_inspect_a_models_url(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORWIRE_STORE_CACHE", str(tmp_path / "stores"))
    archive = shutil.make_archive(str(tmp_path / "m"), "gztar", models / "half_plus_two")
    content = {"/m.tar.gz": Path(archive).read_bytes()}
    with running(FileServer(files=content)) as store:
        shown = in_pipe("inspect", f"{store.url}/m.tar.gz", "--json", "--no-measure")
        missing = in_pipe("inspect", f"{store.url}/none.tar.gz")
    assert shown.code == 0, shown.err
    (model,) = json.loads(shown.out)["models"].values()
    assert [(each["version"], each["state"]) for each in model["versions"]] == [
        (2, "AVAILABLE"),
        (1, "NOT_LOADED"),
    ]
    assert model["signatures"]["serving_default"]["inputs"]["x"]["dtype"] == "float32"
    assert (missing.code, missing.out) == (1, "")
    assert "none.tar.gz" in missing.err and len(missing.err.splitlines()) == 1


def test_inspect_a_path(models: Path) -> None:
    shown = on_terminal("inspect", str(models / "mlp"))
    assert shown.code == 0
    assert "serving_default" in plain(shown.out) and "32" in plain(shown.out)
    broken = in_pipe("inspect", str(models / "corrupt"))
    assert broken.code == 1
    assert "corrupt" in broken.err and "Traceback" not in broken.err


def test_the_command_that_serve_prints(start, models: Path) -> None:
    process = start(str(models / "mlp")).wait_serving()
    line = process.wait_line("tensorwire predict")
    arguments = line.partition("tensorwire ")[2].split()
    done = in_pipe(*arguments, "--json")
    assert done.code == 0
    assert list(json.loads(done.out)) == ["y"]
    process.stop()


def test_serve_on_a_terminal(models: Path, tmp_path: Path) -> None:
    """Readable log lines, what is served and how to call it; Ctrl-C stops it."""
    ready = tmp_path / "ready.json"

    def interrupt() -> None:
        while not ready.exists():
            threading.Event().wait(0.01)
        told = json.loads(ready.read_text())
        with tw.Client(told["address"]) as client:
            client.wait_until_ready(60)
        os.kill(told["pid"], signal.SIGINT)

    interrupter = threading.Thread(target=interrupt, daemon=True)
    interrupter.start()
    path = str(models / "half_plus_two")
    shown = on_terminal("serve", path, "--port", "0", "--ready-file", str(ready))
    interrupter.join(60)
    text = plain(shown.out)
    assert shown.code == 0, text
    for part in ("listening on 127.0.0.1:", "model half_plus_two version 2 loaded", "stopped"):
        assert part in text, text
    assert not text.lstrip().startswith("{") and "Traceback" not in text


def test_a_single_model_that_fails_is_told_once(models: Path) -> None:
    corrupt = models / "corrupt"
    for path in (corrupt, models / "no_such_model"):
        done = in_pipe("serve", str(path), "--port", "0")
        assert done.code == 1
        told = [line for line in done.err.splitlines() if "can't be served" in line]
        assert len(told) == 1 and told[0].startswith("error: "), done.err


def test_a_port_that_waits_for_the_models_hides_no_failure(models: Path) -> None:
    """One that is broken is tried again and again; one that is not there ends the start."""
    retries = ("--max-load-retries", "1", "--load-retry-interval", "100ms")
    for path, times in ((models / "corrupt", 2), (models / "no_such_model", 1)):
        done = in_pipe("serve", str(path), "--port", "0", "--listen-when", "loaded", *retries)
        assert done.code == 1
        *lines, last = done.err.splitlines()
        assert last.startswith("error: 1 servable(s) did not become available: "), done.err
        assert (
            sum(f"model {path.name} version 1 can't be served" in line for line in lines) == times
        )


def test_without_input_it_says_what_is_missing(target: str) -> None:
    done = in_pipe("predict", target, "add")
    assert done.code == 2
    assert "no input was given; the model's inputs are a, b" in done.err
