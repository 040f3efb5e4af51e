"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tensorwire.config import environment_variable, setting_fields
from tensorwire.units import format_duration, format_size

HELP_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_Function = TypeVar("_Function", bound=Callable[..., Any])

_DEBUG = "tensorwire.debug"
_asked = {_DEBUG: False}


def _remember(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    # The context is gone when an error arrives where it is shown.
    _asked[_DEBUG] = _asked[_DEBUG] or value


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show where an error comes from.",
)
"""`--debug`, before or after the command's name."""


def forget_debug() -> None:
    """Starts a command line without it."""
    _asked[_DEBUG] = False


def debug_asked() -> bool:
    """`--debug` was given."""
    return _asked[_DEBUG]


def setting_option(
    name: str, metavar: str | None = None, **attributes: Any
) -> Callable[[_Function], _Function]:
    """The option of a setting in `config`: its text, default and variable come from
    there, and so does its check. Its value is None where it was not given."""
    field = setting_fields()[name]
    default: Any = field.default
    if name == "grace":
        default = format_duration(default).replace(" ", "")
    elif name == "max_message_size":
        default = f"{format_size(default + 1)} - 1"
    shown = [] if default is None or default is False or default == () else [f"default: {default}"]
    shown.append(f"or {environment_variable(name)}")
    text = f"{field.metadata['description']}  [{'; '.join(shown)}]"
    flag = f"--{name.replace('_', '-')}"
    if default is False:
        return click.option(flag, name, is_flag=True, default=None, help=text, **attributes)
    return click.option(flag, name, metavar=metavar, default=None, help=text, **attributes)
