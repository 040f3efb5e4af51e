"""Comma-separated values as inputs: a row of the file is a row of the batch."""

from __future__ import annotations

import csv
import io
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .wanted import WantedInput

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read_csv(text: str, wanted: WantedInput | None) -> Any:
    """The rows as an array for `wanted`, a first line of titles left out.

    With `wanted` None: a dict of columns by the titles of the first line. Raises
    BadParameter if the rows differ in length or hold what is no number.
    """
    rows = [row for row in csv.reader(io.StringIO(text), skipinitialspace=True) if row]
    if not rows:
        raise click.BadParameter("the CSV input is empty")
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise click.BadParameter(
                f"row {number} of the CSV input has {len(row)} values, the first has {width}"
            )
    if wanted is None:
        columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * width
        return {
            title.strip(): list(map(_value, each))
            for title, each in zip(rows[0], columns, strict=True)
        }
    if not wanted.is_string and not all(map(_is_number, rows[0])):
        rows = rows[1:]
    cells = _typed(np.array(rows, dtype=str).reshape(len(rows), width), wanted)
    shape = wanted.rows_shape(width)
    return cells if shape is None else cells.reshape(shape)


def _value(cell: str) -> Any:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _is_number(cell: str) -> bool:
    return not isinstance(_value(cell), str) or cell.strip().lower() in _TRUTH


def _typed(cells: NDArray[Any], wanted: WantedInput) -> NDArray[Any]:
    if wanted.is_string:
        return cells.astype(object)
    try:
        if wanted.dtype.kind == "b":
            truths = [_TRUTH[cell.strip().lower()] for cell in cells.ravel()]
            return np.array(truths).reshape(cells.shape)
        return cells.astype(wanted.dtype)
    except (ValueError, KeyError, OverflowError) as error:
        raise click.BadParameter(f"the CSV input is not all {wanted.dtype}: {error}") from None
