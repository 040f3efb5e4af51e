"""What somebody who changes the models waits for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tensorwire.errors import TensorWireError

from .managed_model import ManagedModel, Outcome
from .model_config import UnwantedLabelError


@dataclass(eq=False)
class Change:
    """A change under way. Made by the reconciler, which fills it; read after `wait`."""

    lasting: int | None = None
    """None: a model has failed when each version wanted of it has been tried once. Else
    only when each has failed more than so many times, and it is there as soon as one
    version is."""

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

    begun: bool = False
    """The reconciler has taken it up."""

    _ended: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is done, or given up because the server stops. True: it is."""
        self._ended.wait(timeout)
        return self.complete

    def begin(self) -> None:
        """What it waits for is known; it may be nothing."""
        self.begun = True
        self._end_if_done()

    def look_at(self, name: str, model: ManagedModel | None) -> None:
        """Takes what has become of a model; None: it is gone."""
        if model is None or model.removed:
            # Somebody else removed it meanwhile: nothing more will come of it.
            self.looks.pop(name, None)
        if model is None:
            self.leaving.discard(name)
        elif name in self.looks and model.is_decided(self.looks[name], self.lasting):
            del self.looks[name]
            self.outcomes[name] = model.outcomes()
            unwanted = model.labels.unwanted.items()
            self.labels += [UnwantedLabelError(label, number, name) for label, number in unwanted]
        elif not model.removed:
            # It was added again before it was gone.
            self.leaving.discard(name)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.begun and not self.looks and not self.leaving:
            self.complete = True
            self._ended.set()

    def give_up(self) -> None:
        """Wakes whoever waits: the server stops."""
        self._ended.set()

    @property
    def failures(self) -> list[Outcome]:
        """Versions that can't be served."""
        return [each for every in self.outcomes.values() for each in every if each.error]
