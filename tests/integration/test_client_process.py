"""The client and its process: import, fork, Ctrl-C, exit."""

import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from stub_server import MODEL, StubServer

import tensorwire as tw

X = {"x": np.ones((1, 2), np.float32)}


def start(code: str, address: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


PREAMBLE = """
import asyncio, sys, threading
import numpy as np
import tensorwire as tw
X = {"x": np.ones((1, 2), np.float32)}
address = sys.argv[1]
"""


def run(code: str, address: str = "") -> str:
    process = start(code, address)
    try:
        output, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, (process.returncode, error)
    assert not error
    return output


def in_child(action) -> int:
    """Forks; answers the exit code of a child that does `action`."""
    with warnings.catch_warnings():
        # Python warns of forking with threads: that is what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs ends by itself
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_import_brings_no_tensorflow_and_is_quick() -> None:
    output = run(
        """
        import tensorwire.client
        tw.Client("localhost:1")
        heavy = {"tensorflow", "grpc", "google.protobuf", "asyncio.subprocess"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert output.strip() in ("[]", "['asyncio.subprocess']")


def test_every_public_name_is_there_or_says_what_is_missing() -> None:
    for name in tw.__all__:
        if name not in ("Model", "Server", "serve"):
            assert getattr(tw, name)
    assert set(tw.__all__) <= set(dir(tw))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tw.nonsense


def test_fork(client: tw.Client, server: StubServer) -> None:
    client.predict(MODEL, X)

    def call() -> None:
        for _ in range(3):
            assert client.predict(MODEL, X)["x"].tolist() == [[1, 1]]
        with tw.Client(server.address) as own:
            own.predict(MODEL, X)

    assert in_child(call) == 0
    client.predict(MODEL, X)
    assert len(server.calls) == 6


def test_fork_with_a_call_under_way(client: tw.Client, server: StubServer) -> None:
    import threading

    server.gate.clear()
    thread = threading.Thread(target=client.predict, args=(MODEL, X))
    thread.start()
    server.wait_for_calls(1)
    # The parent's server is this process: the child asks for what needs no gate.
    assert in_child(lambda: client.status(MODEL)) == 0
    server.gate.set()
    thread.join(10)
    assert not thread.is_alive()


def test_closing_in_the_child_leaves_the_parent_alone(client: tw.Client) -> None:
    client.predict(MODEL, X)
    assert in_child(client.close) == 0
    client.predict(MODEL, X)


def test_ctrl_c_ends_a_call(server: StubServer) -> None:
    server.gate.clear()
    process = start(
        """
        try:
            tw.Client(address).predict("echo", X)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        server.address,
    )
    try:
        server.wait_for_calls(1)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, output.strip(), error) == (0, "interrupted", "")
    assert server.calls[0].cancelled.wait(10)


ENDINGS = {
    "idle": """
        client = tw.Client(address)
        client.predict("echo", X)
        """,
    "in a daemon thread": """
        client = tw.Client(address)
        client.status("echo")
        threading.Thread(target=client.predict, args=("echo", X), daemon=True).start()
        sys.stdin.readline()
        """,
    "awaited by nobody": """
        loop = asyncio.new_event_loop()
        client = tw.AsyncClient(address)
        task = loop.create_task(client.predict("echo", X))
        loop.run_until_complete(client.status("echo"))
        task._log_destroy_pending = False
        """,
    "while others connect": """
        for _ in range(8):
            client = tw.Client("localhost:1", wait_for_ready=True)
            threading.Thread(target=client.predict, args=("echo", X), daemon=True).start()
        """,
    "in an exit handler": """
        import atexit
        client = tw.Client(address)
        atexit.register(client.close)
        atexit.register(lambda: client.status("echo"))
        """,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_interpreter_ends_at_once(server: StubServer, ending: str) -> None:
    if "echo" in ENDINGS[ending] and ending != "idle":
        server.gate.clear()
    for _ in range(3):
        assert run(ENDINGS[ending], server.address) == ""
