"""A model in this process, without a server: the same engine, called directly."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .arguments import check_outputs, check_strings, check_timeout, check_type
from .config import Batching, EngineConfig, load_config
from .config.session_file import read_session_config
from .errors import (
    InvalidArgumentError,
    ModelLoadError,
    NotFoundError,
    TensorFlowMissingError,
    TensorWireError,
    errors_about,
    from_native,
)
from .opening_noise import opening_noise_filtered
from .repository.keras_export import KerasExporter
from .repository.naming import name_models
from .repository.policy import Latest
from .repository.source import FetchWatcher, complete_versions
from .signature import ModelMetadata, Signature
from .tensorflow_location import find_tensorflow
from .tensors import Strings, decode, encode

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .config import EngineSettings
    from .core_types import WireTensor
    from .repository.stores.cache import StoreCache

DEFAULT_SIGNATURE = "serving_default"

_DEFAULTS = {"measure_budget": 0.0}
"""Nothing is chosen by a model's cost where its calls are not gathered."""

_REFUSED = InvalidArgumentError


def open_engine(config: EngineConfig) -> _core.Engine:
    """An engine over the TensorFlow that is installed.

    Raises TensorFlowMissingError if there is none of a supported version,
    TensorWireError for an op library that can't be loaded, and ConfigError for a session's
    file that can't be read.
    """
    folder = find_tensorflow(config.tensorflow_dir)
    file = config.session.session_config_file
    base: bytes | None = None
    if file is not None:
        base = read_session_config(file, folder, _core.Engine.default_session_config())
    try:
        with opening_noise_filtered():
            return _core.Engine(config.to_native(folder, base))
    except _core.NativeError as error:
        code, message, _ = error.args
        kind = TensorFlowMissingError if code == "FAILED_PRECONDITION" else TensorWireError
        raise kind(str(message)) from error


def read_metadata(engine: _core.Engine, model: str, version: int | None = None) -> ModelMetadata:
    """A model's signatures, of its highest available version for None; NotFoundError if
    there is no such version."""
    try:
        found, signatures = engine.signatures(model, version)
    except _core.NativeError as error:
        raise from_native(error, model=model) from error
    return ModelMetadata.from_tuples(model, found, signatures)


def load_newest(
    engine: _core.Engine,
    path: str | os.PathLike[str],
    options: str,
    cache: StoreCache | None = None,
) -> tuple[str, int]:
    """Loads the newest version of the model at a path or URL, with these options as the engine
    takes them; its name and version. What is downloaded stays in the `cache` (None: the
    default one) until this process ends: some models read their assets when they are called.

    Raises ModelLoadError if it can't be loaded.
    """
    (named,) = name_models(path)
    source = named.open(cache)
    offered = complete_versions(named.location, source.versions())
    (newest,) = Latest().wanted(offered)
    folder = source.fetch(newest, FetchWatcher())
    if newest.needs_export:
        folder = KerasExporter(engine.tensorflow_version).export(folder)
    try:
        engine.load(named.name, newest.number, str(folder), options)
    except _core.NativeError as error:
        raise ModelLoadError(str(error.args[1]), model=named.name) from error
    return named.name, newest.number


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
        check_type("path", path, (str, os.PathLike), "the path of a model")
        everything = load_config(settings, defaults=_DEFAULTS)
        config, cache = everything.engine, everything.stores.open_cache()
        engine = open_engine(config)
        # The calls of a program are not gathered: each runs in the thread it comes from.
        name, version = load_newest(engine, path, config.version_options(Batching.off()), cache)
        self._path = os.fspath(path)
        self._engine: _core.Engine | None = engine
        self.metadata = read_metadata(engine, name, version)
        """Its name, version and signatures."""

    @property
    def signatures(self) -> dict[str, Signature]:
        """What it can be called with, by name."""
        return self.metadata.signatures

    def predict(
        self,
        inputs: Mapping[str, Any] | Any = None,
        *,
        signature: str = DEFAULT_SIGNATURE,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        strings: Strings = "bytes",
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Runs the model in the calling thread.

        `inputs`: arrays, lists or scalars by the signature's input names, or one of them
        alone for a signature with one input, or None for one that needs none. `outputs`:
        the names of those wanted (None: all). `timeout`: seconds (None: no limit).
        `strings`: what the elements of string outputs are to be. Answers the outputs by
        name.

        Raises TensorTypeError for a value that can't become its tensor, and the
        CallErrors that a server would answer with.
        """
        with errors_about(self.metadata.name):
            check_type("signature", signature, str, "the name of a signature", _REFUSED)
            check_outputs(outputs, _REFUSED)
            check_timeout(timeout, _REFUSED)
            check_strings(strings, _REFUSED)
            tensors = self._encode(inputs, signature)
            answers = self._run(tensors, signature, list(outputs or ()), timeout)
            return {tensor[0]: decode(tensor, strings) for tensor in answers}

    def close(self) -> None:
        """Frees it once the calls under way have ended. Calling it again does nothing."""
        engine, self._engine = self._engine, None
        version = self.metadata.version
        if engine is not None and version is not None:
            engine.unload(self.metadata.name, version)

    def __repr__(self) -> str:
        return f"Model({self._path!r})"

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

    def _encode(self, inputs: Any, signature: str) -> list[WireTensor]:
        known = self.metadata.signature(signature)
        return [
            encode(name, value, known.inputs.get(name))
            for name, value in known.named(inputs).items()
        ]

    def _run(
        self, tensors: list[WireTensor], signature: str, outputs: list[str], timeout: float | None
    ) -> list[WireTensor]:
        engine, name = self._open(), self.metadata.name
        try:
            return engine.predict(
                name, self.metadata.version, signature, tensors, outputs, timeout
            )[1]
        except _core.NativeError as error:
            raise from_native(error, model=name) from error

    def _open(self) -> _core.Engine:
        engine = self._engine
        if engine is None:
            raise NotFoundError("the model was closed", model=self.metadata.name)
        return engine


__all__ = ["Model"]
