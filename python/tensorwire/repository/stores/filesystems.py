"""Opens the fsspec filesystem of a URL, when it is first used: importing what speaks to a
store takes most of a second.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensorwire.errors import ConfigError, ModelLoadError

from .location import scheme_of, shown
from .troubles import told_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

IDLE_SECONDS = 60.0
"""A server that sends nothing for so long is given up."""

CONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class _Kind:
    package: str
    """What fsspec needs for it."""

    extra: str


_S3, _GCS = _Kind("s3fs", "s3"), _Kind("gcsfs", "gcs")
_AZURE, _HTTP = _Kind("adlfs", "azure"), _Kind("aiohttp", "http")
_KINDS = {
    **{"s3": _S3, "s3a": _S3, "gs": _GCS, "gcs": _GCS},
    **{"az": _AZURE, "abfs": _AZURE, "abfss": _AZURE},
    **{"http": _HTTP, "https": _HTTP, "hf": _Kind("huggingface_hub", "hf")},
}


def check_scheme(location: str) -> None:
    """ConfigError for a URL that no filesystem can be opened for: its scheme is unknown,
    or a package is missing. Imports none of the large ones."""
    scheme = scheme_of(location)
    if not location.partition("://")[2].strip("/"):
        raise ConfigError(f"{location} names no model: give its folder or file after {scheme}://")
    kind = _KINDS.get(scheme)
    if kind is not None:
        missing = [name for name in ("fsspec", kind.package) if not _is_installed(name)]
        if missing:
            raise ConfigError(
                f"{shown(location)} needs {' and '.join(missing)}: "
                f"pip install 'tensorwire[{kind.extra}]'"
            )
        return
    if not _is_installed("fsspec"):
        raise ConfigError(f"{shown(location)} needs fsspec: pip install fsspec")
    from fsspec.registry import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except ImportError as error:
        raise ConfigError(f"{shown(location)} can't be opened: {error}") from error
    except ValueError:
        known = ", ".join(f"{each}://" for each in ("s3", "gs", "az", "https", "hf"))
        raise ConfigError(
            f"{shown(location)}: no store is known for {scheme}://; known are {known} and "
            "what else fsspec has"
        ) from None


def open_filesystem(location: str) -> tuple[AbstractFileSystem, str]:
    """The filesystem, and the URL's path as it calls it.

    Raises ModelLoadError if it can't be opened, as without credentials.
    """
    with told_of(location):
        from fsspec.core import url_to_fs

        # What is listed is polled for changes: a listing kept from before is useless.
        options: dict[str, Any] = {"use_listings_cache": False}
        # fsspec knows schemes in small letters alone.
        scheme = scheme_of(location)
        location = scheme + location[len(scheme) :]
        if _KINDS.get(scheme) is _HTTP:
            options["client_kwargs"] = {"timeout": _http_timeout()}
            # What is stored is wanted, not what is made of it on the way.
            options["headers"] = {"Accept-Encoding": "identity"}
        filesystem, path = url_to_fs(location, **options)
        if not path.strip("/"):
            raise ModelLoadError(f"{shown(location)} names no folder")
        return filesystem, path


def reads_in_parallel(filesystem: AbstractFileSystem) -> bool:
    """Whether several threads may read at once: fsspec's asynchronous filesystems say
    so, and of the others those known to have no shared connection."""
    known = ("hf", "memory")
    protocols = filesystem.protocol
    names = (protocols,) if isinstance(protocols, str) else protocols
    return bool(filesystem.async_impl) or any(name in known for name in names)


def _http_timeout() -> Any:
    aiohttp = importlib.import_module("aiohttp")
    # Not of the whole: a large file over a slow line takes its time.
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
