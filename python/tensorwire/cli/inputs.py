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

from .csv_input import read_columns, read_csv
from .images import IMAGE_SUFFIXES, UNIT_SCALE, Scale, is_image, read_image
from .numbers import to_dtype
from .wanted import WantedInput

FILLINGS = ("zeros", "ones", "random")
_NPY_MAGIC = b"\x93NUMPY"
_NPZ_MAGIC = b"PK\x03\x04"
_FILE_KINDS = ".json, .npy, .npz, .csv or an image"
_KNOWN_SUFFIXES = (".json", ".npy", ".npz", ".csv", *IMAGE_SUFFIXES)
_STDIN = "standard input"


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
            loaded = self._load(value, self.wanted[name])
            if isinstance(loaded, dict):
                raise click.UsageError(
                    f"{_source(value)} holds {_listed(loaded)}; the input {name} takes one array"
                )
            return {name: loaded}
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
            return self._finish(self._from_stdin(wanted), wanted)
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
        is_file = "\n" not in text and "\0" not in text and _is_file(path)
        known = path.suffix.lower() in _KNOWN_SUFFIXES
        takes_text = wanted is not None and wanted.is_string
        if is_file and (known or (takes_text and path.suffix)):
            return self._from_file(path, wanted)
        if takes_text:
            return text
        if is_file:
            raise click.BadParameter(
                f"the file {text} has none of the endings that are read: {_FILE_KINDS}; "
                f"to have it read by its contents, give it as @{text}"
            )
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise click.BadParameter(f"{shown!r} is neither a file nor JSON: {error}")

    def _finish(self, value: Any, wanted: WantedInput | None) -> Any:
        if isinstance(value, dict) and set(value) != {"b64"}:
            if wanted is not None and set(value) == {wanted.name}:
                return convert(value[wanted.name], wanted)
            return value
        return value if wanted is None else convert(value, wanted)

    def _from_file(self, path: Path, wanted: WantedInput | None) -> Any:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{path} can't be read: {error.strerror}") from error
        suffix = path.suffix.lower()
        if suffix == ".csv":
            return self._from_csv(_decode(content, str(path)), wanted)
        return self._sniff(content, wanted, str(path), any_kind=suffix not in _KNOWN_SUFFIXES)

    def _from_stdin(self, wanted: WantedInput | None) -> Any:
        content = self.stdin.read()
        if not content.strip():
            names = ", ".join(self.wanted)
            raise click.UsageError(f"no input was given; the model's inputs are {names}")
        return self._sniff(content, wanted, _STDIN, any_kind=True)

    def _from_csv(self, text: str, wanted: WantedInput | None) -> Any:
        return read_columns(text, self.wanted) if wanted is None else read_csv(text, wanted)

    def _sniff(
        self, content: bytes, wanted: WantedInput | None, source: str, *, any_kind: bool
    ) -> Any:
        """Tells by the first bytes what it is; `any_kind`: nothing else tells that it is
        no CSV."""
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
            if any_kind and text.strip() and not text.lstrip().startswith(("[", "{")):
                return self._from_csv(text, wanted)
            raise click.BadParameter(f"{source} is not JSON: {error}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # JSON text can be longer than a name may be.
        return False


def _source(text: str) -> str:
    """What a value came from, as a sentence begins with it."""
    if text == "-":
        return _STDIN
    path = text.removeprefix("@")
    return path if text.startswith("@") or not text.lstrip().startswith("{") else "the JSON object"


def _listed(loaded: Mapping[str, Any]) -> str:
    if not loaded:
        return "no array"
    return f"the array{'s' if len(loaded) > 1 else ''} {', '.join(loaded)}"


def convert(value: Any, wanted: WantedInput) -> Any:
    """The value as an array of the input's dtype; BadParameter if it does not fit."""
    try:
        if wanted.is_string:
            return np.array(_texts(value), dtype=object)
        return to_dtype(value, wanted.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        reason = (
            "its lists have different lengths" if "inhomogeneous" in str(error) else str(error)
        )
        raise click.BadParameter(
            f"the input {wanted.name} can't be made of this ({wanted}): {reason}"
        ) from None


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
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise click.BadParameter(
            f"{source} is neither text nor of another kind that can be read: {_FILE_KINDS}"
        )
    return text


def _read_numpy(content: bytes, source: str) -> Any:
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except Exception as error:  # A broken archive raises what zipfile feels like.
        raise click.BadParameter(f"{source} can't be read as numpy data: {error}") from None
