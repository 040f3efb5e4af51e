"""`tensorwire models`: see and change which models a running server serves."""

from __future__ import annotations

import json
import os
from typing import Any

import click
from rich.text import Text

from tensorwire.client import Client, Tls
from tensorwire.client.model_repository import ModelRepository
from tensorwire.repository.local_source import local_path
from tensorwire.repository.policy import All, Latest, Specific, parse_policy
from tensorwire.repository.source import MAX_VERSION

from .choice import some_seconds
from .options import HELP_SETTINGS, debug_option, tls_options
from .tables import console, empty_table, state_text

_target = click.argument("target")
_name = click.argument("name")
_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
_no_wait = click.option(
    "--no-wait", is_flag=True, help="Return at once; `tensorwire models list` tells the rest."
)
_timeout = click.option(
    "--timeout",
    default="600s",
    show_default=True,
    callback=some_seconds,
    metavar="TIME",
    help="Most time to wait.",
)


@click.group(context_settings=HELP_SETTINGS, short_help="Change a running server's models.")
@debug_option
def models() -> None:
    """See and change which models the server at TARGET (HOST:PORT or unix:PATH) serves,
    while it does.

    \b
    tensorwire models list localhost:50051
    tensorwire models load localhost:50051 mnist ./models/mnist --versions all
    tensorwire models load localhost:50051 mnist ./models/mnist --label stable=3
    tensorwire models reload localhost:50051 mnist
    tensorwire models unload localhost:50051 mnist
    tensorwire models config localhost:50051 > models.config

    A change lasts until the file that lists the server's models changes (if it follows one),
    or the server ends. Servers that listen to more than this machine take changes only with
    --remote-control on.

    Needs protobuf: pip install 'tensorwire[server]'
    """


@models.command("list", context_settings=HELP_SETTINGS)
@_target
@_timeout
@_json
@tls_options
@debug_option
def list_models(target: str, timeout: float, as_json: bool, tls: Tls | None) -> None:
    """Show the models, their versions' states, labels and paths."""
    with Client(target, timeout=timeout, tls=tls) as client:
        found = ModelRepository(client).list()
    if as_json:
        click.echo(_as_json({"models": [_described(each) for each in found]}))
    else:
        _show(found)


@models.command(context_settings=HELP_SETTINGS)
@_target
@_name
@click.argument("path")
@click.option(
    "--versions",
    metavar="latest|NUMBER|all|VERSION,...",
    help="Versions to serve: the latest, a number of latest ones, all, or a list such as 3,5 "
    "(a single one: 3,).  [default: as the server's --versions says]",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=VERSION",
    help="Let requests ask for this version by a label; may be given several times.",
)
@_no_wait
@_timeout
@_json
@tls_options
@debug_option
def load(target: str, name: str, path: str, tls: Tls | None, **asked: Any) -> None:
    """Serve the model at PATH under NAME, or serve NAME otherwise than before.

    PATH is a path on the server's machine, or a URL.
    """
    local = local_path(path)
    policy = None if asked["versions"] is None else _policy(asked["versions"])
    with Client(target, timeout=asked["timeout"], tls=tls) as client:
        model = ModelRepository(client).load(
            name,
            path if local is None else os.fspath(local),
            policy=policy,
            labels=dict(_label(text) for text in asked["labels"]),
            no_wait=asked["no_wait"],
        )
    _tell(model, as_json=asked["as_json"])


@models.command(context_settings=HELP_SETTINGS)
@_target
@_name
@_no_wait
@_timeout
@tls_options
@debug_option
def unload(target: str, name: str, no_wait: bool, timeout: float, tls: Tls | None) -> None:
    """Take NAME out of service, after its last request."""
    with Client(target, timeout=timeout, tls=tls) as client:
        ModelRepository(client).unload(name, no_wait=no_wait)


@models.command(context_settings=HELP_SETTINGS)
@_target
@_name
@_no_wait
@_timeout
@_json
@tls_options
@debug_option
def reload(target: str, name: str, no_wait: bool, tls: Tls | None, **asked: Any) -> None:
    """Have NAME look for versions now, and load those again that are there or have failed."""
    with Client(target, timeout=asked["timeout"], tls=tls) as client:
        model = ModelRepository(client).reload(name, no_wait=no_wait)
    _tell(model, as_json=asked["as_json"])


@models.command(context_settings=HELP_SETTINGS)
@_target
@_timeout
@_json
@tls_options
@debug_option
def config(target: str, timeout: float, as_json: bool, tls: Tls | None) -> None:
    """Print what is served as a file that --model-config-file takes; of URLs without the
    passwords and signatures in them."""
    from google.protobuf import json_format, text_format

    with Client(target, timeout=timeout, tls=tls) as client:
        message = ModelRepository(client).config()
    if as_json:
        click.echo(json_format.MessageToJson(message, preserving_proto_field_name=True))
    else:
        click.echo(text_format.MessageToString(message), nl=False)


def _policy(text: str) -> dict[str, Any]:
    try:
        policy = parse_policy(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint="--versions") from None
    if isinstance(policy, Specific):
        return {"specific": {"versions": sorted(policy.numbers)}}
    if isinstance(policy, All):
        return {"all": {}}
    return {"latest": {"num_versions": policy.count if isinstance(policy, Latest) else 1}}


def _label(text: str) -> tuple[str, int]:
    label, _, version = text.rpartition("=")
    if not label or not version.isdecimal() or int(version) > MAX_VERSION:
        raise click.BadParameter(f"{text!r} is not LABEL=VERSION", param_hint="--label")
    return label, int(version)


def _described(model: Any) -> dict[str, Any]:
    from google.protobuf import json_format

    described: dict[str, Any] = json_format.MessageToDict(
        model, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return described


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _tell(model: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(_as_json(_described(model)))
    else:
        _show([model])


def _show(found: list[Any]) -> None:
    table = empty_table("model", "version", "state", "labels", "path", "error")
    for model in found:
        title, path = model.config.name, model.config.base_path
        for version in model.versions:
            labels = sorted(
                label
                for label, number in model.config.version_labels.items()
                if number == version.version
            )
            table.add_row(
                Text(title),
                str(version.version),
                state_text(version.State.Name(version.state)),
                Text(", ".join(labels)),
                Text(path),
                Text(version.status.error_message),
            )
            title = path = ""
        if not model.versions:
            table.add_row(Text(title), "", Text("no version", style="yellow"), "", Text(path), "")
    console().print(table)
