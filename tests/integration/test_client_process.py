"""The client and its process: import, fork, Ctrl-C, exit."""

import signal
import subprocess
import sys
import textwrap

import pytest
from stub_server import StubServer

import tensorwire as tw


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


FORKS = {
    "after a call": """
        client.predict("echo", X)
        in_child(lambda: [client.predict("echo", X) for _ in range(3)])
        """,
    "with a client of its own": """
        client.predict("echo", X)
        in_child(lambda: tw.Client(address).predict("echo", X))
        """,
    "during calls": """
        def call():
            while not ended.is_set():
                client.status("echo")
        ended = threading.Event()
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            in_child(lambda: client.predict("echo", X))
        ended.set()
        for thread in threads:
            thread.join()
        """,
    "during awaited calls": """
        async def calls():
            client = tw.AsyncClient(address)
            tasks = [asyncio.create_task(client.predict("echo", X)) for _ in range(20)]
            await asyncio.sleep(0)
            in_child(lambda: tw.Client(address).predict("echo", X))
            await asyncio.gather(*tasks)
        asyncio.run(calls())
        """,
    "a loop of the child's": """
        async def call(client):
            await asyncio.gather(*(client.predict("echo", X) for _ in range(5)))
        awaited = tw.AsyncClient(address, timeout=15)
        asyncio.run(call(awaited))
        in_child(lambda: asyncio.run(call(awaited)))
        asyncio.run(call(awaited))
        """,
    "closed in the child": """
        client.predict("echo", X)
        in_child(client.close)
        """,
    "child that ends as Python ends": """
        client.predict("echo", X)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            client.predict("echo", X)
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
    "by multiprocessing": """
        import multiprocessing
        client.predict("echo", X)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for outputs in pool.starmap(client_predict, [("echo", X)] * 8):
                assert outputs["x"].tolist() == [[1, 1]]
        """,
}

FORK_PREAMBLE = """
import os, signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads

def in_child(action):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs ends by itself
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, status

def client_predict(*arguments):
    return client.predict(*arguments)

client = tw.Client(address, timeout=15)
"""


@pytest.mark.parametrize("fork", FORKS)
def test_fork(server: StubServer, fork: str) -> None:
    """In a process without grpcio, whose own fork handlers would be tested too."""
    code = FORK_PREAMBLE + textwrap.dedent(FORKS[fork]) + '\nclient.predict("echo", X)\n'
    assert run(code, server.address) == ""


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
