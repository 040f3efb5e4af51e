"""Serves a model from a place of your own: here a zip file that a program makes, with a
version in each of its folders.

    python own_source.py model.zip 50051

Any object with these three methods will do; TensorWire polls it, loads what is new and
unloads what is gone.
"""

import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import tensorwire as tw


class ZipSource:
    """The versions in a zip file, such as `3/saved_model.pb`."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._folder = tempfile.TemporaryDirectory()

    def versions(self) -> Sequence[tw.ModelVersion]:
        """Called often: it should be cheap. A stamp is the same as long as the content is."""
        if not self._path.exists():
            return []
        stamp = str(self._path.stat().st_mtime_ns)
        with zipfile.ZipFile(self._path) as archive:
            names = {name.partition("/")[0] for name in archive.namelist()}
        return [
            tw.ModelVersion(int(name), f"{self._path}/{name}", stamp=stamp)
            for name in names
            if name.isdecimal()
        ]

    def fetch(self, version: tw.ModelVersion, watcher: tw.FetchWatcher) -> Path:
        """Called once for each version that is to be served; may take its time."""
        target = Path(self._folder.name, version.stamp)
        with zipfile.ZipFile(self._path) as archive:
            members = [n for n in archive.namelist() if n.startswith(f"{version.number}/")]
            for done, member in enumerate(members):
                if watcher.cancelled.is_set():
                    raise tw.errors.ModelLoadError("it is no longer wanted")
                archive.extract(member, target)
                watcher.progress(done + 1, len(members))
        return target / str(version.number)

    def release(self, version: tw.ModelVersion) -> None:
        """The version is served no more: a cache could be emptied here."""


if __name__ == "__main__":
    path, port = sys.argv[1:]
    tw.serve({"my_model": ZipSource(path)}, port=int(port))
