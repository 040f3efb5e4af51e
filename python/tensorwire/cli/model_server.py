"""`tensorwire model-server`: TensorFlow Serving's command line."""

from __future__ import annotations

import click

from tensorwire.model_server import main


@click.command(
    "model-server",
    # All of it is for the other syntax, `--help` too.
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
    short_help="Serve models by TensorFlow Serving's flags.",
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def model_server(flags: tuple[str, ...]) -> int:
    """Serve models as tensorflow_model_server does, by its flags: the same as the program
    tensorwire-model-server.

    \b
    tensorwire model-server --port=8500 --rest_api_port=8501 \\
        --model_name=mnist --model_base_path=/models/mnist
    """
    return main(flags, "tensorwire model-server")
