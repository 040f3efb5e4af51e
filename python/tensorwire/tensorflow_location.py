"""Where TensorFlow is installed, found without importing it: the core opens its shared
library by itself, so a server never pays for TensorFlow's Python half.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path

from .errors import TensorFlowMissingError

OLDEST_VERSION = (2, 20)
NEWEST_VERSION = (2, 21)
_INSTALL = "install it with: pip install 'tensorwire[server]'"
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-aarch64")


def find_tensorflow(given: Path | None = None) -> Path:
    """The folder of the TensorFlow package: `given`, else the one that `import
    tensorflow` would take.

    Raises TensorFlowMissingError if there is none, or if it is of a version that
    TensorWire is not tested with.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if given is not None:
        return given
    try:
        spec = importlib.util.find_spec("tensorflow")
    except (ImportError, ValueError):
        spec = None
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not locations:
        raise TensorFlowMissingError(f"serving models needs TensorFlow; {_INSTALL}")
    _check_version(_installed_version())
    return Path(locations[0])


def _installed_version() -> str | None:
    """The version its package declares; None for one built by hand, which the core
    checks when it opens it."""
    for name in _DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _check_version(version: str | None) -> None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    if match is None:
        return
    found = (int(match[1]), int(match[2]))
    if OLDEST_VERSION <= found <= NEWEST_VERSION:
        return
    limits = " to ".join(f"{major}.{minor}" for major, minor in (OLDEST_VERSION, NEWEST_VERSION))
    age = "old" if found < OLDEST_VERSION else "new"
    raise TensorFlowMissingError(
        f"TensorFlow {version} is too {age}: TensorWire works with {limits}; {_INSTALL}"
    )
