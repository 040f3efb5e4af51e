"""Where a model's labels point."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

NOWHERE = -1
"""No version has this number."""


@dataclass
class LabelMoves:
    """Where labels point now, and what follows from it."""

    labels: dict[str, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    """Versions that a label leaves as soon as it can: they stay until then."""

    unwanted: dict[str, int] = field(default_factory=dict)
    """Labels that are to point at a version which is not to be served, and so don't."""


def move_labels(
    targets: Mapping[str, int],
    current: Mapping[str, int],
    served: Collection[int],
    wanted: Collection[int],
) -> LabelMoves:
    """Where labels point, from where they are to point (`targets`) and where they do now.

    A label moves when the version that it is to point at answers, so no request by label
    fails while it loads. One that pointed nowhere waits at its version."""
    moves = LabelMoves()
    for label, target in targets.items():
        before = current.get(label, NOWHERE)
        answers = before in served
        if target not in wanted:
            moves.unwanted[label] = target
        elif target in served or not answers:
            moves.labels[label] = target
            continue
        else:
            moves.held.add(before)
        # At a version that went away it stays: requests are told that the version is not
        # there, and not that there is no such label.
        if answers or before == target:
            moves.labels[label] = before
    return moves
