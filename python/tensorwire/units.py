"""Sizes and durations as people write them: `64MiB`, `500ms`."""

from __future__ import annotations

import math
import re

_BYTES_PER_UNIT = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_SECONDS_PER_UNIT = {
    "": 1.0,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)


def parse_size(value: str | int) -> int:
    """A number of bytes from `1048576`, `64MiB`, `1.5 GB`. ValueError: not a size."""
    if isinstance(value, int):
        return value
    number, scale = _split(value, _BYTES_PER_UNIT)
    size = number * scale
    if size != int(size):
        raise ValueError("it is not a whole number of bytes")
    return int(size)


def parse_duration(value: str | float) -> float:
    """A number of seconds from `30`, `30s`, `500ms`, `2m`, `1h`. ValueError: not a
    duration."""
    if isinstance(value, (int, float)):
        return float(value)
    number, scale = _split(value, _SECONDS_PER_UNIT)
    return number * scale


def format_size(size: int) -> str:
    """`67108864` as `64MiB`; bytes where no larger unit divides it."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale}{unit}"
    return f"{size} bytes"


def format_duration(seconds: float) -> str:
    """`0.25` as `250 ms`, `3.14159` as `3.14 s`, `30.0` as `30 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def _split(text: str, scales: dict[str, int] | dict[str, float]) -> tuple[float, float]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("it is not a number with a unit")
    scale = scales.get(match[2].lower())
    if scale is None:
        units = ", ".join(unit for unit in scales if unit)
        raise ValueError(f"its unit {match[2]!r} is none of {units}")
    number = float(match[1])
    if not math.isfinite(number):
        raise ValueError("it is too large")
    return number, scale
