"""A model in this process, without a server: the same engine, called directly."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .config import EngineConfig, load_config
from .errors import (
    ModelLoadError,
    NotFoundError,
    TensorFlowMissingError,
    TensorTypeError,
    from_native,
)
from .opening_noise import opening_noise_filtered
from .repository.keras_export import KerasExporter
from .repository.policy import Latest
from .repository.source import list_versions, name_models
from .signature import ModelMetadata, Signature
from .tensorflow_location import find_tensorflow
from .tensors import Strings, decode, encode

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .config import EngineSettings

DEFAULT_SIGNATURE = "serving_default"


def open_engine(config: EngineConfig) -> _core.Engine:
    """An engine over the TensorFlow that is installed.

    Raises TensorFlowMissingError if there is none that can be used with this
    configuration.
    """
    folder = find_tensorflow(config.tensorflow_dir)
    try:
        with opening_noise_filtered():
            return _core.Engine(config.to_native(folder))
    except _core.NativeError as error:
        raise TensorFlowMissingError(str(error.args[1])) from error


def read_metadata(engine: _core.Engine, model: str, version: int | None = None) -> ModelMetadata:
    """A model's signatures, of its highest available version for None; NotFoundError if
    there is no such version."""
    try:
        found, signatures = engine.signatures(model, version)
    except _core.NativeError as error:
        raise from_native(error, model=model) from error
    return ModelMetadata.from_tuples(model, found, signatures)


class Model:
    """The newest version of the model at a path, loaded into this process.

    `path`: a directory of numeric versions, a SavedModel directory, or a .keras or .h5
    file. The keyword arguments are those of `EngineSettings`.

        with tensorwire.Model("./my_model") as model:
            outputs = model.predict({"image": images})

    Raises ModelLoadError if it can't be loaded, TensorFlowMissingError without a
    TensorFlow that can be used. May be called from many threads at once.
    """

    def __init__(self, path: str | os.PathLike[str], **settings: Unpack[EngineSettings]) -> None:
        (named,) = name_models(path)
        (newest,) = Latest().wanted(list_versions(named.path))
        engine = open_engine(load_config(settings).engine)
        folder = newest.path
        if newest.needs_export:
            folder = KerasExporter(engine.tensorflow_version).export(newest.path)
        try:
            engine.load(named.name, newest.number, str(folder))
        except _core.NativeError as error:
            raise ModelLoadError(str(error.args[1]), model=named.name) from error
        self._engine: _core.Engine | None = engine
        self.metadata = read_metadata(engine, named.name, newest.number)
        """Its name, version and signatures."""

    @property
    def signatures(self) -> dict[str, Signature]:
        """What it can be called with, by name."""
        return self.metadata.signatures

    def predict(
        self,
        inputs: Mapping[str, Any] | Any,
        *,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        strings: Strings = "bytes",
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Runs the model in the calling thread.

        `inputs`: arrays, lists or scalars by the signature's input names, or one of them
        alone for a signature with one input. `outputs`: the names of those wanted (None:
        all). `timeout`: seconds (None: no limit). `strings`: what the elements of string
        outputs are to be. Answers the outputs by name.

        Raises TensorTypeError for a value that can't become its tensor, and the
        CallErrors that a server would answer with.
        """
        engine, name = self._open(), self.metadata.name
        known = self.signatures.get(signature)
        specs = known.inputs if known is not None else {}
        if not isinstance(inputs, Mapping):
            inputs = {_only_name(specs, signature): inputs}
        tensors = [encode(key, value, specs.get(key)) for key, value in inputs.items()]
        version = self.metadata.version
        try:
            _, answers = engine.predict(
                name, version, signature, tensors, list(outputs or ()), timeout
            )
        except _core.NativeError as error:
            raise from_native(error, model=name) from error
        return {tensor[0]: decode(tensor, strings) for tensor in answers}

    def close(self) -> None:
        """Frees it once the calls under way have ended. Calling it again does nothing."""
        engine, self._engine = self._engine, None
        version = self.metadata.version
        if engine is not None and version is not None:
            engine.unload(self.metadata.name, version)

    def __enter__(self) -> Model:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

    def _open(self) -> _core.Engine:
        engine = self._engine
        if engine is None:
            raise NotFoundError("the model was closed", model=self.metadata.name)
        return engine


def _only_name(specs: Mapping[str, object], signature: str) -> str:
    if len(specs) != 1:
        names = ", ".join(specs) or "none"
        raise TensorTypeError(
            f"give a mapping of input names to values: the inputs of {signature} are {names}"
        )
    return next(iter(specs))


__all__ = ["Model"]
