"""`tensorwire predict`: one request from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from numpy.typing import NDArray

from tensorwire.client import Client, Tls

from .choice import (
    batched,
    callable_signature,
    input_option,
    only_model,
    output_option,
    scale_option,
    signature_option,
    timeout_option,
    version_option,
    wanted_inputs,
)
from .images import Scale
from .inputs import InputReader
from .json_output import to_json
from .options import HELP_SETTINGS, debug_option, tls_options
from .tables import console, output_table
from .wanted import WantedInput


@dataclass(frozen=True)
class _Asked:
    """What the command line says besides the target and the inputs."""

    model: str | None
    version: int | None
    signature: str
    outputs: tuple[str, ...]


@click.command(context_settings=HELP_SETTINGS, short_help="Get a prediction from a server.")
@click.argument("target")
@click.argument("model", required=False)
@input_option(
    "An input; NAME= may be left out if there is one only. VALUE is JSON text, a file "
    "(.json, .npy, .npz, .csv, an image; @FILE for any name), - for standard input, or "
    "zeros, ones or random. Without --input, standard input is read."
)
@signature_option
@version_option
@output_option
@timeout_option
@scale_option
@click.option("--json", "as_json", is_flag=True, help="Print the outputs as JSON, in full.")
@tls_options
@debug_option
def predict(
    target: str,
    given: tuple[str, ...],
    timeout: float,
    scale: Scale,
    as_json: bool,
    tls: Tls | None,
    **asked: Any,
) -> None:
    """Get a prediction of MODEL from the server at TARGET, which is HOST:PORT or unix:PATH.

    MODEL may be left out if the server has only one. Values become what the model's
    signature says; a batch dimension is added where only that is missing.

    \b
    tensorwire predict localhost:50051 add --input 'a=[1, 2]' --input 'b=[3, 4]'
    tensorwire predict localhost:50051 digits --input photo.png
    tensorwire predict localhost:50051 --input image=@batch.npy --json
    cat rows.csv | tensorwire predict localhost:50051 houses --input x=-
    """
    wanted = _Asked(**asked)
    with Client(target, timeout=timeout, tls=tls) as client:
        model = wanted.model or only_model(client)
        metadata = client.metadata(model, version=wanted.version)
        signature = callable_signature(metadata.signatures, wanted.signature, model)
        inputs = wanted_inputs(signature)
        arrays = InputReader(inputs, scale).read(_given(given, inputs))
        outputs, rows = _call(client, model, wanted, batched(inputs, arrays))
    if as_json:
        click.echo(json.dumps({name: to_json(value) for name, value in outputs.items()}))
        return
    table, left_out = output_table(outputs, batched=rows)
    console().print(table)
    if left_out:
        click.echo(f"{left_out} more rows; --json shows all")


def _given(given: tuple[str, ...], inputs: Mapping[str, WantedInput]) -> tuple[str, ...]:
    if given or not inputs:
        return given
    if sys.stdin.isatty():
        described = ", ".join(f"{name} ({each})" for name, each in inputs.items())
        raise click.UsageError(f"the model needs --input for: {described}")
    return ("-",)


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
