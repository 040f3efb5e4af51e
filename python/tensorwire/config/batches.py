"""Which model is batched how: the whole of it, and the shorthand that flags and variables
have for parts of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tensorwire.errors import ConfigError

from . import values
from .batching import Batching
from .batching_file import PER_MODEL_FILE
from .setting import setting

EVERY_MODEL = "*"


def _batching(value: Any) -> Batching:
    if isinstance(value, Batching):
        return value
    if value is None or value is True:
        return Batching()
    if value is False:
        return Batching.off()
    raise ValueError("it is neither a Batching nor True nor False")


def _model_batching(value: Any) -> dict[str, Batching]:
    if not isinstance(value, Mapping):
        raise ValueError("it is not a mapping of model names")
    return {str(name): _batching(each) for name, each in value.items()}


def _parameter_files(value: Any) -> tuple[tuple[str, Batching], ...]:
    return tuple(_parameter_file(str(each)) for each in values.listed(value, ","))


def _parameter_file(text: str) -> tuple[str, Batching]:
    """`[MODEL=]FILE`, read; an existing file may have `=` in its name."""
    model, equals, path = text.partition("=")
    if not equals or Path(text).expanduser().is_file():
        return EVERY_MODEL, Batching.from_file(values.file(text))
    return values.text(model), Batching.from_file(values.file(path))


def _sizes(value: Any) -> tuple[int, ...]:
    parse = values.whole_number(values.MAX_COUNT, least=1)
    return tuple(parse(each) for each in values.listed(value, ","))


def _names(value: Any) -> tuple[str, ...]:
    return tuple(values.text(each) for each in values.listed(value, ","))


@dataclass(frozen=True)
class BatchingConfig:
    """How each model's requests become batches."""

    HEADING: ClassVar[str] = "Batching"

    batching: Batching = setting(
        Batching(), _batching, "How models are batched that no other setting names."
    )
    model_batching: Mapping[str, Batching] = setting(
        dict, _model_batching, "How single models are batched, by their names."
    )
    enable_per_model_batching_parameters: bool = setting(
        False,
        values.flag,
        f"Take each version's batching from the file {PER_MODEL_FILE} in its folder, as "
        "TensorFlow Serving does; a version without it is then not batched.",
    )

    def check_models(self, served: Iterable[str]) -> None:
        """ConfigError for a setting that names a model which is not served."""
        served = list(served)
        for name in self.model_batching:
            if name not in served:
                raise ConfigError(
                    f"batching is set for a model {name!r}: the models served are "
                    + ", ".join(served)
                )

    def of_version(self, model: str, folder: Path) -> Batching:
        """A version's batching: what is said of its model, else by the file in its
        folder where those count, else what is said of all.

        Raises ConfigError for a file that can't be read.
        """
        if model in self.model_batching:
            return self.model_batching[model]
        if not self.enable_per_model_batching_parameters:
            return self.batching
        file = folder / PER_MODEL_FILE
        if not file.is_file():
            return Batching.off()
        # As in TensorFlow Serving, the shared pool's size is not for one model to say.
        return dataclasses.replace(Batching.from_file(file), num_batch_threads=None)


@dataclass(frozen=True)
class BatchingShorthand:
    """Settings that each say a part of `BatchingConfig`, in the order they apply."""

    HEADING: ClassVar[str] = BatchingConfig.HEADING

    batching_parameters: tuple[tuple[str, Batching], ...] = setting(
        (),
        _parameter_files,
        "Batching as a file has it in TensorFlow Serving's text format, of one model or of "
        "all; may be given several times.",
    )
    max_batch_size: int | None = setting(
        None,
        values.optional(values.whole_number(values.MAX_COUNT, least=1)),
        "Most rows of a batch, and of a request.",
        shown="what pays by the model's measured cost",
    )
    batch_timeout: float | None = setting(
        None,
        values.optional(values.duration),
        "Time that a batch which is not full waits for more, such as 2ms; batches gather "
        "without it while the threads are busy.",
        shown="0",
    )
    allowed_batch_sizes: tuple[int, ...] | None = setting(
        None,
        values.optional(_sizes),
        "Row counts that batches are padded up to, such as 1,8,32; the last is the largest.",
        shown="any",
    )
    pad_variable_length_inputs: bool = setting(
        False,
        values.flag,
        "Let requests of different inner sizes share a batch, padded to the largest.",
    )
    no_batching: tuple[str, ...] = setting(
        (),
        _names,
        f"Run each request of this model alone ('{EVERY_MODEL}': of every model); may be "
        "given several times.",
    )


def apply_layer(config: BatchingConfig, layer: Mapping[str, Any]) -> BatchingConfig:
    """The same with what one source of settings (the environment, or flags) says: first
    what says it all, then the shorthand for parts of it.

    Raises ConfigError where the parts don't go together.
    """
    everywhere = layer.get("batching", config.batching)
    models = dict(layer.get("model_batching", config.model_batching))
    for model, batching in layer.get("batching_parameters", ()):
        if model == EVERY_MODEL:
            everywhere = batching
        else:
            models[model] = batching
    parts = {
        name: convert(layer[name])
        for name, convert in _PARTS.items()
        if layer.get(name) is not None
    }
    if "allowed_batch_sizes" in parts:
        # A largest size that nobody gave beside them is theirs.
        parts.setdefault("max_batch_size", max(parts["allowed_batch_sizes"], default=None))
    if "batch_timeout" in parts:
        parts["batch_timeout_micros"] = parts.pop("batch_timeout")
    if parts:
        everywhere = everywhere.with_values(**parts)
    for model in layer.get("no_batching", ()):
        if model == EVERY_MODEL:
            everywhere = Batching.off()
            models = {name: Batching.off() for name in models}
        else:
            models[model] = Batching.off()
    return dataclasses.replace(config, batching=everywhere, model_batching=models)


_PARTS: dict[str, Callable[[Any], Any]] = {
    "max_batch_size": int,
    "batch_timeout": lambda seconds: round(seconds * 1e6),
    "allowed_batch_sizes": tuple,
    "pad_variable_length_inputs": bool,
}
"""The shorthand that is a value of `Batching`, and what makes it that."""
