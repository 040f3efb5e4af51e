"""Which signature of which model is called, and with what: what `predict` and `bench`
ask for alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from numpy.typing import NDArray

from tensorwire.client import Client
from tensorwire.errors import ConfigError
from tensorwire.signature import Signature
from tensorwire.units import parse_duration

from .images import Scale, parse_scale
from .tables import callable_signatures
from .wanted import WantedInput

DEFAULT_SIGNATURE = "serving_default"

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _scale(_context: click.Context, _parameter: click.Parameter, text: str) -> Scale:
    try:
        return parse_scale(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no scale: {error}") from None


def to_seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """The value of an option that is a duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no duration: {error}") from None


def some_seconds(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """The value of an option that is a time to wait, more than none."""
    seconds = to_seconds(context, parameter, text)
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} leaves no time for an answer")
    return seconds


def input_option(text: str) -> Callable[[_Function], _Function]:
    """`--input`, with this help."""
    return click.option("--input", "-i", "given", multiple=True, metavar="[NAME=]VALUE", help=text)


signature_option = click.option(
    "--signature", default=DEFAULT_SIGNATURE, show_default=True, metavar="NAME"
)
version_option = click.option(
    "--version", type=click.IntRange(min=0), metavar="NUMBER", help="Default: the highest."
)
output_option = click.option(
    "--output", "-o", "outputs", multiple=True, metavar="NAME", help="Only this output."
)
timeout_option = click.option(
    "--timeout", default="60s", show_default=True, callback=some_seconds, metavar="TIME"
)
scale_option = click.option(
    "--scale",
    default="0..1",
    show_default=True,
    callback=_scale,
    metavar="BLACK..WHITE",
    help="What black and white of an image become in a float input. What is transparent is "
    "taken for white, unless the input has a channel for it.",
)


def only_model(client: Client) -> str:
    """The name of the server's model; UsageError if it has none or several."""
    names = [status.name for status in client.models()]
    if len(names) == 1:
        return names[0]
    served = f"it serves {', '.join(names)}" if names else "it serves none"
    raise click.UsageError(f"say which MODEL of the server is meant; {served}")


def callable_signature(signatures: Mapping[str, Signature], name: str, model: str) -> Signature:
    """The signature of this name; ConfigError with those that there are."""
    if name not in (known := callable_signatures(signatures)):
        raise ConfigError(
            f"model {model} has no signature {name!r}; it has: {', '.join(known) or 'none'}"
        )
    return signatures[name]


def wanted_inputs(signature: Signature) -> dict[str, WantedInput]:
    """What it takes, by name; BadParameter for a type that no request carries."""
    return {spec.name: WantedInput.from_spec(spec) for spec in signature.inputs.values()}


def batched(
    inputs: Mapping[str, WantedInput], arrays: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """The arrays with the batch dimension that they may lack, and whether one did."""
    pairs = {name: inputs[name].add_batch(array) for name, array in arrays.items()}
    return {name: array for name, (array, _) in pairs.items()}, any(
        added for _, added in pairs.values()
    )
