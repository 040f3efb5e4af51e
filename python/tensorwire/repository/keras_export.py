"""Turns a Keras file into a SavedModel, once: the result is kept in a cache, keyed by the
file's content and TensorFlow's version.

The work is done by this module run as a program, so the process that serves never
imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.units import format_duration

_log = logging.getLogger("tensorwire.repository")

LAYOUT = "1"
"""Part of the cache key: change it when what is exported changes."""

MAX_REASON_CHARACTERS = 300

NICE = 19
"""How far an export stands back beside models that are served, as their loads do."""


def cache_directory() -> Path:
    """Where TensorWire keeps what it can make again: `$XDG_CACHE_HOME/tensorwire`, by
    default `~/.cache/tensorwire`.

    Raises ConfigError where there is neither: a container may run as a user of no name.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise ConfigError(
            "there is no place to keep anything, as this user has no home directory: set the "
            "variable XDG_CACHE_HOME, or HOME, to a folder of its own"
        ) from None
    return base / "tensorwire"


class KerasExporter:
    """Exports Keras files; may be used from several threads."""

    def __init__(
        self,
        tensorflow_version: str,
        cache: Path | None = None,
        *,
        others_serve: Callable[[], bool] = lambda: False,
    ) -> None:
        """`others_serve`: whether an export is to stand back, as somebody is served."""
        self._tensorflow_version = tensorflow_version
        self._cache = cache
        self._others_serve = others_serve
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._cancelled = False

    def export(self, path: Path) -> Path:
        """The SavedModel directory made from a Keras file, now or earlier.

        Raises ModelLoadError if Keras can't read the file or the cache can't be written.
        """
        try:
            target = (self._cache or cache_directory()) / "keras" / self._key(path)
            if target.is_dir():
                _log.info("%s was exported before, to %s", path, target)
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            workspace = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
        except OSError as error:
            raise ModelLoadError(f"{path} can't be exported: {error}") from error
        try:
            return self._export_into(workspace, path, target)
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    def cancel(self) -> None:
        """Ends exports under way; they and later ones fail."""
        with self._lock:
            self._cancelled = True
            for process in self._running:
                process.kill()

    def _key(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return f"{digest.hexdigest()[:32]}-{path.suffix[1:]}-tf{self._tensorflow_version}-{LAYOUT}"

    def _export_into(self, workspace: Path, path: Path, target: Path) -> Path:
        started = time.monotonic()
        made = workspace / "model"
        reason = self._run(path, made)
        if reason is not None:
            raise ModelLoadError(f"{path} can't be exported: {reason}")
        try:
            made.rename(target)
        except OSError as error:
            # Another process finished the same export first; its result is as good.
            if not target.is_dir():
                raise ModelLoadError(f"{path} can't be kept in {target}: {error}") from error
        elapsed = format_duration(time.monotonic() - started)
        _log.info("%s exported once as a SavedModel in %s, to %s", path, elapsed, target)
        return target

    def _run(self, path: Path, made: Path) -> str | None:
        """Exports in a process of its own. None: done; else the reason why not."""
        command = [sys.executable, "-m", __name__, str(path), str(made)]
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        stands_back = self._others_serve()
        with self._lock:
            if self._cancelled:
                return "the server is stopping"
            process = subprocess.Popen(  # noqa: S603 (our own module)
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._running.add(process)
        if stands_back:
            # Before it has threads, which inherit it. Where that can't be, it runs as others do.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        try:
            output, _ = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._cancelled:
            return "the server is stopping"
        return _reason(output, process.returncode)


def _reason(output: str, status: int) -> str | None:
    lines = output.strip().splitlines()
    with contextlib.suppress(ValueError, IndexError, TypeError, KeyError):
        error = json.loads(lines[-1])["error"]
        return None if error is None and status == 0 else str(error)
    return f"the exporting process ended with status {status}"


def main(arguments: list[str]) -> int:
    """`keras_export FILE DIRECTORY`: the child's side. The last line it prints is JSON
    with the error, or null."""
    path, target = arguments
    # Keras and TensorFlow print where they like; the answer has a stream of its own.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    error: str | None = None
    try:
        import keras

        model = keras.saving.load_model(path, compile=False)
        model.export(target, format="tf_saved_model", verbose=False)
    except Exception as failure:  # Keras raises whatever the file led it to.
        text = " ".join(str(failure).split()) or type(failure).__name__
        error = (
            text if len(text) <= MAX_REASON_CHARACTERS else text[:MAX_REASON_CHARACTERS] + "..."
        )
    json.dump({"error": error}, answer)
    answer.close()
    return 0 if error is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
