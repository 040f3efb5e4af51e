"""How requests become batches, in TensorFlow Serving's words: `Batching`."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from .values import MAX_COUNT, MAX_THREADS

_LEAST = {
    "max_batch_size": 1,
    "batch_timeout_micros": 0,
    "max_enqueued_batches": 0,
    "num_batch_threads": 1,
    "max_execution_batch_size": 1,
}
_SWITCHES = ("pad_variable_length_inputs", "enable_large_batch_splitting", "enabled")


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How a model's requests become batches: TensorFlow Serving's `BatchingParameters`,
    with its names and meanings. What is None is chosen from the model's measured cost,
    which is right for most models.

        tensorwire.serve("./model", batching=Batching(max_batch_size=32))

    Raises ConfigError for values that can't be used, or not together.
    """

    max_batch_size: int | None = None
    """Most rows (not requests) of a batch, and of a request unless large ones are split."""

    batch_timeout_micros: int | None = None
    """Microseconds that a batch which is not full waits for more while a thread is free;
    None and 0: not at all."""

    max_enqueued_batches: int | None = None
    """Most full batches that may wait for each signature; over it requests are refused.
    None: as many as the server's limits let in."""

    num_batch_threads: int | None = None
    """Most batches that run at once; None: one a runner thread."""

    allowed_batch_sizes: tuple[int, ...] = ()
    """Rows that a batch is padded up to, ascending, the last `max_batch_size`; empty: any
    number."""

    pad_variable_length_inputs: bool = False
    """Whether requests of different inner sizes share a batch: each is padded to the
    largest with the first element of its tensor."""

    enable_large_batch_splitting: bool = False
    """Whether a request larger than `max_execution_batch_size` is split over batches."""

    max_execution_batch_size: int | None = None
    """Most rows of a batch that is run, where large requests are split; None:
    `max_batch_size`."""

    enabled: bool = True
    """False: every request runs alone."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _number(name, value, least))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is neither True nor False: {getattr(self, name)!r}")
        if self.max_enqueued_batches == 0:
            # TensorFlow Serving takes 0 for 1, but not where large requests are split.
            if self.enable_large_batch_splitting:
                raise ConfigError("max_enqueued_batches must be positive; was 0")
            object.__setattr__(self, "max_enqueued_batches", 1)
        sizes = tuple(_number("allowed_batch_sizes", each, 1) for each in self._sizes())
        object.__setattr__(self, "allowed_batch_sizes", sizes)
        self._check_together()

    @classmethod
    def off(cls) -> Batching:
        """No batching: every request runs alone."""
        return cls(enabled=False)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Batching:
        """What a text-format `BatchingParameters` file says, as TensorFlow Serving's
        `--batching_parameters_file` takes it.

        Raises ConfigError with the file and the line if it can't be read. Needs
        protobuf, which comes with `tensorwire[server]`.
        """
        from .batching_file import read_batching

        values = read_batching(Path(path))
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{os.fspath(path)}: {error}") from None

    def with_values(self, **values: Any) -> Batching:
        """The same with these values, switched on."""
        return dataclasses.replace(self, **{"enabled": True, **values})

    def to_native(self) -> dict[str, Any]:
        """As `_core.Engine.load` takes it."""
        return dict(vars(self))

    def _sizes(self) -> list[Any]:
        try:
            return list(self.allowed_batch_sizes)
        except TypeError:
            given = self.allowed_batch_sizes
            raise ConfigError(f"allowed_batch_sizes is not a list of sizes: {given!r}") from None

    def _check_together(self) -> None:
        sizes = self.allowed_batch_sizes
        if any(later <= earlier for earlier, later in itertools.pairwise(sizes)):
            raise ConfigError(
                "allowed_batch_sizes entries must be monotonically increasing; they are "
                + ", ".join(map(str, sizes))
            )
        if sizes and self.max_batch_size is None:
            object.__setattr__(self, "max_batch_size", sizes[-1])
        if sizes and sizes[-1] != self.max_batch_size:
            raise ConfigError(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )
        largest, run = self.max_batch_size, self.max_execution_batch_size
        if largest is not None and run is not None and run > largest:
            raise ConfigError(
                f"max_execution_batch_size must be at most max_batch_size, {largest}; was {run}"
            )


def _number(name: str, value: Any, least: int) -> int:
    # numpy's integers are whole numbers as well; a truth value is none.
    try:
        number = operator.index(value)
    except TypeError:
        raise ConfigError(f"{name} is not a whole number: {value!r}") from None
    if isinstance(value, bool):
        raise ConfigError(f"{name} is not a whole number: {value!r}")
    if number < least:
        wanted = "positive" if least else "non-negative"
        raise ConfigError(f"{name} must be {wanted}; was {number}")
    most = MAX_THREADS if name == "num_batch_threads" else MAX_COUNT
    if number > most:
        raise ConfigError(f"{name} must be at most {most}; was {number}")
    return number
