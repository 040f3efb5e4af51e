"""What `tensorwire predict --input` takes, turned into arrays of the signature's dtypes:
JSON text, files, standard input, or a filling.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np
from numpy.typing import NDArray

from .csv_input import read_csv
from .images import IMAGE_SUFFIXES, UNIT_SCALE, Scale, is_image, read_image
from .wanted import WantedInput

FILLINGS = ("zeros", "ones", "random")
_NPY_MAGIC = b"\x93NUMPY"
_NPZ_MAGIC = b"PK\x03\x04"
_FILE_KINDS = ".json, .npy, .npz, .csv or an image"


@dataclass(frozen=True)
class InputReader:
    """Reads the inputs of one signature."""

    wanted: Mapping[str, WantedInput]
    """By name."""

    scale: Scale = UNIT_SCALE
    """What an image's darkest and brightest value become in a float input."""

    stdin: BinaryIO = field(default_factory=lambda: sys.stdin.buffer)

    def read(self, given: Sequence[str]) -> dict[str, Any]:
        """The arrays for `--input` options, each `NAME=VALUE` or `VALUE`.

        Raises UsageError if they don't name the signature's inputs, BadParameter if a
        value can't be read.
        """
        arrays: dict[str, Any] = {}
        for text in given:
            for name, value in self._read_one(text).items():
                if name in arrays:
                    raise click.UsageError(f"the input {name} was given twice")
                arrays[name] = value
        return arrays

    def _read_one(self, text: str) -> dict[str, Any]:
        name, equals, value = text.partition("=")
        if equals and name in self.wanted:
            return {name: self._load(value, self.wanted[name])}
        if equals and name.isidentifier():
            raise click.UsageError(f"the model has no input {name!r}; {self._names()}")
        only = next(iter(self.wanted.values())) if len(self.wanted) == 1 else None
        loaded = self._load(text, only)
        if isinstance(loaded, dict):
            unknown = sorted(set(loaded) - set(self.wanted))
            if unknown:
                raise click.UsageError(f"the model has no input {unknown[0]!r}; {self._names()}")
            return {key: convert(each, self.wanted[key]) for key, each in loaded.items()}
        if only is None:
            raise click.UsageError(f"say which input this is, as NAME=VALUE; {self._names()}")
        return {only.name: loaded}

    def _names(self) -> str:
        return f"its inputs are: {', '.join(self.wanted)}" if self.wanted else "it takes none"

    def _load(self, text: str, wanted: WantedInput | None) -> Any:
        """An array of `wanted`'s dtype, or a dict of what is still to be converted. With
        `wanted` None, anything but a dict is left as it was read."""
        if text == "-":
            return self._finish(self._sniff(self.stdin.read(), wanted), wanted)
        if text.startswith("@"):
            return self._finish(self._from_file(Path(text[1:]), wanted), wanted)
        if wanted is not None and text in FILLINGS and not wanted.is_string:
            return wanted.filled(text)
        try:
            value = json.loads(text)
        except ValueError as error:
            value = self._not_json(text, wanted, error)
        return self._finish(value, wanted)

    def _not_json(self, text: str, wanted: WantedInput | None, error: ValueError) -> Any:
        path = Path(text)
        if path.suffix and "\n" not in text and path.is_file():
            return self._from_file(path, wanted)
        if wanted is not None and wanted.is_string:
            return text
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise click.BadParameter(f"{shown!r} is neither a file nor JSON: {error}")

    def _finish(self, value: Any, wanted: WantedInput | None) -> Any:
        if isinstance(value, dict) and set(value) != {"b64"}:
            if wanted is not None and set(value) == {wanted.name}:
                return convert(value[wanted.name], wanted)
            return value
        return value if wanted is None else convert(value, wanted)

    def _from_file(self, path: Path, wanted: WantedInput | None) -> Any:
        suffix = path.suffix.lower()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{path} can't be read: {error.strerror}") from error
        if suffix == ".csv":
            return read_csv(_decode(content, str(path)), wanted)
        known = (".json", ".npy", ".npz", *IMAGE_SUFFIXES)
        if suffix not in known and not (wanted is not None and wanted.is_string):
            raise click.BadParameter(f"{path} is of no kind that can be read: {_FILE_KINDS}")
        return self._sniff(content, wanted, str(path))

    def _sniff(
        self, content: bytes, wanted: WantedInput | None, source: str = "standard input"
    ) -> Any:
        """Tells by the first bytes what it is."""
        if content.startswith((_NPY_MAGIC, _NPZ_MAGIC)):
            return _read_numpy(content, source)
        if wanted is not None and wanted.is_string:
            return _text_or_json(content)
        if is_image(content):
            if wanted is None:
                raise click.UsageError(f"say which input {source} is; {self._names()}")
            return read_image(content, wanted, self.scale, source)
        text = _decode(content, source)
        try:
            return json.loads(text)
        except ValueError as error:
            if (
                source == "standard input"
                and text.strip()
                and not text.lstrip().startswith(("[", "{"))
            ):
                return read_csv(text, wanted)
            raise click.BadParameter(f"{source} is not JSON: {error}") from None


def convert(value: Any, wanted: WantedInput) -> Any:
    """The value as an array of the input's dtype; BadParameter if it does not fit."""
    try:
        if wanted.is_string:
            return np.array(_texts(value), dtype=object)
        array = np.asarray(value)
        if array.dtype.kind in "fc" and wanted.dtype.kind in "iub":
            return _whole(array, wanted)
        # From the value itself: numpy then refuses numbers that the dtype can't hold.
        return np.array(value, dtype=wanted.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        reason = (
            "its lists have different lengths" if "inhomogeneous" in str(error) else str(error)
        )
        raise click.BadParameter(
            f"the input {wanted.name} can't be made of this ({wanted}): {reason}"
        ) from None


def _whole(array: NDArray[Any], wanted: WantedInput) -> NDArray[Any]:
    converted = array.astype(wanted.dtype)
    if not np.array_equal(converted, array):
        raise ValueError(f"its numbers are not all whole numbers that fit {wanted.dtype}")
    return converted


def _texts(value: Any) -> Any:
    """Strings as bytes, with the lists around them; `{"b64": ...}` decoded."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_texts(each) for each in value]
    if isinstance(value, dict) and set(value) == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise ValueError(f"its b64 can't be decoded: {error}") from None
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _text_or_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.BadParameter(
            f"{source} is neither text nor of another kind that can be read: {_FILE_KINDS}"
        ) from None


def _read_numpy(content: bytes, source: str) -> Any:
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # A broken archive raises what zipfile feels like.
        raise click.BadParameter(f"{source} can't be read as numpy data: {error}") from None
