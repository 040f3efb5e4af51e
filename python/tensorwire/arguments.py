"""Checks of what callers give to the clients and to `Model`: each raises the error that is
asked for, in one sentence that names the argument, what is expected and what was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from .errors import ConfigError, TensorWireError
from .tensors import Strings, shorten

LONGEST_SECONDS = 1e11
"""Over 3000 years: gRPC's timeout header has eight digits of hours for it."""

_Kind = type[TensorWireError]


def check_seconds(name: str, value: Any, kind: _Kind = ConfigError, none: str = "") -> None:
    """A time of 0 s or more; `none` says what None means, if it may be None."""
    if value is None and none:
        return
    if not _is_number(value) or not 0 <= value <= LONGEST_SECONDS:
        too_long = _is_number(value) and value > LONGEST_SECONDS
        wanted = f"at most {LONGEST_SECONDS:g}" if too_long else "0 or more"
        or_none = f", or None {none}" if none else ""
        raise kind(f"{name} must be a number of seconds, {wanted}{or_none}; got {shorten(value)}")


def check_timeout(value: Any, kind: _Kind = ConfigError) -> None:
    """A call's timeout."""
    check_seconds("timeout", value, kind, none="for no limit")


def check_count(name: str, value: Any, limit: int, kind: _Kind = ConfigError) -> None:
    """A whole number, 0 or more, below `limit`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 0 <= value < limit:
        wanted = "0 or more" if not whole or value < 0 else f"below {limit}"
        raise kind(f"{name} must be a whole number, {wanted}; got {shorten(value)}")


def check_type(name: str, value: Any, types: Any, wanted: str, kind: _Kind = ConfigError) -> None:
    """An instance of `types`, which the message calls `wanted`."""
    if not isinstance(value, types):
        raise kind(f"{name} must be {wanted}; got {shorten(value)}")


def check_strings(value: Any, kind: _Kind = ConfigError) -> None:
    """What the elements of string outputs are to be."""
    if value not in get_args(Strings):
        raise kind(f'strings must be "bytes" or "str"; got {shorten(value)}')


def check_outputs(value: Any, kind: _Kind) -> None:
    """Names of outputs; None: all."""
    if value is None:
        return
    if isinstance(value, str):
        raise kind(f"outputs must be a list of names; write [{value!r}]")
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        raise kind(f"outputs must be a list of names, or None for all; got {shorten(value)}")


def check_metadata(value: Any, kind: _Kind = ConfigError) -> tuple[tuple[str, str | bytes], ...]:
    """The entries that are sent along with a call, in order; keys may repeat."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise kind(
            f"metadata must be a mapping of keys to values, or pairs of them; got {shorten(value)}"
        )
    entries = tuple(value.items() if isinstance(value, Mapping) else value)
    for entry in entries:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            raise kind(f"metadata must be pairs of a key and a value; got {shorten(entry)}")
        key, content = entry
        check_type("a key of metadata", key, str, "a str", kind)
        check_type(f"metadata {key!r}", content, (str, bytes), "a str or bytes", kind)
    return tuple((key, content) for key, content in entries)


def _is_number(value: Any) -> bool:
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, numbers) and not isinstance(value, bool)


__all__ = [
    "LONGEST_SECONDS",
    "check_count",
    "check_metadata",
    "check_outputs",
    "check_seconds",
    "check_strings",
    "check_timeout",
    "check_type",
]
