"""`tensorwire predict`: one request from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from numpy.typing import NDArray

from tensorwire.client import Client
from tensorwire.errors import ConfigError
from tensorwire.signature import Signature
from tensorwire.units import parse_duration

from .images import Scale, parse_scale
from .inputs import InputReader
from .json_output import to_json
from .options import HELP_SETTINGS, debug_option
from .tables import callable_signatures, console, output_table
from .wanted import WantedInput

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class _Asked:
    """What the command line says besides the target and the inputs."""

    model: str | None
    version: int | None
    signature: str
    outputs: tuple[str, ...]


def _scale(_context: click.Context, _parameter: click.Parameter, text: str) -> Scale:
    try:
        return parse_scale(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no scale: {error}") from None


def _timeout(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no duration: {error}") from None
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} leaves no time for an answer")
    return seconds


@click.command(context_settings=HELP_SETTINGS, short_help="Get a prediction from a server.")
@click.argument("target")
@click.argument("model", required=False)
@click.option(
    "--input",
    "-i",
    "given",
    multiple=True,
    metavar="[NAME=]VALUE",
    help="An input; NAME= may be left out if there is one only. VALUE is JSON text, a file "
    "(.json, .npy, .npz, .csv, an image; @FILE for any name), - for standard input, or "
    "zeros, ones or random. Without --input, standard input is read.",
)
@click.option("--signature", default=DEFAULT_SIGNATURE, show_default=True, metavar="NAME")
@click.option(
    "--version", type=click.IntRange(min=0), metavar="NUMBER", help="Default: the highest."
)
@click.option("--output", "-o", "outputs", multiple=True, metavar="NAME", help="Only this output.")
@click.option("--timeout", default="60s", show_default=True, callback=_timeout, metavar="TIME")
@click.option(
    "--scale",
    default="0..1",
    show_default=True,
    callback=_scale,
    metavar="BLACK..WHITE",
    help="What black and white of an image become in a float input. What is transparent is "
    "taken for white, unless the input has a channel for it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outputs as JSON, in full.")
@debug_option
def predict(
    target: str,
    given: tuple[str, ...],
    timeout: float,
    scale: Scale,
    as_json: bool,
    **asked: Any,
) -> None:
    """Get a prediction of MODEL from the server at TARGET, which is HOST:PORT.

    MODEL may be left out if the server has only one. Values become what the model's
    signature says; a batch dimension is added where only that is missing.

    \b
    tensorwire predict localhost:50051 add --input 'a=[1, 2]' --input 'b=[3, 4]'
    tensorwire predict localhost:50051 digits --input photo.png
    tensorwire predict localhost:50051 --input image=@batch.npy --json
    cat rows.csv | tensorwire predict localhost:50051 houses --input x=-
    """
    wanted = _Asked(**asked)
    with Client(target, timeout=timeout) as client:
        model = wanted.model or _only_model(client)
        metadata = client.metadata(model, version=wanted.version)
        signature = _signature(metadata.signatures, wanted.signature, model)
        inputs = {spec.name: WantedInput.from_spec(spec) for spec in signature.inputs.values()}
        arrays = InputReader(inputs, scale).read(_given(given, inputs))
        outputs, batched = _call(client, model, wanted, _batched(inputs, arrays))
    if as_json:
        click.echo(json.dumps({name: to_json(value) for name, value in outputs.items()}))
        return
    table, left_out = output_table(outputs, batched=batched)
    console().print(table)
    if left_out:
        click.echo(f"{left_out} more rows; --json shows all")


def _only_model(client: Client) -> str:
    names = [status.name for status in client.models()]
    if len(names) == 1:
        return names[0]
    served = f"it serves {', '.join(names)}" if names else "it serves none"
    raise click.UsageError(f"say which MODEL of the server is meant; {served}")


def _signature(signatures: Mapping[str, Signature], name: str, model: str) -> Signature:
    if name not in (known := callable_signatures(signatures)):
        raise ConfigError(
            f"model {model} has no signature {name!r}; it has: {', '.join(known) or 'none'}"
        )
    return signatures[name]


def _given(given: tuple[str, ...], inputs: Mapping[str, WantedInput]) -> tuple[str, ...]:
    if given or not inputs:
        return given
    if sys.stdin.isatty():
        described = ", ".join(f"{name} ({each})" for name, each in inputs.items())
        raise click.UsageError(f"the model needs --input for: {described}")
    return ("-",)


def _batched(
    inputs: Mapping[str, WantedInput], arrays: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """The arrays with the batch dimension that they may lack, and whether one did."""
    pairs = {name: inputs[name].add_batch(array) for name, array in arrays.items()}
    return {name: array for name, (array, _) in pairs.items()}, any(
        added for _, added in pairs.values()
    )


def _call(
    client: Client, model: str, asked: _Asked, inputs: tuple[dict[str, NDArray[Any]], bool]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """The outputs, and whether they are a batch of several rows to show one below the
    other. A batch dimension that was added to the inputs is taken from the outputs."""
    arrays, added = inputs
    outputs = client.predict(
        model,
        arrays,
        version=asked.version,
        signature=asked.signature,
        outputs=list(asked.outputs) or None,
    )
    sizes = {value.shape[0] if value.ndim else None for value in outputs.values()}
    if added and sizes == {1}:
        return {name: value[0] for name, value in outputs.items()}, False
    return outputs, len(sizes) == 1 and None not in sizes
