"""Model stores: versions at URLs, through fsspec, kept in a cache on this machine.

A version is downloaded in blocks (`blocks`) or as a stream (`http_reader`) into a slot of
the cache (`download`, `cache`), an archive is unpacked there (`unpacking`), and it is put
in place whole. Nothing of that is imported before a URL is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tensorwire.repository.keras_export import cache_directory

if TYPE_CHECKING:
    from tensorwire.repository.source import Source

    from .cache import StoreCache

DEFAULT_LIMIT = 20 * 2**30
"""Bytes that the cache may have if nobody says."""


def default_folder() -> Path:
    """Where the cache is if nobody says."""
    return cache_directory() / "stores"


def open_cache(folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> StoreCache:
    """The cache in a folder (None: the default one) of at most `limit` bytes (0: any
    number). Makes nothing yet."""
    from .cache import StoreCache

    return StoreCache(folder or default_folder(), limit)


def open_store(location: str, cache: StoreCache | None = None) -> Source:
    """The source that a URL means; looks at nothing yet. `cache`: None: the default one.

    Raises ConfigError for a scheme that is unknown, or that needs a package which is not
    installed.
    """
    from .file_store import ArchiveStore, KerasStore
    from .filesystems import check_scheme
    from .folder_store import FolderStore
    from .location import ARCHIVE_ENDINGS, KERAS_ENDINGS, ends_in, scheme_of

    check_scheme(location)
    cache = cache or open_cache()
    if ends_in(location, KERAS_ENDINGS):
        return KerasStore(location, cache)
    # Over HTTP a folder can't be listed: what has another name is taken for an archive.
    if ends_in(location, ARCHIVE_ENDINGS) or scheme_of(location) in ("http", "https"):
        return ArchiveStore(location, cache)
    return FolderStore(location, cache)


__all__ = ["DEFAULT_LIMIT", "default_folder", "open_cache", "open_store"]
