"""In which order versions are loaded and unloaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from .managed_version import Doing, ManagedVersion
from .model_config import RESOURCE


@dataclass
class Steps:
    """What can be begun now."""

    load: list[ManagedVersion] = field(default_factory=list)
    unload: list[ManagedVersion] = field(default_factory=list)


@dataclass(frozen=True)
class Rules:
    """What decides besides the versions themselves."""

    transition: str
    max_load_retries: int
    now: float
    held: Collection[int] = ()
    """Versions that must stay: a label points there until it can move."""


def next_steps(versions: Iterable[ManagedVersion], rules: Rules) -> Steps:
    """What can be begun now with a model's versions: loads highest first, unloads lowest
    first, so that of what is equally good the newest stays longest."""
    ordered = sorted(versions, key=lambda version: version.number)
    to_load = [each for each in reversed(ordered) if _may_load(each, rules)]
    unwanted = [each for each in ordered if not each.wanted and each.served is not None]
    to_unload = [each for each in unwanted if each.doing is Doing.NOTHING]
    if rules.transition == RESOURCE:
        return _resource_first(to_load, to_unload, gone=not unwanted)
    wanted = [each for each in ordered if each.wanted]
    if wanted and all(each.served is None for each in wanted):
        # Nothing would be left to answer with.
        return Steps(to_load)
    return Steps(to_load, [each for each in to_unload if each.number not in rules.held])


def _resource_first(
    to_load: list[ManagedVersion], to_unload: list[ManagedVersion], *, gone: bool
) -> Steps:
    # One that is to be loaded again makes room for itself first.
    exchanged = [each for each in to_load if each.served is not None]
    fresh = [each for each in to_load if each.served is None]
    return Steps(fresh if gone else [], to_unload + exchanged)


def _may_load(version: ManagedVersion, rules: Rules) -> bool:
    if not version.wanted or version.doing is not Doing.NOTHING or not version.needs_load:
        return False
    tries_left = version.failures <= rules.max_load_retries or version.may_pass
    return tries_left and version.retry_at <= rules.now
