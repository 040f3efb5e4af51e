"""The demo from its first line to its last."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tensorwire.errors import TensorWireError

from . import training
from .digits import load_digits
from .service import ServerProcess
from .text_caller import call_text_service
from .training import TrainedModel, trained_model

CALLER_TIMEOUT_SECONDS = 120.0
_EPOCHS_A_LINE = 5
_NEEDED = {
    "tensorflow": "tensorflow",
    "sklearn": "scikit-learn",
    "grpc": "grpcio",
    "grpc_tools": "grpcio-tools",
}


def tell(console: Console) -> None:
    """Runs the demo. Raises TensorWireError if any part of it fails; leaves no process
    behind either way."""
    _check_needs()
    with _terminate_as_exit():
        model = _train(console)
        with ServerProcess(model.path) as server:
            with console.status("Starting tensorwire serve, a process of its own ..."):
                server.start()
            console.print(f"Serving at {server.address} (process {server.pid})")
            _call(server.address)
            _call_as_text(console, server.address)
            _stop(console, server)


def _check_needs() -> None:
    missing = [
        name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise TensorWireError(
            f"the demo needs {', '.join(missing)}; install it with: pip install 'tensorwire[demo]'"
        )


def _train(console: Console) -> TrainedModel:
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as display:
        task = display.add_task("Starting TensorFlow in a process of its own", total=None)

        def report(progress: training.Progress) -> None:
            description = (
                "Training a small network on scikit-learn's digits, "
                f"epoch {progress.epoch} of {progress.epochs}"
            )
            display.update(
                task,
                description=description,
                completed=progress.epoch,
                total=progress.epochs,
            )
            if not shown and progress.epoch % _EPOCHS_A_LINE == 0:
                console.print(description)

        model = trained_model(report)
    made = "trained before and kept in" if model.from_cache else "trained and exported to"
    console.print(f"Model {made} {model.path}", soft_wrap=True)
    return model


def _call(address: str) -> None:
    """The client's process prints by itself."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "tensorwire.demo.caller", address]
    try:
        done = subprocess.run(command, timeout=CALLER_TIMEOUT_SECONDS)  # noqa: S603 (our own)
    except subprocess.TimeoutExpired:
        raise TensorWireError(
            f"the client took more than {CALLER_TIMEOUT_SECONDS:.0f} s"
        ) from None
    if done.returncode != 0:
        raise TensorWireError(f"the client ended with status {done.returncode}")


def _call_as_text(console: Console, address: str) -> None:
    _, held_out = load_digits()
    image = [[round(float(pixel), 4) for pixel in row] for row in held_out.images[0]]
    with console.status("Generating a client from prediction_service.proto ..."):
        answer = call_text_service(address, json.dumps(image))
    console.print(
        f"A client generated from prediction_service.proto, for the digit {held_out.labels[0]}:"
    )
    console.print(f"  {answer}", soft_wrap=True, markup=False)


def _stop(console: Console, server: ServerProcess) -> None:
    with console.status("Stopping the server with SIGTERM ..."):
        status = server.stop()
    if status != 0:
        raise TensorWireError(
            f"the server ended with status {status} after SIGTERM: {server.last_words()}"
        )
    console.print("Server stopped by SIGTERM, exit status 0")


@contextmanager
def _terminate_as_exit() -> Iterator[None]:
    """Makes SIGTERM unwind this process, so that it takes its children with it."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    earlier = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
