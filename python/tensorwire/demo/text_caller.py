"""Runs the text service's plain client: its stubs are generated from the .proto file
into a folder that is thrown away, and it runs in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorwire.errors import TensorWireError

TIMEOUT_SECONDS = 60.0
_HERE = Path(__file__).parent
PROTO_FILE = _HERE / "prediction_service.proto"


def call_text_service(address: str, input_data: str) -> str:
    """What the client printed: `Prediction: ...`.

    Raises TensorWireError if it can't be generated, fails, or printed an error.
    """
    with tempfile.TemporaryDirectory(prefix="tensorwire-stubs-") as folder:
        generate = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO_FILE.parent}"]
        generate += [f"--python_out={folder}", f"--grpc_python_out={folder}", str(PROTO_FILE)]
        _run(generate, dict(os.environ))
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
        # Away from this package, whose modules it would otherwise find beside it.
        program = shutil.copy(_HERE / "text_client.py", folder)
        client = [sys.executable, program, address, input_data]
        # gRPC's own log lines would end up between ours.
        printed = _run(client, {**os.environ, "PYTHONPATH": path, "GRPC_VERBOSITY": "NONE"})
    if not printed.startswith("Prediction: "):
        raise TensorWireError(f"the text service answered: {printed}")
    return printed


def _run(command: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (our own commands)
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise TensorWireError(f"{command[1]} took more than {TIMEOUT_SECONDS:.0f} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise TensorWireError(f"{' '.join(command[1:3])} failed: {last}")
    return done.stdout.strip()
