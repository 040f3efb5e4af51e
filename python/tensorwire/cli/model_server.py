"""`tensorwire model-server`: TensorFlow Serving's command line."""

from __future__ import annotations

import click

from tensorwire.model_server import main


class _OtherSyntax(click.Command):
    """A command that takes its arguments as they are, `--` and `--help` too."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Leaves them alone."""
        context.params["flags"] = tuple(arguments)
        return []


@click.command(
    "model-server",
    cls=_OtherSyntax,
    add_help_option=False,
    short_help="Serve models by TensorFlow Serving's flags.",
)
def model_server(flags: tuple[str, ...]) -> int:
    """Serve models as tensorflow_model_server does, by its flags: the same as the program
    tensorwire-model-server.

    \b
    tensorwire model-server --port=8500 --rest_api_port=8501 \\
        --model_name=mnist --model_base_path=/models/mnist
    """
    return main(flags, "tensorwire model-server")
