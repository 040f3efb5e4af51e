"""What a setting's value may be: each function here makes it from what the environment, a
flag or a program gave, or raises ValueError with the reason why not.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorwire.units import parse_duration, parse_size

MAX_MESSAGE_BYTES = 2**31 - 1
"""The largest message that gRPC's own implementations can take: 2 GiB less one byte."""

MAX_DURATION_SECONDS = 86_400.0
"""A day; a longer time is taken for a mistake in the unit."""

MAX_THREADS = 1024
"""More threads than any machine this runs on has use for."""

GPU = "gpu"
"""XLA for GPUs alone."""

MAX_COUNT = 2**53
"""More than anything that is counted here, and exact in JSON."""


def text(value: Any) -> str:
    """Text that is not blank, without the blanks around it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it is empty" if isinstance(value, str) else "it is not text")
    return value.strip()


def optional_text(value: Any) -> str | None:
    """The same, or None."""
    return None if value is None else text(value)


def host(value: Any) -> str:
    """A host as the socket takes it: an IPv6 address without the brackets of URLs."""
    return text(value).removeprefix("[").removesuffix("]")


def is_loopback(value: str) -> bool:
    """Whether a host is this machine and nothing else, by what is written."""
    try:
        return ipaddress.ip_address(value).is_loopback
    except ValueError:
        return value.lower() == "localhost"


def whole_number(limit: int, least: int = 0) -> Callable[[Any], int]:
    """A number from `least` to `limit`."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ValueError("it is not a whole number")
        try:
            number = int(value)
        except ValueError:
            raise ValueError("it is not a whole number") from None
        if not least <= number <= limit:
            raise ValueError(f"it is not between {least} and {limit}")
        return number

    return parse


def optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What `parse` makes of it, or None."""
    return lambda value: None if value is None else parse(value)


def flag(value: Any) -> bool:
    """True or false, or a word for one of them."""
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    known = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if known is None:
        raise ValueError("it is neither true nor false")
    return known


def xla(value: Any) -> bool | str:
    """True or false, or "gpu": for GPUs alone."""
    if isinstance(value, str) and value.strip().lower() == GPU:
        return GPU
    try:
        return flag(value)
    except ValueError:
        raise ValueError("it is none of on, off, gpu") from None


def fraction(value: Any) -> float:
    """A share of a whole, above 0 and at most 1; also as `50%`."""
    shown = str(value).strip()
    try:
        number = float(shown[:-1]) / 100 if shown.endswith("%") else float(shown)
    except ValueError:
        raise ValueError("it is not a number") from None
    if isinstance(value, bool) or not 0 < number <= 1:
        raise ValueError("it is not above 0 and at most 1")
    return number


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("it is not a size")
    return parse_size(value)


def message_size(value: Any) -> int:
    """Bytes of a message, from a number or a text such as `64MiB`."""
    size = _size(value)
    if not 1 <= size <= MAX_MESSAGE_BYTES:
        raise ValueError(f"it is not between 1 and {MAX_MESSAGE_BYTES} bytes (2GiB - 1)")
    return size


def memory_size(value: Any) -> int:
    """Bytes of memory, from a number or a text such as `4GiB`."""
    size = _size(value)
    if not 0 <= size <= MAX_COUNT:
        raise ValueError(f"it is not between 0 and {MAX_COUNT} bytes")
    return size


def duration(value: Any) -> float:
    """Seconds from a number or a text such as `30s`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("it is not a duration")
    seconds = parse_duration(value)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_DURATION_SECONDS:
        raise ValueError(f"it is not between 0 s and {MAX_DURATION_SECONDS:.0f} s")
    return seconds


def time_limit(value: Any) -> float | None:
    """Seconds above 0; None, 0 and `none`: no limit."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    return duration(value) or None


def one_of(*choices: str) -> Callable[[Any], str]:
    """One of these words."""

    def parse(value: Any) -> str:
        choice = str(value).strip().lower()
        if choice not in choices:
            raise ValueError(f"it is none of {', '.join(choices)}")
        return choice

    return parse


def switchable_port(value: Any) -> int | None:
    """A TCP port; None and `off`: none."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    return whole_number(65535)(value)


def page_path(value: Any) -> str | None:
    """The path of a page, from `/` on; None and `off`: none."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    path = text(value)
    if not re.fullmatch(r"/[!-~]+", path) or set(path) & set("?#"):
        raise ValueError("a path begins with / and has no blanks, no ? and no #")
    return path


def socket_path(value: Any) -> str:
    """A Unix socket: a file, absolute, in a directory that is there, or @NAME."""
    shown = os.fspath(value)
    if isinstance(shown, str) and shown.startswith("@"):
        return text(shown)
    path = Path(text(shown)).expanduser().absolute()
    if not path.parent.is_dir():
        raise ValueError(f"there is no directory {path.parent}")
    return str(path)


def listed(value: Any, separator: str) -> list[Any]:
    """The parts of a text, or of what a program lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(separator) if part.strip()]
    if isinstance(value, os.PathLike):
        return [value]
    if not isinstance(value, Iterable):
        raise ValueError("it is not a list")
    return list(value)


def file(value: Any) -> Path:
    """A file that is there, absolute."""
    path = Path(value).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def files(value: Any) -> tuple[Path, ...]:
    """Files that are there; in one text, with the separator of PATH between them."""
    return tuple(file(path) for path in listed(value, os.pathsep) if str(path))


def tags(value: Any) -> tuple[str, ...]:
    """At least one tag of a SavedModel's graph."""
    found = tuple(dict.fromkeys(text(each) for each in listed(value, ",")))
    if not found:
        raise ValueError("it has no tag")
    return found


def directory(value: Any) -> Path:
    """A directory that is there, absolute."""
    path = Path(value).expanduser().absolute()
    if not path.is_dir():
        raise ValueError(f"there is no directory {path}")
    return path


def new_folder(value: Any) -> Path:
    """A folder that may be made when it is needed, absolute."""
    path = Path(value).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is not a directory")
    return path


def cache_folder(value: Any) -> Path | None:
    """A folder that may be made when it is needed, absolute; `off` and None: none."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    return new_folder(value)
