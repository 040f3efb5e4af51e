"""What somebody who changes the models waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tensorwire.errors import TensorWireError

from .managed_model import ManagedModel, Outcome
from .model_config import UnwantedLabelError
from .moment import Moment


@dataclass(eq=False)
class Change:
    """A change under way. Made by the reconciler, which fills it; read after `wait`."""

    lasting: int | None = None
    """None: a model has failed when each version wanted of it has been tried once. Else
    only when each has failed more than so many times, and it is there as soon as one
    version is."""

    waits: bool = False
    """A lasting one waits for a model of which there is no version to load."""

    refused: TensorWireError | None = None
    """Why nothing was changed."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    """What came of each model that was added or changed, by its name."""

    labels: list[UnwantedLabelError] = field(default_factory=list)
    """Labels on versions that are not to be served."""

    looks: dict[str, int] = field(default_factory=dict)
    """The models it still waits for, with the number of the look that counts."""

    leaving: set[str] = field(default_factory=set)
    """The models it still waits for to be gone."""

    complete: bool = False
    """It came to its end; False after `wait`: the server was stopped, or time was up."""

    given_up: bool = False
    """The server was stopped before it came to its end."""

    begun: bool = False
    """The reconciler has taken it up."""

    _begun: Moment = field(default_factory=Moment)
    _ended: Moment = field(default_factory=Moment)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is done, or given up because the server stops. True: it is."""
        self._ended.wait(timeout)
        return self.complete

    def when_begun(self, action: Callable[[], None]) -> None:
        """Calls `action` once it is under way, refused or given up: now, or in the
        reconciler's thread, which it must not hold up."""
        self._begun.then(action)

    def when_ended(self, action: Callable[[], None]) -> None:
        """The same once `wait` would return."""
        self._ended.then(action)

    def begin(self) -> None:
        """What it waits for is known; it may be nothing."""
        self.begun = True
        self._begun.come()
        self._end_if_done()

    def look_at(self, model: ManagedModel) -> None:
        """Takes what has become of a model."""
        name = model.name
        if model.removed:
            if model.successor is None:
                # Somebody removed it meanwhile: nothing more will come of it.
                self.looks.pop(name, None)
        elif name in self.looks and model.is_decided(
            self.looks[name], self.lasting, waits=self.waits
        ):
            del self.looks[name]
            self.outcomes[name] = model.outcomes()
            unwanted = model.labels.unwanted.items()
            self.labels += [UnwantedLabelError(label, number, name) for label, number in unwanted]
        else:
            # It was added again before it began to leave.
            self.leaving.discard(name)
        self._end_if_done()

    def gone(self, name: str) -> None:
        """A model is gone, and its memory free."""
        self.leaving.discard(name)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.begun and not self.looks and not self.leaving:
            self.complete = True
            self._ended.come()

    def give_up(self) -> None:
        """Wakes whoever waits: the server stops."""
        self.given_up = not self.complete
        self._begun.come()
        self._ended.come()

    @property
    def failures(self) -> list[Outcome]:
        """Versions that can't be served."""
        return [each for every in self.outcomes.values() for each in every if each.error]


def describe_failures(kind: str, failures: Sequence[Outcome]) -> str:
    """In TensorFlow Serving's words; `kind`: "servable" at the start, "model" later."""
    each = "".join(
        f"{{name: {failure.model.name} version: {failure.version}}} due to error: "
        f"{failure.error}}}, "
        for failure in failures
    )
    return f"{len(failures)} {kind}(s) did not become available: {{{each}}}"
