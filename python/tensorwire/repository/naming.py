"""The models that a program or a command line means, by the names it gives them or that
their paths have."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tensorwire.errors import ConfigError

from .local_source import KERAS_MAGIC, local_path
from .model_config import ModelConfig, check_name
from .source import GRAPH_FILE, Source
from .stores.location import ARCHIVE_ENDINGS, KERAS_ENDINGS, shown

ModelPath = str | os.PathLike[str]
"""A local path, or a URL."""

OneModel = ModelPath | Source | ModelConfig
Models = OneModel | Mapping[str, OneModel] | Iterable[ModelPath | ModelConfig]
"""One path, several, or names with their paths; a `ModelConfig` in place of a path says more
than where a model is, and a `Source` finds its versions itself."""


def name_models(models: Models) -> list[ModelConfig]:
    """The models meant by one path, several paths, or a mapping of names to paths.

    Raises ConfigError if there are none, if a name can't be used, or if two models
    would have the same name.
    """
    if isinstance(models, Mapping):
        named = [_named(check_name(name), each) for name, each in models.items()]
    elif isinstance(models, (str, os.PathLike, ModelConfig)):
        named = [_by_its_path(models)]
    elif isinstance(models, Source):
        raise ConfigError('a source has no name: give it one, as in {"name": source}')
    else:
        named = [_by_its_path(each) for each in models]
    if not named:
        raise ConfigError("no model was given: name at least one path")
    return unique(named)


def _named(name: str, model: OneModel) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return dataclasses.replace(model, name=name)
    if isinstance(model, (str, os.PathLike)):
        return ModelConfig(name, model)
    return ModelConfig(name, source=model)


def _by_its_path(model: ModelPath | ModelConfig) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return model
    if not isinstance(model, (str, os.PathLike)):
        raise ConfigError(f"a model must be given by a path or a ModelConfig; got {model!r}")
    path = local_path(os.fspath(model))
    if path is not None:
        return ModelConfig(check_name(name_from_path(path)), path)
    return ModelConfig(check_name(_name_from_url(os.fspath(model))), model)


def unique(models: list[ModelConfig]) -> list[ModelConfig]:
    """The same models, if no two of them share a name; else a ConfigError that names
    both."""
    seen: dict[str, str] = {}
    for model in models:
        if model.name in seen:
            raise ConfigError(
                f"{seen[model.name]} and {model.location} would both be called {model.name!r}: "
                f"give one of them a name of its own, as in --model NAME={model.location}"
            )
        seen[model.name] = model.location
    return models


def name_from_path(path: Path) -> str:
    """What a model is called if nobody says: the last part of its path, without the
    ending of a Keras file. A version directory goes by the name of the directory that
    holds it."""
    if path.suffix.lower() in KERAS_MAGIC and not path.is_dir():
        return path.stem
    if path.name.isdecimal() and path.parent.name and (path / GRAPH_FILE).is_file():
        return path.parent.name
    return path.name


def _name_from_url(url: str) -> str:
    """The last part of its path, without the ending of an archive; else its host."""
    parts = urlsplit(shown(url))
    name = PurePosixPath(parts.path).name or parts.netloc
    for ending in (*ARCHIVE_ENDINGS, *KERAS_ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
