"""`tensorwire warmup`: a model's own recorded requests, which it runs before it is served."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tensorwire import tensors
from tensorwire._core import Request
from tensorwire.config import Batching, load_config
from tensorwire.config.recorded import WARMUP_FILE
from tensorwire.errors import ConfigError, ModelLoadError, TensorFlowMissingError
from tensorwire.messages import new_message
from tensorwire.model import Model, load_newest, open_engine
from tensorwire.recorded.logs import LOG, Recorded, read_files, write_whole
from tensorwire.repository.local_source import list_versions
from tensorwire.repository.policy import Latest

from .bench_call import Inputs, request_arrays
from .bench_plan import number_list
from .choice import callable_signature, input_option, scale_option, signature_option, wanted_inputs
from .images import Scale
from .options import HELP_SETTINGS, debug_option
from .tables import console, empty_table
from .wanted import describe_shape

MAX_RECORDS = 1000
"""TensorFlow Serving takes no more."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _files(_context: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> Any:
    """Each text is a file's name, or a pattern: a shell's would be several arguments."""
    found: list[Path] = []
    for text in texts:
        names = [text] if Path(text).exists() else sorted(glob.glob(text))  # noqa: PTH207
        files = [Path(name) for name in names if Path(name).is_file()]
        if not files:
            raise click.BadParameter(f"there is no file {text!r}")
        found += files
    return tuple(found)


@click.group(context_settings=HELP_SETTINGS, short_help="Make a model's warm-up requests.")
def warmup() -> None:
    """Requests that a model runs when it is loaded, before it is served, so that the first
    real ones are not slow: the file assets.extra/tf_serving_warmup_requests in the folder of
    a version, as TensorFlow Serving reads it."""


@dataclass(frozen=True)
class _Choice:
    """Which records are made."""

    given: tuple[str, ...]
    signature: str
    scale: Scale
    rows: tuple[int, ...]
    logs: tuple[Path, ...]
    count: int | None
    distinct: bool
    only: str | None


@warmup.command(context_settings=HELP_SETTINGS)
@click.argument("model", required=False, type=click.Path(exists=True, path_type=Path))
@input_option(
    "An input, as tensorwire predict takes it; those that are not given are made of random "
    "numbers, or some text, as the model's signature says."
)
@signature_option
@scale_option
@click.option(
    "--batch",
    "rows",
    callback=number_list(int, 1, 1_000_000),
    metavar="ROWS,...",
    help="A record of each of these numbers of rows, such as 1,8,32.",
)
@click.option(
    "--from-log",
    "logs",
    multiple=True,
    callback=_files,
    metavar="FILE",
    help="Take recorded requests instead: a request log of tensorwire serve, or a pattern such "
    "as 'logs/m-*.tfrecord', in quotes, for several; may be given several times.",
)
@click.option(
    "--count",
    type=click.IntRange(1, MAX_RECORDS),
    metavar="N",
    help=f"The first N of the log's requests; there may be {MAX_RECORDS} in all.",
)
@click.option("--distinct", is_flag=True, help="Of equal requests in the log only one.")
@click.option("--only", metavar="NAME", help="Only the log's requests of this model.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"Where to write them. Default: {WARMUP_FILE} of the model's newest version.",
)
@click.option("--append", is_flag=True, help="Keep the records that the file has.")
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Load the model and run the records, before the file is put in place.",
)
@debug_option
def record(
    model: Path | None,
    output: Path | None,
    append: bool,
    replace: bool,
    check: bool,
    **choice: Any,
) -> None:
    """Make the warm-up requests of the MODEL at a path: of given or made-up inputs, or of
    what a server was asked.

    \b
    tensorwire warmup record ./my_model --input image=@digit.npy --batch 1,32
    tensorwire warmup record ./my_model --from-log 'logs/m-*.tfrecord' --count 100 --distinct

    Needs TensorFlow, but for --from-log with --no-check: pip install 'tensorwire[server]'
    """
    chosen = _Choice(**choice)
    if append and replace:
        raise click.UsageError("--append and --replace are two ways with a file: give one of them")
    target = _target(model, output)
    kept: list[Any] = []
    if target.exists():
        if append:
            kept = [each.log for each in read_files([target])]
        elif not replace:
            raise click.UsageError(
                f"{target} is there: --append adds to it, --replace writes over it"
            )
    logs = [*kept, *_logs(model, chosen)]
    if len(logs) > MAX_RECORDS:
        raise click.UsageError(
            f"these are {len(logs)} records, more than the {MAX_RECORDS} that a model is warmed "
            "up with: choose with --count or --distinct"
        )
    if model is not None and check:
        # Not beside the file to be: a server that serves this version would take what is
        # there meanwhile for a change, and load it again.
        with tempfile.TemporaryDirectory(prefix="tensorwire-") as folder:
            records = Path(folder) / "records"
            write_whole(records, logs)
            _check(model, records)
    write_whole(target, logs)
    checked = "" if model is not None and check else ", not checked"
    click.echo(f"{_counted(len(logs))} in {target}{checked}")


