"""The settings of model stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tensorwire.repository.stores import DEFAULT_LIMIT, default_folder, open_cache

from . import values
from .setting import setting

if TYPE_CHECKING:
    from tensorwire.repository.stores.cache import StoreCache


@dataclass(frozen=True)
class StoreConfig:
    """Where models from stores such as s3:// are kept on this machine."""

    HEADING: ClassVar[str] = "Model stores"

    store_cache: Path = setting(
        default_folder,
        values.new_folder,
        "Folder that keeps what was downloaded from model stores; several servers may share it.",
        shown="~/.cache/tensorwire/stores",
    )
    store_cache_size: int = setting(
        DEFAULT_LIMIT,
        values.memory_size,
        "Most bytes in it, such as 50GiB; 0: no limit. Beyond that, or where the disk has less, "
        "what was used longest ago is removed, and never what is served.",
        shown="20GiB",
    )

    def open_cache(self) -> StoreCache:
        """The cache; nothing is made or looked at yet."""
        return open_cache(self.store_cache, self.store_cache_size)
