"""One flag of TensorFlow Serving's server: its name, its kind of value and their limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Value = bool | int | float | str

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)

_WHOLE = re.compile(r"\s*[+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


class Kind(Enum):
    """What a flag's value is; named as TensorFlow's usage text names it."""

    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    FLOAT = "float"
    STRING = "string"


@dataclass(frozen=True)
class Flag:
    """A flag, without the two dashes."""

    name: str
    kind: Kind
    default: Value | Callable[[], Value]
    """The value where nobody gives one; a function where it is the machine's to say."""

    description: str
    limits: tuple[float, float] | None = None
    """The smallest and the largest value that are no mistake; None: what the kind holds."""

    is_effective: bool = True
    """False: there is nothing for it to do here, and `description` says why."""

    @property
    def usual(self) -> Value:
        """The value where nobody gives one."""
        return self.default() if callable(self.default) else self.default

    def parse(self, text: str | None) -> Value:
        """The value that stands behind the `=`; None: there is no `=`.

        Raises ValueError with the reason if it can't be one.
        """
        if self.kind is Kind.BOOL:
            return _truth(text)
        if text is None:
            raise ValueError("it has no value")
        if self.kind is Kind.STRING:
            return text
        number = _decimal(text) if self.kind is Kind.FLOAT else _whole(text, self.kind)
        if self.limits is not None and not self.limits[0] <= number <= self.limits[1]:
            least, most = self.limits
            raise ValueError(f"it is not between {least} and {most}")
        return number


def _truth(text: str | None) -> bool:
    # TensorFlow knows no other spelling.
    known = {None: True, "true": True, "false": False}
    if text not in known:
        raise ValueError("it must be true or false")
    return known[text]


def _whole(text: str, kind: Kind) -> int:
    least, most = INT32 if kind is Kind.INT32 else INT64
    # The length first: a text of a million digits takes long to be made a number.
    if not _WHOLE.fullmatch(text) or len(text) > 64:
        raise ValueError("it is not a whole number")
    number = int(text)
    if not least <= number <= most:
        raise ValueError(f"it does not fit in {kind.value}: {least} to {most}")
    return number


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("it is not a number")
    return float(text)