def _target(model: Path | None, output: Path | None) -> Path:
    if output is not None:
        return output
    if model is None:
        raise click.UsageError("say which MODEL the records are for, or with -o where they go")
    (newest,) = Latest().wanted(list_versions(model))
    if newest.needs_export:
        raise click.UsageError(f"{model} is a Keras file, which has no place for them: give -o")
    return Path(newest.location) / WARMUP_FILE


def _logs(model: Path | None, choice: _Choice) -> list[Any]:
    if choice.logs:
        if choice.given or choice.rows:
            raise click.UsageError("--from-log takes the inputs from the log: give no others")
        return _from_log(choice)
    if model is None:
        raise click.UsageError("say which MODEL the records are for, or --from-log")
    if choice.count is not None or choice.distinct or choice.only is not None:
        raise click.UsageError("--count, --distinct and --only go with --from-log")
    return _from_inputs(model, choice)


def _from_log(choice: _Choice) -> list[Any]:
    found: list[Any] = []
    seen: set[bytes] = set()
    for recorded in read_files(choice.logs):
        if recorded.method is None or choice.only not in (None, recorded.model):
            continue
        log = _request_alone(recorded)
        key = log.SerializeToString(deterministic=True)
        if choice.distinct and key in seen:
            continue
        seen.add(key)
        found.append(log)
        if len(found) == choice.count or len(found) > MAX_RECORDS:
            break
    if not found:
        raise ConfigError("the log has no such request")
    if len(found) > MAX_RECORDS:
        raise click.UsageError(
            f"the log has more than the {MAX_RECORDS} requests that a model is warmed up with: "
            "choose with --count or --distinct"
        )
    return found


def _request_alone(recorded: Recorded) -> Any:
    log = new_message(LOG)
    getattr(log, recorded.kind or "").request.CopyFrom(recorded.request)
    return log


def _from_inputs(path: Path, choice: _Choice) -> list[Any]:
    with Model(path) as model:
        name = model.metadata.name
        signature = callable_signature(model.signatures, choice.signature, name)
    wanted = wanted_inputs(signature)
    logs = []
    rows: Sequence[int | None] = choice.rows or (None,)
    for each in rows:
        arrays = request_arrays(Inputs(choice.given, choice.scale, each), signature, wanted)
        encoded = [tensors.encode(alias, array, None) for alias, array in arrays.items()]
        request = Request.predict(name, None, None, choice.signature, encoded, [])
        log = new_message(LOG)
        log.predict_log.request.ParseFromString(request.message)
        logs.append(log)
    return logs


def _check(path: Path, records: Path) -> None:
    """Raises ModelLoadError if one of them fails."""
    config = load_config({"measure_budget": 0}).engine
    try:
        engine = open_engine(config)
    except TensorFlowMissingError as error:
        raise TensorFlowMissingError(
            f"{error}; or leave the records unchecked with --no-check"
        ) from None
    settings = {"enabled": True, "iterations": 1, "failing": "refuse", "file": str(records)}
    try:
        load_newest(engine, path, config.version_options(Batching.off(), settings))
    except ModelLoadError as error:
        # The file has no name yet.
        reason = str(error).replace(f" of {records}", "")
        raise ModelLoadError(f"nothing was written: {reason}") from None


@warmup.command("show", context_settings=HELP_SETTINGS)
@click.argument("file", type=_FILE)
@debug_option
def show(file: Path) -> None:
    """Show what is in a FILE of recorded requests: a warm-up file, or a request log."""
    table = empty_table("record", "method", "model", "signature", "inputs")
    count = 0
    for number, recorded in enumerate(read_files([file])):
        count += 1
        if number < MAX_RECORDS:
            table.add_row(str(number), *_described(recorded))
    console().print(table)
    more = f"; the first {MAX_RECORDS:,} are shown" if count > MAX_RECORDS else ""
    click.echo(f"{_counted(count)}{more}")


def _counted(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _described(recorded: Recorded) -> Iterable[str]:
    if recorded.method is None:
        return recorded.kind or "nothing", "", "", ""
    request = recorded.request
    if recorded.method == "MultiInference":
        names = [task.model_spec.signature_name or "serving_default" for task in request.tasks]
        return recorded.method, recorded.model, ", ".join(names), _examples(request.input)
    signature = request.model_spec.signature_name or "serving_default"
    shown = _inputs(request) if recorded.method == "Predict" else _examples(request.input)
    return recorded.method, recorded.model, signature, shown


def _inputs(request: Any) -> str:
    names = new_message("tensorflow.TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type
    described = []
    for alias in sorted(request.inputs):
        tensor = request.inputs[alias]
        number = names.values_by_number.get(tensor.dtype)
        dtype = number.name.removeprefix("DT_").lower() if number else str(tensor.dtype)
        shape = describe_shape(tuple(dim.size for dim in tensor.tensor_shape.dim))
        described.append(f"{alias} {dtype} {shape}")
    return ", ".join(described) or "none"


def _examples(given: Any) -> str:
    kind = given.WhichOneof("kind")
    count = len(getattr(given, kind).examples) if kind else 0
    return f"{count} example{'' if count == 1 else 's'}"
