"""`tensorwire models` wherever a server listens, and what servers of other kinds make of it;
the stories of models that change are in test_lifecycle."""

import json
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc

from harness.certificates import Authority
from harness.server_process import model_arguments
from harness.terminal import ESCAPES, in_pipe


def listed(*words: str) -> list[str]:
    done = in_pipe("models", "list", *words, "--json")
    assert (done.code, done.err) == (0, "")
    return [each["config"]["name"] for each in json.loads(done.out)["models"]]


def test_over_tls_and_a_unix_socket(start, models: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    socket = tmp_path / "s"
    process = start(
        *model_arguments({"half_plus_two": models / "half_plus_two"}),
        *authority.issue("server").arguments,
        *("--unix-socket", str(socket), "--measure-budget", "0"),
    )
    process.wait_listening()
    tls = ("--tls-ca", str(authority.root))
    unix, tcp = (f"unix:{socket}",), (process.address, *tls)
    path = str(models / "add")
    for words, others in ((unix, tcp), (tcp, unix)):
        target, *options = words
        done = in_pipe("models", "load", target, "add", path, "--timeout", "1m", *options)
        assert (done.code, done.err) == (0, "")
        assert "AVAILABLE" in done.out and not ESCAPES.search(done.out)
        assert listed(*others) == ["add", "half_plus_two"]
        assert in_pipe("models", "reload", target, "add", *options).code == 0
        assert 'name: "add"' in in_pipe("models", "config", target, *options).out
        assert in_pipe("models", "unload", target, "add", *options).code == 0
        assert listed(*others) == ["half_plus_two"]
    done = in_pipe("models", "list", process.address, "--timeout", "10s")
    assert (done.code, "TLS" in done.err) == (1, True)
    process.kill()


@pytest.fixture
def another_kind() -> str:
    """A server of gRPC's that lacks what TensorFlow Serving lacks, and says nothing of it."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = model_service_pb2_grpc.ModelServiceServicer()
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(10)


def test_servers_without_our_service_are_told_of(another_kind: str) -> None:
    for words in (("list",), ("config",), ("unload", "m")):
        command, *more = words
        done = in_pipe("models", command, another_kind, *more)
        assert (done.code, done.out) == (1, "")
        (line,) = done.err.splitlines()
        assert line.startswith("error: this server can't be asked to see or change its models")
        assert "it lacks tensorwire.ModelRepository/" in line
        assert line.endswith(f"(UNIMPLEMENTED, at {another_kind})")
    for words in (("inspect", another_kind), ("predict", another_kind, "-i", "1")):
        done = in_pipe(*words)
        assert done.code == 1
        assert "can't list its models (it lacks Health/List); ask for one by its name" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--label", "stable=99999999999999999999"), "is not LABEL=VERSION"),
        (("--timeout", "soon"), "'soon' is no duration"),
        (("--timeout", "0"), "'0' leaves no time"),
        (("--versions", "new"), "'new': it is not"),
    ],
)
def test_wrong_usage_is_2(words: tuple[str, ...], says: str) -> None:
    done = in_pipe("models", "load", "127.0.0.1:1", "m", "/m", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err and "Traceback" not in done.err
