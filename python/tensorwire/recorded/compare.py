"""Where a reply differs from the one that was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorwire._core import NativeError, decode_predict_reply
from tensorwire.core_types import WireTensor
from tensorwire.errors import DataLossError
from tensorwire.tensors import decode


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    output: str
    """The output's name; for replies that are no tensors, where in the message it is;
    `reply` for all of it."""

    what: str
    """What it was and what it is: `[0, 3]: 0.25 was recorded, 0.5 answered`."""


def compare_tensors(
    recorded: bytes, answered: list[WireTensor], tolerance: float
) -> list[Difference]:
    """Where the outputs differ from those of an encoded, recorded `PredictResponse`: one
    difference for each output. Floats may differ by the tolerance, absolute or relative;
    everything else must be equal.

    Raises DataLossError if what was recorded is no reply.
    """
    try:
        _version, before = decode_predict_reply(recorded)
    except NativeError as error:
        raise DataLossError(f"the recorded reply can't be read: {error.args[1]}") from None
    old = {tensor[0]: decode(tensor) for tensor in before}
    new = {tensor[0]: decode(tensor) for tensor in answered}
    found = [Difference(name, "was recorded, and not answered") for name in old if name not in new]
    found += [
        Difference(name, "was answered, and not recorded") for name in new if name not in old
    ]
    for name, array in old.items():
        if name in new and (what := _difference(array, new[name], tolerance)) is not None:
            found.append(Difference(name, what))
    return sorted(found, key=lambda each: each.output)


def _difference(old: NDArray[Any], new: NDArray[Any], tolerance: float) -> str | None:
    if old.dtype != new.dtype:
        return f"{old.dtype} was recorded, {new.dtype} answered"
    if old.shape != new.shape:
        return f"shape {list(old.shape)} was recorded, {list(new.shape)} answered"
    differs = ~_alike(old, new, tolerance)
    count = int(np.count_nonzero(differs))
    if not count:
        return None
    index = tuple(int(each) for each in np.unravel_index(int(np.argmax(differs)), old.shape))
    more = f" (and {count - 1} more elements)" if count > 1 else ""
    place = f"{list(index)}: " if index else ""
    return f"{place}{_shown(old[index])} was recorded, {_shown(new[index])} answered{more}"


def _alike(old: NDArray[Any], new: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    kind = old.dtype.kind
    if kind == "V" or old.dtype == np.float16:
        # Half and bfloat16, whose values float32 holds exactly.
        old, new, kind = old.astype(np.float32), new.astype(np.float32), "f"
    if kind not in "fc":
        return np.asarray(old == new, dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(
            np.isclose(new, old, rtol=tolerance, atol=tolerance, equal_nan=True), dtype=bool
        )


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else text[:60] + "..."


def compare_messages(recorded: Any, answered: Any, tolerance: float) -> list[Difference]:
    """The same for a ClassificationResponse, RegressionResponse or MultiInferenceResponse;
    which model answered is not compared."""
    from google.protobuf import json_format

    old, new = (_leaves(json_format.MessageToDict(each)) for each in (recorded, answered))
    found = []
    for place in sorted(old.keys() | new.keys()):
        # What is 0 or empty is not said.
        before, now = old.get(place), new.get(place)
        numbers = [0.0 if each is None else each for each in (before, now)]
        if before == now or (
            all(isinstance(each, (int, float)) for each in numbers)
            and abs(numbers[0] - numbers[1])
            <= tolerance + tolerance * max(abs(each) for each in numbers)
        ):
            continue
        found.append(Difference(place, f"{before!r} was recorded, {now!r} answered"))
    return found


def _leaves(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        pairs = [
            (f"{place}.{key}".lstrip("."), each)
            for key, each in value.items()
            if key != "modelSpec"
        ]
    elif isinstance(value, list):
        pairs = [(f"{place}[{index}]", each) for index, each in enumerate(value)]
    else:
        # NaN and the infinities are text here, and equal to themselves.
        return {place: value}
    found: dict[str, Any] = {}
    for inner, each in pairs:
        found |= _leaves(each, inner)
    return found
