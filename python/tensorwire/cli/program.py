"""The program around the commands: its help, and how errors end it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from tensorwire import __version__
from tensorwire.errors import TensorWireError
from tensorwire.logs import finish_logs
from tensorwire.messages import NOT_INSTALLED

from .bench import bench
from .demo import demo
from .inspect import inspect
from .model_server import model_server
from .models import models
from .options import HELP_SETTINGS, debug_asked, debug_option, forget_debug
from .predict import predict
from .replay import replay
from .serve import serve
from .warmup import warmup

_INTERRUPTED = 130


@click.group(context_settings=HELP_SETTINGS)
@click.version_option(__version__, prog_name="tensorwire")
@debug_option
def program() -> None:
    """Serve TensorFlow models over gRPC and REST, and get their predictions.

    \b
    tensorwire demo                                  see it work
    tensorwire serve ./my_model                      serve a SavedModel
    tensorwire inspect localhost:50051               what a server serves
    tensorwire models list localhost:50051           see and change it while it runs
    tensorwire predict localhost:50051 my_model --input 'x=[1, 2, 3]'
    tensorwire bench localhost:50051 my_model        how fast it answers
    tensorwire warmup record ./my_model              requests to run before it is served
    tensorwire replay LOG localhost:50051            recorded requests, sent again
    """


for _command in (serve, model_server, models, predict, inspect, bench, warmup, replay, demo):
    program.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Runs a command line; its exit status. Failures are one line on standard error,
    with the traceback before it if `--debug` was given."""
    forget_debug()
    try:
        status = program.main(list(arguments), prog_name="tensorwire", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered goes nowhere,
        # or Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except TensorWireError as error:
        return _failed(" ".join(str(error).split()))
    except OSError as error:
        return _failed(str(error))
    except ModuleNotFoundError as error:
        # The one package that several commands import when they come to need it.
        is_protobuf = (error.name or "").partition(".")[0] == "google"
        return _failed(NOT_INSTALLED if is_protobuf else f"{error} (--debug shows where)")
    except Exception as error:  # A fault of ours still ends in one line.
        return _failed(f"{type(error).__name__}: {error} (--debug shows where)")


def _failed(reason: str) -> int:
    # What it has logged comes before.
    finish_logs()
    if debug_asked():
        traceback.print_exc()
    click.echo(f"error: {reason}", err=True)
    return 1
