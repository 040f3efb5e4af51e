import os
import signal
import subprocess
import sys
import threading

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
