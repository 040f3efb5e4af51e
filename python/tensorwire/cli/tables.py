"""How the commands show things: tables on a terminal and in a pipe."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensorwire.signature import ModelStatus, Signature, TensorSpec

from .wanted import describe_shape

MAX_ROWS = 20
"""Rows of a batch that are shown; `--json` gives all."""

MAX_ELEMENTS = 10
"""Elements of an array that are shown in a cell."""

_PIPE_WIDTH = 200
_INIT_SIGNATURE = "__saved_model_init_op"
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of controls, lone surrogates, and separators of lines."""

_STATE_STYLES = {"AVAILABLE": "green", "END": "red"}


def console() -> Console:
    """Standard output; wide in a pipe, so that no cell is folded for a terminal that
    isn't there."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, width=width)


def empty_table(*titles: str) -> Table:
    """A table with these columns, as all commands show theirs."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def number_table(first: str, *numbers: str, text: tuple[str, ...] = ()) -> Table:
    """A table whose columns are a title, `text`, and numbers one below the other."""
    table = empty_table(first, *text)
    table.padding = (0, 1, 0, 0)
    table.columns[0].no_wrap = True
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def describe_milliseconds(value: float) -> str:
    """`0.0123` as `12.3 µs`, `4.5` as `4.5 ms`, `1234` as `1.23 s`."""
    for unit, scale in (("s", 1e3), ("ms", 1.0)):
        if value >= scale * 0.9995:
            return f"{_three_digits(value / scale)} {unit}"
    return f"{_three_digits(value * 1e3)} µs"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def describe_tensor(spec: TensorSpec) -> str:
    """`image float32 [?, 8, 8]`."""
    optional = " (optional)" if spec.optional else ""
    return f"{spec.name} {spec.dtype} {describe_shape(spec.shape)}{optional}"


def describe_signature(signature: Signature) -> str:
    """`serving_default: image float32 [?, 8, 8] -> label int64 [?]`."""
    inputs = ", ".join(map(describe_tensor, signature.inputs.values())) or "nothing"
    outputs = ", ".join(map(describe_tensor, signature.outputs.values()))
    return f"{signature.name}: {inputs} -> {outputs}"


def callable_signatures(signatures: Mapping[str, Signature]) -> dict[str, Signature]:
    """Without the one that TensorFlow keeps for itself: it lists it, and refuses it."""
    return {name: each for name, each in signatures.items() if name != _INIT_SIGNATURE}


def signature_table(signatures: Mapping[str, Signature]) -> Table:
    """A row for each input and output of those that can be called."""
    table = empty_table("signature", "", "name", "dtype", "shape")
    for signature in callable_signatures(signatures).values():
        title = signature.name
        sides = (("input", signature.inputs), ("output", signature.outputs))
        for side, specs in sides:
            for spec in specs.values():
                kind = f"{side}, optional" if spec.optional else side
                cells = (title, kind, spec.name, spec.dtype, describe_shape(spec.shape))
                table.add_row(*map(Text, cells))
                title = ""
    return table


def state_text(state: str) -> Text:
    """A version's state, in its colour."""
    return Text(state, style=_STATE_STYLES.get(state, "yellow"))


def status_table(statuses: Mapping[str, ModelStatus]) -> Table:
    """A row for each version of each model."""
    table = empty_table("model", "version", "state", "error")
    for name, status in statuses.items():
        title = name
        for version in status.versions:
            state = state_text(version.state)
            error = "" if version.code == "OK" else f"{version.code}: {version.message}"
            table.add_row(Text(title), str(version.version), state, Text(error))
            title = ""
        if not status.versions:
            table.add_row(Text(title), "", Text("no version", style="yellow"), "")
    return table


def output_table(outputs: Mapping[str, NDArray[Any]], *, batched: bool) -> tuple[Table, int]:
    """The outputs side by side, a row for each row of the batch if they are `batched`
    (share a first dimension), else one; and how many rows are left out."""
    table = empty_table(*outputs)
    count = len(next(iter(outputs.values()))) if batched else 1
    for row in range(min(count, MAX_ROWS)):
        values = (value[row] if batched else value for value in outputs.values())
        table.add_row(*(Text(describe_value(value)) for value in values))
    return table, max(0, count - MAX_ROWS)


def describe_value(value: Any) -> str:
    """A value as a cell shows it: `7`, `[0.01, 0.99]`, `[1, 2, ... 784 in all]`."""
    if isinstance(value, (bytes, str)):
        return _element(value)  # numpy would take NULs off its end.
    array = np.asarray(value)
    if array.ndim == 0:
        return _element(array[()])
    if array.ndim > 1 and array.size > MAX_ELEMENTS:
        shape = " x ".join(map(str, array.shape))
        flat = ", ".join(_element(each) for each in array.reshape(-1)[:MAX_ELEMENTS])
        return f"{shape}: {flat}, ..."
    if array.ndim > 1:
        return f"[{', '.join(describe_value(row) for row in array)}]"
    shown = ", ".join(_element(each) for each in array[:MAX_ELEMENTS])
    return f"[{shown}]" if array.size <= MAX_ELEMENTS else f"[{shown}, ... {array.size} in all]"


def _element(value: Any) -> str:
    if isinstance(value, bytes):
        return visible(value.decode(errors="backslashreplace"))
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    return f"{value:.6g}" if np.asarray(value).dtype.kind in "fV" else str(value)


def visible(text: str) -> str:
    """The text with what would move the cursor or change its colour as `\\x1b`, `\\n`."""
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in _CONTROLS else each
        for each in text
    )
