"""A server's settings and models, written as the `tensorwire.toml` that says the same."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorwire.config import ServeConfig, all_settings
from tensorwire.config.batching import Batching
from tensorwire.errors import ConfigError
from tensorwire.pem import Pem

from .model_config import ModelConfig
from .policy import All, Latest, Specific

REDACTED = "(not shown)"
"""In place of what is not for everyone's eyes: certificates and keys that were given as
their text."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_FILES = ("config", "model_batching")
"""The file itself, and what each model's table says."""


def write_toml(config: ServeConfig, models: Iterable[ModelConfig]) -> str:
    """What counts after the file, the environment and the flags; a setting that has no
    value is a comment."""
    models = sorted(models, key=lambda model: model.name)
    lines = ["[server]"]
    for name, value in _settings(config):
        if name in _NOT_IN_FILES:
            continue
        written = _value(_word_for_none(name) if value is None else value)
        if name == "model_config_file" and models and written is not None:
            # No two files list models.
            lines.append(f"# {name} was {written}: its models are below")
            continue
        lines.append(f"# {name} is not set" if written is None else f"{name} = {written}")
    for model in models:
        key = model.name if _BARE.fullmatch(model.name) else _value(model.name)
        lines += ["", f"[models.{key}]"]
        batching = model.batching or config.batches.model_batching.get(model.name)
        lines += [f"{field} = {written}" for field, written in _model(model, batching)]
    return "\n".join(lines) + "\n"


def _settings(branch: Any) -> Iterator[tuple[str, Any]]:
    for each in dataclasses.fields(branch):
        value = getattr(branch, each.name)
        if "branch" in each.metadata:
            yield from _settings(value)
        elif "parse" in each.metadata:
            yield each.name, value


def _word_for_none(name: str) -> str | None:
    """The word that switches a setting off which is on by itself; None: it is off."""
    setting = all_settings()[name]
    if setting.field.default is None:
        return None
    for word in ("none", "off"):
        with contextlib.suppress(ConfigError):
            if setting.parse(word, name) is None:
                return word
    return None


def _model(model: ModelConfig, batching: Batching | None) -> Iterator[tuple[str, str]]:
    values = {
        "path": model.location,
        "versions": model.versions,
        "labels": dict(model.labels) or None,
        "transition": model.transition,
        "batching": batching,
        **model.options,
    }
    for key, value in values.items():
        written = _value(value)
        if written is not None:
            yield key, written


def _value(value: Any) -> str | None:
    """As TOML has it; None: it has no such value."""
    if value is None:
        return None
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, (str, Path)):
        # JSON's escapes are TOML's, but for the one character that JSON leaves alone.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Batching):
        return _batching(value)
    if isinstance(value, Latest):
        return '"latest"' if value.count == 1 else str(value.count)
    if isinstance(value, All):
        return '"all"'
    if isinstance(value, Specific):
        return _value(sorted(value.numbers))
    if isinstance(value, Mapping):
        pairs = ((key, _value(each)) for key, each in value.items())
        inside = ", ".join(f"{json.dumps(str(key))} = {each}" for key, each in pairs if each)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(filter(None, map(_value, value)))}]"
    if isinstance(value, Pem) and value.path is not None:
        return _value(value.path)
    return _value(REDACTED)


def _batching(batching: Batching) -> str | None:
    if not batching.enabled:
        return "false"
    usual = dataclasses.asdict(Batching())
    given = dataclasses.asdict(batching)
    return _value({name: each for name, each in given.items() if each != usual[name]})
