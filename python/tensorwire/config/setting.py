"""How settings are declared and found: a setting is a field of one of the tree's frozen
dataclasses, with what fills it and what it is; a branch is such a dataclass in another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorwire.errors import ConfigError
from tensorwire.pem import NoPemError

LONGEST_SHOWN = 200
"""Characters of a value that a message shows."""


def setting(
    default: Any, parse: Callable[[Any], Any], description: str, shown: str | None = None
) -> Any:
    """A field with what fills it: its `parse` raises ValueError with the reason. A
    callable `default` is called for each tree. `shown`: the default in help, where that
    is not the value itself."""
    metadata = {"parse": parse, "description": description, "shown": shown}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def branch(kind: type[Any]) -> Any:
    """A field that is a dataclass of settings."""
    return field(default_factory=kind, metadata={"branch": kind})


@dataclass(frozen=True)
class Setting:
    """A setting, as it stands in the tree."""

    name: str
    """Unique in the tree."""

    heading: str
    """What its branch is about."""

    field: dataclasses.Field[Any]

    @property
    def variable(self) -> str:
        """The environment variable that fills it: `TENSORWIRE_PORT` for `port`."""
        return f"TENSORWIRE_{self.name.upper()}"

    @property
    def description(self) -> str:
        """What it is, in a sentence."""
        return str(self.field.metadata["description"])

    @property
    def is_switch(self) -> bool:
        """It is true or false."""
        return isinstance(self.field.default, bool)

    @property
    def shown_default(self) -> str | None:
        """The default for people; None: there is nothing to show."""
        if self.field.metadata["shown"] is not None:
            return str(self.field.metadata["shown"])
        default: Any = self.field.default
        nothing = default is None or default is False or default == ()
        return None if nothing else str(default).lower() if default is True else str(default)

    def parse(self, value: Any, source: str) -> Any:
        """The value as the tree has it; else a ConfigError that names `source`."""
        try:
            return self.field.metadata["parse"](value)
        except NoPemError as error:
            raise ConfigError(f"{source} can't be used: {error}") from None
        except (ValueError, TypeError) as error:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            if len(shown) > LONGEST_SHOWN:
                # Most of what is that long is a key that was meant to be a path.
                shown = shown[:20] + "..."
            raise ConfigError(f"{source} can't be {shown!r}: {error}") from None


def settings_of(kind: type[Any]) -> dict[str, Setting]:
    """The settings of a dataclass and of its branches, by name."""
    found: dict[str, Setting] = {}
    for each in dataclasses.fields(kind):
        if "branch" in each.metadata:
            found |= settings_of(each.metadata["branch"])
        elif "parse" in each.metadata:
            found[each.name] = Setting(each.name, kind.HEADING, each)
    return found


def fill(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """One of a dataclass and of its branches, with these values of its settings."""
    arguments: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        if "branch" in each.metadata:
            arguments[each.name] = fill(each.metadata["branch"], values)
        elif each.name in values:
            arguments[each.name] = values[each.name]
    return kind(**arguments)
