"""Comma-separated values as inputs: a row of the file is a row of the batch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .numbers import to_dtype
from .wanted import WantedInput

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

Rows = list[list[str]]


def read_csv(text: str, wanted: WantedInput) -> NDArray[Any]:
    """The rows as an array for `wanted`.

    A first row is left out as titles if no cell of it is a number and rows follow it; for
    strings no row is. Raises BadParameter if the rows differ in length, or with the row
    and the column of a cell that is empty or not of the input's dtype.
    """
    rows = _rows(text)
    width = len(rows[0])
    first = 1
    if not wanted.is_string and len(rows) > 1 and all(map(_is_title, rows[0])):
        rows = rows[1:]
        first = 2
    columns = [_column(rows, each, wanted, first) for each in range(width)]
    cells = np.stack(columns, axis=1)
    shape = wanted.rows_shape(width)
    return cells if shape is None else cells.reshape(shape)


def read_columns(text: str, inputs: Mapping[str, WantedInput]) -> dict[str, Any]:
    """A column for each of several inputs, by the titles of the first line; as text for a
    title that is no input's. Raises BadParameter as `read_csv` does, or without titles."""
    rows = _rows(text)
    titles = [cell.strip() for cell in rows[0]]
    if not set(titles) & set(inputs):
        shown = ", ".join(map(repr, titles))
        raise click.BadParameter(
            f"the CSV input begins with {shown}: for several inputs its first line has to be "
            f"a title line with their names, {', '.join(inputs)}"
        )
    repeated = [title for title in titles if titles.count(title) > 1]
    if repeated:
        raise click.BadParameter(f"the CSV input has the column {repeated[0]!r} twice")
    if len(rows) == 1:
        raise click.BadParameter("the CSV input has titles and no row below them")
    return {
        title: _column(rows[1:], index, inputs[title], 2)
        if title in inputs
        else [row[index] for row in rows[1:]]
        for index, title in enumerate(titles)
    }


def _rows(text: str) -> Rows:
    try:
        rows = list(csv.reader(io.StringIO(text), skipinitialspace=True))
    except csv.Error as error:
        raise click.BadParameter(f"the CSV input can't be read: {error}") from None
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise click.BadParameter("the CSV input is empty")
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if not row:
            raise click.BadParameter(f"row {number} of the CSV input is empty")
        if len(row) != width:
            raise click.BadParameter(
                f"row {number} of the CSV input has {len(row)} values, the first has {width}"
            )
    return rows


def _is_title(cell: str) -> bool:
    text = cell.strip()
    if not text or text.lower() in _TRUTH:
        return False
    try:
        complex(text)
    except ValueError:
        return True
    return False


def _column(rows: Rows, index: int, wanted: WantedInput, first: int) -> NDArray[Any]:
    """One column; `first` is the number of its first row."""
    if wanted.is_string:
        return np.array([row[index].encode() for row in rows], dtype=object)
    cells = [row[index].strip() for row in rows]
    try:
        return to_dtype([_value(cell, wanted) for cell in cells], wanted.dtype)
    except (ValueError, OverflowError):
        _refuse_first(cells, wanted, f"column {index + 1} of the CSV input", first)
        raise


def _refuse_first(cells: list[str], wanted: WantedInput, column: str, first: int) -> None:
    """Raises BadParameter for the first cell that can't be converted by itself."""
    for number, cell in enumerate(cells, start=first):
        try:
            to_dtype(_value(cell, wanted), wanted.dtype)
        except (ValueError, OverflowError) as error:
            raise click.BadParameter(f"row {number}, {column}: {error}") from None


def _value(cell: str, wanted: WantedInput) -> Any:
    if not cell:
        raise ValueError(f"it is empty, where a value of {wanted.dtype} is expected")
    kind = wanted.dtype.kind
    if kind == "b" and cell.lower() in _TRUTH:
        return _TRUTH[cell.lower()]
    kinds = {"b": (), "c": (complex,)}.get(kind, (int, float))
    for parse in kinds:
        try:
            value: Any = parse(cell)
        except ValueError:
            continue
        if isinstance(value, float) and math.isinf(value) and "inf" not in cell.lower():
            raise ValueError(f"{cell} is out of the range of {wanted.dtype}")
        # Beside floats, numpy would round whole numbers of more than 53 bits.
        whole = kind in "iu" and isinstance(value, float) and value.is_integer()
        return int(value) if whole else value
    hint = "; commas separate values" if ";" in cell or "\t" in cell else ""
    raise ValueError(f"{cell!r} is not the {wanted.dtype} value that is expected{hint}")
