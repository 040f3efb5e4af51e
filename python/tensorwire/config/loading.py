"""Fills the tree: the environment, then flags or arguments."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from tensorwire.errors import ConfigError

from .batches import BatchingConfig, BatchingShorthand, apply_layer
from .batching import Batching
from .setting import Setting, fill, settings_of
from .toml_file import read_toml, server_settings
from .tree import ServeConfig

Part = TypeVar("Part")

ONLY_IN_PROGRAMS = ("batching", "model_batching")
"""Settings that are objects: flags and variables have shorthand for them."""

_PORTS = ("port", "rest_port")
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://\S+")
"""What Kubernetes has in the variable NAME_PORT of every pod for a Service that is called NAME:
for one called `tensorwire` that is ours, and says nothing to us."""


@functools.cache
def all_settings() -> dict[str, Setting]:
    """Every setting by its name, in the order of the tree."""
    return settings_of(ServeConfig) | settings_of(BatchingShorthand)


def load_config(
    settings: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> ServeConfig:
    """The tree with what `settings` says, else `environ` (None: the process's own; empty
    variables count as not set), else the file that one of them names as `config`, else
    `defaults`, else the tree's own.

    Raises ConfigError for an unknown setting and for a value out of its limits.
    """
    settings = settings or {}
    environ = os.environ if environ is None else environ
    known = all_settings()
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ConfigError(
            f"there is no setting {unknown[0]!r}; the settings are {', '.join(sorted(known))}"
        )
    given = {name: known[name].parse(value, name) for name, value in settings.items()}
    # What a program says is not looked up, so that a bad variable is no error then.
    rest = {name: known[name] for name in known if name not in (*given, *ONLY_IN_PROGRAMS)}
    found = _found(rest, environ)
    file = given.get("config", found.get("config"))
    written = {} if file is None else server_settings(file, read_toml(file), known)
    config: ServeConfig = fill(ServeConfig, {**(defaults or {}), **written, **found, **given})
    batches = _unset(config.batches)
    for layer in (written, found, given):
        batches = apply_layer(batches, layer)
    return _with_shared_pool(dataclasses.replace(config, batches=batches))


def load_part(
    kind: type[Part],
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Part:
    """One branch of the tree alone, without settings of a program: for what is to be known
    before those are. What is wrong with other branches is not looked at, as it may be put right
    by then.

    Raises ConfigError for a value of its own that is out of its limits, and for a file that
    can't be used.
    """
    environ = os.environ if environ is None else environ
    every, own = all_settings(), settings_of(kind)
    found = _found({name: every[name] for name in ("config", *own)}, environ)
    file = found.pop("config", None)
    written = {} if file is None else server_settings(file, read_toml(file), every)
    values = {**(defaults or {}), **written, **found}
    part: Part = fill(kind, {name: each for name, each in values.items() if name in own})
    return part


def _found(settings: Mapping[str, Setting], environ: Mapping[str, str]) -> dict[str, Any]:
    """What variables say of these."""
    return {
        name: each.parse(environ[each.variable], each.variable)
        for name, each in settings.items()
        if environ.get(each.variable)
        and not (name in _PORTS and _SERVICE_LINK.fullmatch(environ[each.variable]))
    }


def _with_shared_pool(config: ServeConfig) -> ServeConfig:
    """TensorFlow Serving's `num_batch_threads` for all models is the size of the one pool
    that they share, and so is our `runner_threads`, if nobody says it."""
    threads = config.batches.batching.num_batch_threads
    if threads is None or config.engine.runner_threads != 0:
        return config
    batching = dataclasses.replace(config.batches.batching, num_batch_threads=None)
    return dataclasses.replace(
        config,
        batches=dataclasses.replace(config.batches, batching=batching),
        engine=dataclasses.replace(config.engine, runner_threads=threads),
    )


def _unset(batches: BatchingConfig) -> BatchingConfig:
    """Without what the layers say, which are applied in their order."""
    return dataclasses.replace(batches, batching=Batching(), model_batching={})
