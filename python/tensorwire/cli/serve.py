"""`tensorwire serve`: a server of its own process."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from tensorwire.config import LOG_FORMATS, LOG_LEVELS, ServeConfig, load_config
from tensorwire.config.lifecycle import LISTEN_WHEN, TRANSITIONS
from tensorwire.errors import ConfigError, TensorWireError
from tensorwire.logs import configure_logs, finish_logs
from tensorwire.repository.model_config import ModelConfig, check_name
from tensorwire.repository.naming import name_models, unique
from tensorwire.repository.toml_output import write_toml
from tensorwire.running import Watcher, run
from tensorwire.server import Server
from tensorwire.standard_streams import end_process

from .announcement import announce
from .options import HELP_SETTINGS, GroupedCommand, debug_option, setting_option

_log = logging.getLogger("tensorwire.cli")


@click.command(
    cls=GroupedCommand, context_settings=HELP_SETTINGS, short_help="Serve models until stopped."
)
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "--model",
    "named",
    multiple=True,
    metavar="NAME=PATH",
    help="Serve the model at PATH under this name; may be given several times.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write where it listens to this file, as JSON, once it does; with "
    "--port 0 this tells which port it got. Whether the models are loaded is told by health.",
)
@click.option(
    "--print-config",
    is_flag=True,
    help="Print, as a file for --config, all settings and models that count, and end.",
)
@setting_option("host", metavar="ADDRESS")
@setting_option("port", metavar="NUMBER")
@setting_option("rest_port", metavar="NUMBER")
@setting_option("unix_socket", metavar="PATH")
@setting_option("io_threads", metavar="NUMBER")
@setting_option("max_message_size", metavar="SIZE")
@setting_option("tensor_content")
@setting_option("default_model", metavar="NAME")
@setting_option("monitoring_path", metavar="PATH")
@setting_option("rest_timeout", metavar="TIME")
@setting_option("cors")
@setting_option("remote_control", metavar="on|off")
@setting_option("grace", metavar="TIME")
@setting_option("config", metavar="FILE")
@setting_option("model_config_file", metavar="FILE")
@setting_option("config_poll_interval", metavar="TIME")
@setting_option("versions", metavar="latest|NUMBER|all|VERSION,...")
@setting_option("poll_interval", metavar="TIME")
@setting_option("store_poll_interval", metavar="TIME")
@setting_option("reload_changed", metavar="on|off")
@setting_option("version_transition", metavar="|".join(TRANSITIONS))
@setting_option("load_threads", metavar="NUMBER")
@setting_option("max_load_retries", metavar="NUMBER")
@setting_option("load_retry_interval", metavar="TIME")
@setting_option("listen_when", metavar="|".join(LISTEN_WHEN))
@setting_option("tls_certificate", metavar="FILE")
@setting_option("tls_key", metavar="FILE")
@setting_option("tls_client_ca", metavar="FILE")
@setting_option("tls_on", metavar="PLACE,...")
@setting_option("max_connections", metavar="NUMBER")
@setting_option("max_connection_age", metavar="TIME")
@setting_option("keepalive_time", metavar="TIME")
@setting_option("max_batch_size", metavar="ROWS")
@setting_option("batch_timeout", metavar="TIME")
@setting_option("allowed_batch_sizes", metavar="ROWS,...")
@setting_option("pad_variable_length_inputs")
@setting_option("batching_parameters", metavar="[MODEL=]FILE", multiple=True)
@setting_option("enable_per_model_batching_parameters")
@setting_option("no_batching", metavar="MODEL", multiple=True)
@setting_option("check_method_name")
@setting_option("max_requests", metavar="NUMBER")
@setting_option("max_rows", metavar="NUMBER")
@setting_option("max_bytes", metavar="SIZE")
@setting_option("default_timeout", metavar="TIME")
@setting_option("runner_threads", metavar="NUMBER")
@setting_option("saved_model_tags", metavar="TAG,...")
@setting_option("op_library", metavar="FILE", multiple=True)
@setting_option("tensorflow_dir", metavar="DIRECTORY")
@setting_option("intra_op_threads", metavar="NUMBER")
@setting_option("inter_op_threads", metavar="NUMBER")
@setting_option("xla", metavar="on|off|gpu")
@setting_option("mixed_precision", metavar="bfloat16|off")
@setting_option("gpu_memory_growth", metavar="on|off")
@setting_option("gpu_memory_fraction", metavar="SHARE")
@setting_option("session_config_file", metavar="FILE")
@setting_option("measure_budget", metavar="TIME")
@setting_option("measure_cache", metavar="DIRECTORY")
@setting_option("warmup", metavar="on|off")
@setting_option("warmup_iterations", metavar="NUMBER")
@setting_option("warmup_failing", metavar="refuse|warn")
@setting_option("log_requests", metavar="[MODEL=]PREFIX", multiple=True)
@setting_option("log_sampling", metavar="SHARE")
@setting_option("log_requests_format", metavar="tfrecord|jsonl")
@setting_option("log_requests_file_size", metavar="SIZE")
@setting_option("log_requests_file_age", metavar="TIME")
@setting_option("log_requests_files", metavar="NUMBER")
@setting_option("log_requests_total_size", metavar="SIZE")
@setting_option("store_cache", metavar="DIRECTORY")
@setting_option("store_cache_size", metavar="SIZE")
@setting_option("log_format", metavar="|".join(LOG_FORMATS))
@setting_option("log_level", metavar="|".join(LOG_LEVELS))
@debug_option
def serve(
    paths: tuple[str, ...],
    named: tuple[str, ...],
    ready_file: Path | None,
    print_config: bool,
    **settings: Any,
) -> None:
    """Serve models over gRPC and REST until stopped by Ctrl-C or SIGTERM.

    PATH is a SavedModel directory, a directory of versions (1, 2, ...; the highest is
    served), or a .keras or .h5 file. A model is called by the last part of its path,
    unless --model gives it a name.

    \b
    tensorwire serve ./my_model
    tensorwire serve ./models/mnist ./models/resnet --port 8500
    tensorwire serve --model digits=./exports/2024 --host 0.0.0.0
    tensorwire serve --config tensorwire.toml

    Needs TensorFlow: pip install 'tensorwire[server]'
    """
    given = {name: value for name, value in settings.items() if value not in (None, ())}
    if ready_file is not None:
        _check_folder(ready_file)
    try:
        config = load_config(given)
        models = _models(paths, named)
        server = Server.from_config(models, config)
        if print_config:
            click.echo(write_toml(config, server.configuration.values()), nl=False)
            return
        if not server.configuration and config.lifecycle.model_config_file is None:
            raise click.UsageError(
                "say what to serve: a PATH, --model NAME=PATH, or a --config FILE with models"
            )
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    configure_logs(config.log.log_format, config.log.log_level)
    lifecycle = config.lifecycle
    if len(models) == 1 and not lifecycle.has_file and lifecycle.listen_when == "first":
        # Its failure is the program's, and told as that. Where it is tried again before that,
        # each failure is told.
        logging.getLogger("tensorwire.repository").addFilter(_tells_no_failure)
    run(server, _Announcer(ready_file))
    # A signal in the midst of an ordinary exit would be an error.
    end_process(0)


class _Announcer(Watcher):
    """Tells the terminal, or the file, how far the server is."""

    def __init__(self, ready_file: Path | None) -> None:
        self._ready_file = ready_file

    def listening(self, server: Server) -> None:
        if self._ready_file is not None:
            _write_whole(self._ready_file, json.dumps(_whereabouts(server)) + "\n")

    def ready(self, server: Server) -> None:
        logging.getLogger("tensorwire.repository").removeFilter(_tells_no_failure)
        # In a thread of its own: a pipe that nobody reads must not hold up the end.
        threading.Thread(
            target=_announce, args=(server,), name="tensorwire-announce", daemon=True
        ).start()


def _announce(server: Server) -> None:
    """Whatever goes wrong with telling what is served, it is served."""
    # What it has logged comes before.
    finish_logs()
    try:
        announce(server)
        sys.stdout.flush()
    except OSError:
        # Whoever reads this has gone (`| head -1`).
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    except Exception as error:
        _log.warning("what is served can't be shown: %s: %s", type(error).__name__, error)


def _whereabouts(server: Server) -> dict[str, Any]:
    config: ServeConfig = server.config
    kinds = {place.kind: place for place in server.places}
    ports = {kind: place.port for kind, place in kinds.items()}
    socket = kinds.get("unix_socket")
    return {
        "address": server.address,
        "host": config.listener.host,
        "port": ports.get("port"),
        "rest_port": ports.get("rest_port"),
        "unix_socket": None if socket is None else socket.address,
        "tls": [place.kind for place in server.places if place.tls],
        "pid": os.getpid(),
    }


def _tells_no_failure(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def _check_folder(ready_file: Path) -> None:
    folder = ready_file.absolute().parent
    if not folder.is_dir():
        reason = f"there is no directory {ready_file.parent}"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"the directory {ready_file.parent} is not writable"
    else:
        return
    raise click.BadParameter(
        f"{str(ready_file)!r} can't be written: {reason}", param_hint="--ready-file"
    )


def _write_whole(path: Path, text: str) -> None:
    """So that whoever waits for the file never reads half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise TensorWireError(f"{path} can't be written: {error.strerror}") from error


def _models(paths: tuple[str, ...], named: tuple[str, ...]) -> list[ModelConfig]:
    models = name_models(paths) if paths else []
    for text in named:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise click.BadParameter(f"{text!r} is not NAME=PATH", param_hint="--model")
        models += name_models({check_name(name): path})
    return unique(models)
