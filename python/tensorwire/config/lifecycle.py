"""When models are looked for, loaded, tried again and exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tensorwire.repository.policy import Latest, VersionPolicy, parse_policy

from . import values
from .setting import setting

TRANSITIONS = ("availability", "resource")
"""How one version follows another: the new one is loaded before the old one is unloaded, so
that there is always one (and for a while the memory of both is used), or after it."""

LISTEN_WHEN = ("first", "loaded")

MAX_RETRIES = 1_000_000


@dataclass(frozen=True)
class LifecycleConfig:
    """How versions come and go while the server runs."""

    HEADING: ClassVar[str] = "Models"

    config: Path | None = setting(
        None,
        values.optional(values.file),
        "File in TOML with settings in its table [server], which count less than flags and "
        "variables, and models in [models.NAME], which are followed while the server runs.",
    )
    model_config_file: Path | None = setting(
        None,
        values.optional(values.file),
        "File with the models to serve in TensorFlow Serving's text format (ModelServerConfig); "
        "followed while the server runs.",
    )
    config_poll_interval: float = setting(
        1.0,
        values.duration,
        "How often a file that says which models to serve is looked at for changes; 0: once.",
        shown="1s",
    )
    versions: VersionPolicy = setting(
        Latest(),
        parse_policy,
        "Versions served of a model that says nothing else: latest, a number of latest ones, "
        "all, or a list such as 3,5 (a single one: 3,).",
        shown="latest",
    )
    poll_interval: float = setting(
        1.0,
        values.duration,
        "How often models are looked at for new versions; 0: once.",
        shown="1s",
    )
    store_poll_interval: float = setting(
        10.0,
        values.duration,
        "How often at most models at URLs are looked at: stores count and bill requests, two "
        "of them a look.",
        shown="10s",
    )
    # Made by a function: as a flag it takes a value, off too.
    reload_changed: bool = setting(
        lambda: True,
        values.flag,
        "Load a version again whose files have been exchanged: on or off.",
        shown="on",
    )
    version_transition: str = setting(
        "availability",
        values.one_of(*TRANSITIONS),
        "Load a new version before the old one is unloaded (availability), or after it, which "
        "takes less memory and leaves a gap (resource).",
    )
    load_threads: int = setting(
        0,
        values.whole_number(values.MAX_THREADS),
        "Most models that load at once; 0: one a core, at least 4.",
    )
    max_load_retries: int = setting(
        5,
        values.whole_number(MAX_RETRIES),
        "How often a version that failed to load is tried again while its files stay the same.",
    )
    load_retry_interval: float = setting(
        5.0,
        values.duration,
        "Time before the first such try; it doubles with each, up to a minute.",
        shown="5s",
    )
    listen_when: str = setting(
        "first",
        values.one_of(*LISTEN_WHEN),
        "Open the port at first, with health saying when models are ready, or when they are "
        "loaded: one that can't be then ends the start, and so does one that is not there, "
        "unless a file lists it.",
    )

    waits_for_models: bool = False
    """Where the port opens when models are loaded, one that was named at the start and is not
    there is waited for, as TensorFlow Serving does; else it ends the start."""

    @property
    def has_file(self) -> bool:
        """A file was given that may list models."""
        return self.config is not None or self.model_config_file is not None
