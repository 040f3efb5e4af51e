"""`tensorwire demo`: see it work."""

from __future__ import annotations

import click
from rich.console import Console

from .options import HELP_SETTINGS, debug_option


@click.command(
    context_settings=HELP_SETTINGS,
    short_help="See it work: train, serve and call a small network.",
)
@debug_option
def demo() -> None:
    """Train a small network on handwritten digits, serve it, and call it.

    Each part is a process of its own: the training, the server (tensorwire serve on a
    free port), the client, and one more client made from nothing but a .proto file. The
    trained model is kept, so a second run takes seconds.

    Needs: pip install 'tensorwire[demo]'
    """
    from tensorwire.demo.story import tell

    tell(Console(highlight=False))
