"""What `tensorwire serve` prints once it serves: where, what, and how to call it."""

from __future__ import annotations

import json
import math
import shlex

from rich.text import Text

from tensorwire.errors import NotFoundError
from tensorwire.server import Server
from tensorwire.signature import Signature

from .tables import callable_signatures, console, describe_signature, signature_table
from .wanted import WantedInput

MAX_EXAMPLE_ELEMENTS = 16
"""Larger inputs are shown as a filling: nobody types them."""


def announce(server: Server) -> None:
    """Prints it: in colour on a terminal, as plain lines elsewhere."""
    out = console()
    for place in server.places:
        where = Text.assemble(
            "Listening on ", (place.whereabouts, "bold"), f" ({place.protocols})"
        )
        out.print(where, soft_wrap=True)
    example: str | None = None
    for outcome in server.outcomes:
        name = outcome.model.name
        if outcome.error is not None:
            line = f"Not serving {name}, version {outcome.version}: {outcome.error}"
            out.print(Text(line, style="red"), soft_wrap=True)
            continue
        try:
            signatures = callable_signatures(server.signatures(name))
        except NotFoundError:
            continue  # It was removed meanwhile.
        out.print(Text(f"Serving {name}, version {outcome.version}", style="bold"), soft_wrap=True)
        if out.is_terminal:
            out.print(signature_table(signatures))
        else:
            for signature in signatures.values():
                out.print(Text(f"  {describe_signature(signature)}"), soft_wrap=True)
        example = example or example_command(server.address, name, signatures)
    if example is not None and server.places[0].tls:
        example += " --tls"
    if example is not None:
        out.print("Call it with:", Text(example, style="cyan"), soft_wrap=True)


def example_command(address: str, model: str, signatures: dict[str, Signature]) -> str | None:
    """A `tensorwire predict` line that works; None if there is none: no signature, or one with
    an input that no request carries."""
    name = "serving_default"
    signature = signatures.get(name)
    if signature is None:
        if not signatures:
            return None
        name, signature = next(iter(signatures.items()))
    words = ["tensorwire", "predict", address, model]
    if name != "serving_default":
        words += ["--signature", name]
    for spec in signature.inputs.values():
        if spec.optional:
            continue
        if spec.numpy_dtype is None:
            return None
        wanted = WantedInput.from_spec(spec)
        words += ["--input", f"{wanted.name}={example_value(wanted)}"]
    return shlex.join(words)


def example_value(wanted: WantedInput) -> str:
    """A value for `--input` that fits: JSON where it is short."""
    shape = wanted.example_shape()
    if wanted.is_string:
        value: object = "some text"
    elif math.prod(shape) > MAX_EXAMPLE_ELEMENTS:
        return "zeros"
    elif wanted.dtype.kind == "b":
        value = True
    else:
        value = 1 if wanted.dtype.kind in "iu" else 1.0
    for size in reversed(shape):
        value = [value] * size
    return json.dumps(value)
