"""Has the demo's model trained in another process, or finds it trained before."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorwire.errors import TensorWireError
from tensorwire.repository.keras_export import cache_directory

MODEL_NAME = "digits"
_INGREDIENTS = ("digits.py", "trainer.py")
_PACKAGES = ("tensorflow", "keras", "scikit-learn")


@dataclass(frozen=True)
class Progress:
    """How far training is."""

    epoch: int
    epochs: int
    accuracy: float
    """On the training images, 0 to 1."""


@dataclass(frozen=True)
class TrainedModel:
    """The result."""

    path: Path
    """A directory of versions with one SavedModel."""

    from_cache: bool


def trained_model(report: Callable[[Progress], None]) -> TrainedModel:
    """The model, from the cache if what it was made with is unchanged.

    Raises TensorWireError if training fails.
    """
    home = cache_directory() / "demo" / _key()
    path = home / MODEL_NAME
    if path.is_dir():
        return TrainedModel(path, from_cache=True)
    try:
        home.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=".training-", dir=home))
    except OSError as error:
        raise TensorWireError(f"the demo's model can't be kept in {home}: {error}") from error
    try:
        made = workspace / MODEL_NAME
        made.mkdir()
        _train(made / "1", report)
        with contextlib.suppress(OSError):
            # It fails if another demo has finished first; its result is the same.
            made.rename(path)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    if not path.is_dir():
        raise TensorWireError(f"the demo's model can't be kept in {home}")
    return TrainedModel(path, from_cache=False)


def _key() -> str:
    digest = hashlib.sha256()
    for name in _INGREDIENTS:
        digest.update((Path(__file__).parent / name).read_bytes())
    for package in _PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        digest.update(f"{package} {version}\n".encode())
    return digest.hexdigest()[:16]


def _train(target: Path, report: Callable[[Progress], None]) -> None:
    command = [sys.executable, "-m", "tensorwire.demo.trainer", str(target)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 (our own module)
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            for line in _json_lines(process):
                if "epoch" in line:
                    report(Progress(**line))
        finally:
            process.kill()
            status = process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if not (target / "saved_model.pb").is_file():
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise TensorWireError(f"training failed with status {status}: {last}")


def _json_lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    for line in process.stdout or ():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
    process.wait()
