"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from tensorwire.client import Tls
from tensorwire.config import all_settings

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


class GroupedOption(click.Option):
    """An option that help lists under a heading."""

    def __init__(self, *arguments: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose help lists its options under their headings; those without one come
    first."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options, heading by heading in the order of their first options."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and isinstance(parameter, click.Option):
                heading = getattr(parameter, "heading", "Options")
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def setting_option(
    name: str, metavar: str | None = None, **attributes: Any
) -> Callable[[_Function], _Function]:
    """The option of a setting in `config`: its heading, text, default and variable come
    from there, and so does its check. Its value is None where it was not given."""
    setting = all_settings()[name]
    default = setting.shown_default
    shown = [] if default is None else [f"default: {default}"]
    shown.append(f"or {setting.variable}")
    attributes["help"] = f"{setting.description}  [{'; '.join(shown)}]"
    flag = f"--{name.replace('_', '-')}"
    if setting.is_switch:
        attributes["is_flag"] = True
    else:
        attributes["metavar"] = metavar
    return click.option(
        flag, name, default=None, cls=GroupedOption, heading=setting.heading, **attributes
    )


def tls_options(function: _Function) -> _Function:
    """`--tls` and what goes with it, as the one argument `tls` of the command: a Tls, or
    None where none of them was given."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        asked = options.pop("tls_asked")
        given = {name: options.pop(f"tls_{name}") for name in _TLS_OPTIONS}
        tls = Tls(**given) if asked or any(given.values()) else None
        return function(*arguments, tls=tls, **options)

    decorated: Any = command
    for name, (metavar, text) in reversed(_TLS_OPTIONS.items()):
        flag = f"--tls-{name.replace('_', '-')}"
        decorated = click.option(flag, f"tls_{name}", metavar=metavar, help=text)(decorated)
    return cast(
        _Function,
        click.option(
            "--tls", "tls_asked", is_flag=True, help="Speak TLS; so do the options that follow."
        )(decorated),
    )


_TLS_OPTIONS = {
    "ca": ("FILE", "Roots of the server's certificate. Default: the system's."),
    "certificate": ("FILE", "The client's certificate, for a server that wants one."),
    "key": ("FILE", "The private key of --tls-certificate."),
    "server_name": ("NAME", "The name in the server's certificate. Default: HOST."),
}
