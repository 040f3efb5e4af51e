"""Sources that want to know when they are looked at no more."""

import pytest

from harness.repository_doubles import Bench, ScriptedSource, model


class ClosingSource(ScriptedSource):
    """Writes down when it is closed."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(*numbers)
        self.closed = 0
        self.failure: BaseException | None = None

    def close(self) -> None:
        self.closed += 1
        if self.failure is not None:
            raise self.failure


def test_a_removed_model_closes_its_source_while_a_look_hangs(bench: Bench) -> None:
    source = ClosingSource(1)
    bench.reconciler.apply([model(source)])
    bench.settle(bench.look)
    bench.reconciler.remove("m")
    assert source.closed == 0
    bench.settle(bench.look)
    assert (source.closed, source.looks) == (1, 0)
    bench.settle()
    assert source.closed == 1


def test_a_source_that_another_replaces_is_closed_and_releases_later(bench: Bench) -> None:
    before, after = ClosingSource(1), ClosingSource()
    after.offer(1, stamp="t")
    bench.serve(model(before))
    assert before.closed == 0
    bench.reconciler.put(model(after))
    bench.settle(bench.look)
    assert (before.closed, before.released) == (1, [])
    bench.poll()
    assert (before.closed, before.released, after.closed) == (1, [1], 0)
    # In place of a removed one that has not begun to leave.
    last = ClosingSource()
    last.offer(1, stamp="u")
    bench.reconciler.remove("m")
    bench.serve(model(last))
    assert (after.closed, last.closed) == (1, 0)


def test_a_source_that_comes_back_at_once_is_not_closed(bench: Bench) -> None:
    source = ClosingSource(1)
    bench.serve(model(source))
    bench.reconciler.remove("m")
    bench.serve(model(source))
    assert (source.closed, bench.served()) == (0, [1])


def test_the_end_closes_every_source(bench: Bench) -> None:
    sources = [ClosingSource(1), ScriptedSource(1), ClosingSource(1)]
    bench.serve(*(model(source, f"m{index}") for index, source in enumerate(sources)))
    bench.reconciler.remove("m0")
    bench.settle(bench.unload)
    bench.reconciler.stop(0.0)
    bench.unload.do_all()
    assert [getattr(each, "closed", 0) for each in sources] == [1, 0, 1]


@pytest.mark.parametrize("failure", [ZeroDivisionError("1/0"), SystemExit(3)])
def test_a_source_that_fails_to_close_holds_up_nothing(
    bench: Bench, failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    source = ClosingSource(1)
    source.failure = failure
    bench.serve(model(source))
    change = bench.reconciler.remove("m")
    bench.settle()
    assert change.complete and source.released == [1]
    assert f"its source failed to close: {failure!r}" in caplog.text
