import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from tensorwire.stop_signals import StopSignals

TWO_SIGNALS = """
import os, signal, threading
from tensorwire.stop_signals import TOGETHER_SECONDS, StopSignals

asked = threading.Event()
with StopSignals(asked.set):
    os.kill(os.getpid(), signal.SIGTERM)
    # That of its group comes with it.
    os.kill(os.getpid(), signal.SIGTERM)
    assert asked.wait(30)
    threading.Event().wait(TOGETHER_SECONDS + 0.2)
    print("asked", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(30)
"""


def test_the_first_signal_asks_to_stop() -> None:
    earlier = signal.getsignal(signal.SIGTERM)
    asked = threading.Event()
    with StopSignals(asked.set):
        assert signal.getsignal(signal.SIGTERM) is not earlier
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(30)
    assert signal.getsignal(signal.SIGTERM) is earlier


def test_a_handler_that_is_not_pythons_cannot_be_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then a signal ends the process, as one does that nobody handles."""
    set_by_python = signal.signal
    earlier = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def replace(number: int, handler: Any) -> Any:
        replaced = set_by_python(number, handler)
        # What Python knows of one that a program around it has set.
        return None if replaced in earlier else replaced

    monkeypatch.setattr(signal, "signal", replace)
    try:
        with StopSignals(lambda: None):
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        set_by_python(signal.SIGTERM, earlier[0])
        set_by_python(signal.SIGINT, earlier[1])


def test_the_second_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_SIGNALS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "asked\n"), done.stderr


def test_outside_the_main_thread_nothing_happens() -> None:
    earlier = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def use() -> None:
        with StopSignals(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [earlier]
