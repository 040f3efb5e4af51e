import pytest

from tensorwire.errors import ModelLoadError
from tensorwire.repository.stores import setbacks
from tensorwire.repository.stores.cache import TooLargeError
from tensorwire.repository.stores.setbacks import Setbacks
from tensorwire.repository.stores.unpacking import BadArchiveError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(setbacks.time, "monotonic", lambda: now[0])
    return now


def may_try(known: Setbacks, stamp: str) -> bool:
    try:
        known.check(stamp)
    except ModelLoadError:
        return False
    return True


def test_tries_become_rarer(clock: list[float]) -> None:
    known, pauses = Setbacks(), []
    for _ in range(10):
        known.note("a", ModelLoadError("the disk is full"))
        begun = clock[0]
        while not may_try(known, "a"):
            clock[0] += 1.0
        pauses.append(clock[0] - begun)
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == 600


@pytest.mark.parametrize("kind", [BadArchiveError, TooLargeError])
def test_what_the_same_bytes_bring_again_is_not_tried_again(
    clock: list[float], kind: type[ModelLoadError]
) -> None:
    known = Setbacks()
    known.note("a", kind("no"))
    clock[0] += 1e9
    with pytest.raises(kind, match="no"):
        known.check("a")


def test_other_content_is_tried_at_once(clock: list[float]) -> None:
    known = Setbacks()
    known.note("a", BadArchiveError("no"))
    assert may_try(known, "b")
    known.forget()
    assert may_try(known, "a")
