"""The peers' virtual environments, in work/venvs; made where they are missing."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from paths import WORK
from peers.peer import Peer, folder
from trouble import BenchmarkError

# What every peer here can run on, TensorFlow included.
PYTHON = "3.11"
VENV_SECONDS = 120.0
INSTALL_SECONDS = 900.0

_VERSIONS = """\
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def prepare(name: str) -> Path:
    """The environment's Python. It is made anew where the files in the peer's folder
    have changed; what pip says is in work/logs."""
    venv = WORK / "venvs" / name
    python = venv / "bin" / "python"
    files = [folder(name) / "requirements.txt", folder(name) / "constraints.txt"]
    asked = hashlib.sha256(b"\0".join([PYTHON.encode(), *map(Path.read_bytes, files)]))
    stamp = venv / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == asked.hexdigest():
        return python
    print(f"installing {name} into its own environment", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    log = WORK / "logs" / f"pip-{name}.log"
    _run([_interpreter(), "-m", "venv", str(venv)], log, VENV_SECONDS)
    install = [str(python), "-m", "pip", "install", "--no-input"]
    _run([*install, "-r", str(files[0]), "-c", str(files[1])], log, INSTALL_SECONDS)
    stamp.write_text(asked.hexdigest())
    return python


def versions(peer: Peer, python: Path) -> dict[str, str]:
    """Of the peer's packages and TensorFlow, by package."""
    command = [str(python), "-c", _VERSIONS, *peer.packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"{peer.venv}'s environment lacks a package: {reason}")
    return {str(name): str(version) for name, version in json.loads(done.stdout).items()}


def _interpreter() -> str:
    """One of the wanted version: this one's own, or the first on the PATH."""
    if sys.version.startswith(f"{PYTHON}."):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise BenchmarkError(f"The peers need Python {PYTHON}; there is no python{PYTHON}.")
    return found


def _run(command: list[str], log: Path, seconds: float) -> None:
    """Raises with the last error in the log where the command fails or takes too long."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            done = subprocess.run(command, stdout=output, stderr=output, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError(f"{command[1:4]} took over {seconds:.0f} s.") from error
    if done.returncode != 0:
        errors = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
        reason = errors[-1][:300] if errors else f"exit code {done.returncode}"
        raise BenchmarkError(f"installing failed: {reason}")
