"""Builds the SavedModels that tests and benchmarks serve, into `built/NAME/VERSION`.

`python tests/models/make_models.py [--out DIR]` needs TensorFlow and takes under a
minute; it does nothing where the same sources and TensorFlow have built before.
Every model is made from fixed numbers, so two builds compute the same values.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE / "built"
STAMP = "STAMP"
# Sources of models that only the benchmarks need, and build themselves.
APART = ("large.py",)

# Models that load and answer: what one server can serve side by side.
HEALTHY = (
    "add",
    "broken_signature",
    "complex",
    "conv",
    "counter",
    "defaults",
    "dynamic",
    "examples",
    "fill",
    "half_plus_two",
    "mlp",
    "multi",
    "no_inputs",
    "ragged_inner",
    "scalar",
    "shout",
    "sleep",
    "strings",
    "table",
    "utf16",
    "work",
)

# TensorFlow's name of each element type that a request can carry.
IDENTITY_DTYPES = (
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "double",
    "float",
    "half",
    "int16",
    "int32",
    "int64",
    "int8",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
)


def fingerprint(sources: Iterable[Path]) -> str:
    """What built models depend on: their sources and TensorFlow's version."""
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    for package in ("tensorflow", "tensorflow-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{digest.hexdigest()} tensorflow {importlib.metadata.version(package)}"
    raise SystemExit("TensorFlow is not installed: pip install 'tensorwire[server]'")


def build(out: Path = BUILT) -> Path:
    """Builds all models into `out` unless they are there; answers `out`."""
    sources = [source for source in HERE.glob("*.py") if source.name not in APART]
    return build_once(out, _build_all, sources)


def build_once(out: Path, make: Callable[[Path], None], sources: Iterable[Path]) -> Path:
    """Has `make` fill `out` unless it did so before with the same sources.

    Processes that call this at the same time wait for the first one.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked(out.with_name(f".{out.name}.lock")):
        stamp = out / STAMP
        wanted = fingerprint(sources)
        if stamp.is_file() and stamp.read_text() == wanted:
            return out
        scratch = out.with_name(f".{out.name}.{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            make(scratch)
            (scratch / STAMP).write_text(wanted)
            shutil.rmtree(out, ignore_errors=True)
            scratch.rename(out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return out


def _build_all(out: Path) -> None:
    # TensorFlow logs at import, to a terminal that waits for one line.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    sys.path.insert(0, str(HERE))
    import arithmetic
    import examples
    import faulty
    import identity
    import keras_files
    import networks
    import stateful
    import text

    started = time.monotonic()
    out.mkdir(parents=True)
    for family in (
        arithmetic,
        networks,
        text,
        examples,
        stateful,
        identity,
        keras_files,
        faulty,
    ):
        family.make(out)
        print(f"{time.monotonic() - started:5.1f} s  {family.__name__}", flush=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILT, help="folder to build into")
    print(build(parser.parse_args().out.resolve()))


if __name__ == "__main__":
    main()
