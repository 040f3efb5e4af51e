"""`tensorwire inspect`: what a path holds or a server serves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tensorwire.client import Client, Tls
from tensorwire.config import Batching, load_config
from tensorwire.cost import SignatureCost, costs_by_signature
from tensorwire.errors import ConfigError
from tensorwire.model import load_newest, open_engine, read_metadata
from tensorwire.repository.naming import name_models
from tensorwire.repository.source import complete_versions
from tensorwire.signature import (
    AVAILABLE,
    ModelMetadata,
    ModelStatus,
    Signature,
    TensorSpec,
    VersionStatus,
)

from .cost_tables import costs_as_json, print_costs
from .options import HELP_SETTINGS, debug_option, tls_options
from .tables import callable_signatures, console, signature_table, status_table

_ADDRESS = re.compile(r"(https?://)?[^/\\]+:\d{1,5}|unix(-abstract)?:.+")
"""A URL without a path is a server's; a model's has one."""

_TIMEOUT_SECONDS = 30.0

NOT_LOADED = "NOT_LOADED"
"""The state of a version that lies at a path beside the one that was loaded."""


class _View:
    """What is shown: models with their versions' states and the newest's signatures."""

    def __init__(self) -> None:
        self.statuses: dict[str, ModelStatus] = {}
        self.metadata: dict[str, ModelMetadata] = {}
        self.costs: dict[str, dict[str, SignatureCost]] = {}
        """Of those that were measured here; a server tells no one what it measured."""

    def show(self) -> None:
        out = console()
        out.print(status_table(self.statuses))
        for name, metadata in self.metadata.items():
            version = "" if metadata.version is None else f", version {metadata.version}"
            out.print()
            out.print(Text(f"{name}{version}", style="bold"))
            out.print(signature_table(metadata.signatures))
            print_costs(out, self.costs.get(name, {}))

    def as_json(self) -> dict[str, Any]:
        models = {}
        for name, status in self.statuses.items():
            metadata = self.metadata.get(name)
            models[name] = {
                "versions": [asdict(version) for version in status.versions],
                "described_version": metadata.version if metadata else None,
                "signatures": _signatures(metadata.signatures) if metadata else {},
                "costs": costs_as_json(self.costs[name]) if name in self.costs else None,
            }
        return {"models": models}


@click.command(
    context_settings=HELP_SETTINGS, short_help="Show models, versions, states and signatures."
)
@click.argument("path_or_target")
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--no-measure", is_flag=True, help="Don't measure what a path's batches cost.")
@tls_options
@debug_option
def inspect(
    path_or_target: str, model: str | None, as_json: bool, no_measure: bool, tls: Tls | None
) -> None:
    """Show models, versions, states and signatures.

    PATH_OR_TARGET is a path or URL that `tensorwire serve` takes, whose newest version is loaded
    to be sure that it can be, or the HOST:PORT or unix:PATH of a server: all
    of its models, or MODEL.

    What the batches of a path's model cost is shown as a server on this machine measures
    it, or has measured it before, with what the server decides from it.

    \b
    tensorwire inspect ./my_model
    tensorwire inspect localhost:50051 --json
    """
    if not Path(path_or_target).exists() and _ADDRESS.fullmatch(path_or_target):
        view = _inspect_server(path_or_target, model, tls)
    elif "://" in path_or_target or Path(path_or_target).exists():
        if model is not None:
            raise click.UsageError("MODEL goes with a server; a path has one model")
        view = _inspect_path(path_or_target, measure=not no_measure)
    else:
        raise ConfigError(f"{path_or_target!r} is neither a path that exists nor HOST:PORT")
    if as_json:
        click.echo(json.dumps(view.as_json(), indent=2))
    else:
        view.show()


def _inspect_server(target: str, model: str | None, tls: Tls | None) -> _View:
    view = _View()
    with Client(target, timeout=_TIMEOUT_SECONDS, tls=tls) as client:
        for status in client.models() if model is None else [client.status(model)]:
            view.statuses[status.name] = status
            if status.available:
                view.metadata[status.name] = client.metadata(status.name)
    return view


def _inspect_path(path: str, *, measure: bool) -> _View:
    """Loads the newest version in this process, as a server would; raises ModelLoadError
    if it can't be."""
    (named,) = name_models(path)
    config = load_config({} if measure else {"measure_budget": 0})
    engine = open_engine(config.engine)
    cache = config.stores.open_cache()
    # As a server told nothing else of this model has it.
    name, number = load_newest(engine, path, config.engine.version_options(Batching()), cache)
    metadata = read_metadata(engine, name, number)
    view = _View()
    if config.engine.measuring.measure_budget > 0:
        view.costs[name] = costs_by_signature(engine.costs(name, number)[1])
    engine.unload(name, number)
    versions = [
        VersionStatus(each.number, AVAILABLE if each.number == metadata.version else NOT_LOADED)
        for each in reversed(complete_versions(named.location, named.open(cache).versions()))
    ]
    view.statuses[named.name] = ModelStatus(named.name, tuple(versions))
    view.metadata[named.name] = metadata
    return view


def _signatures(signatures: Mapping[str, Signature]) -> dict[str, Any]:
    return {
        name: {
            "method_name": signature.method_name,
            "inputs": {key: _spec(spec) for key, spec in signature.inputs.items()},
            "outputs": {key: _spec(spec) for key, spec in signature.outputs.items()},
        }
        for name, signature in callable_signatures(signatures).items()
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    """A size that is free is null, and so is a shape of free rank."""
    described: dict[str, Any] = {"dtype": spec.dtype, "shape": spec.shape}
    return described | {"optional": True} if spec.optional else described
