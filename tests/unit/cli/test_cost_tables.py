import io

from rich.console import Console

from tensorwire.cli.cost_tables import costs_as_json, print_costs
from tensorwire.cost import SignatureCost, costs_by_signature

MEASURED = (
    "serving_default",
    None,
    None,
    128,
    [(1, 20e-6, 90e-6, False), (2, 25e-6, 80e-6, False), (4, 100e-6, 50e-6, True)],
    (180, 512, 4),
)
LOOPING = ("loop", None, None, 4, [(1, None, 1.5e-3, True)], (0, 1, 1))
COUNTING = ("count", "it counts", "a run of it changes it", 0, [], None)
UNTOUCHED = ("later", None, None, 0, [], None)


def shown(*costs: tuple, terminal: bool = False) -> str:
    file = io.StringIO()
    out = Console(
        file=file, width=120, force_terminal=terminal, highlight=False, color_system=None
    )
    print_costs(out, costs_by_signature(costs))
    return file.getvalue()


def test_a_row_for_each_size() -> None:
    text = shown(MEASURED)
    assert (
        "inline up to 180 rows, batches of up to 512 rows, in TensorFlow's threads from 4 rows "
        "on; measured with 128 bytes a row"
    ) in text
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert rows == [
        ["1", "20.0", "90.0", "caller", "50,000"],
        ["2", "25.0", "80.0", "caller", "80,000"],
        ["4", "100.0", "50.0", "pool", "80,000"],
    ]


def test_a_chart_on_a_terminal_only() -> None:
    bar = "\u2588"
    assert bar not in shown(MEASURED)
    lines = [line for line in shown(MEASURED, terminal=True).splitlines() if bar in line]
    assert len(lines) == 3
    lengths = [line.count(bar) for line in lines]
    assert lengths[0] < lengths[1] == lengths[2]


def test_what_never_runs_in_the_caller_and_what_was_not_measured() -> None:
    text = shown(LOOPING, COUNTING, UNTOUCHED)
    assert "never inline, no batches, in TensorFlow's threads;" in text
    assert ["1", "-", "1,500.0", "pool", "667"] in [line.split() for line in text.splitlines()]
    assert "not measured: a run of it changes it" in text
    assert "runs alone: it counts" in text
    assert "later" not in text


def test_json_names() -> None:
    described = costs_as_json(costs_by_signature([MEASURED, COUNTING]))
    assert described["count"] == {
        "alone": "it counts",
        "unmeasured": "a run of it changes it",
        "row_bytes": 0,
        "points": [],
        "decision": None,
    }
    assert described["serving_default"]["points"][2] == {
        "rows": 4,
        "caller_us": 100.0,
        "pool_us": 50.0,
        "mode": "pool",
        "rows_per_second": 80000.0,
    }
    decision = {"inline_rows": 180, "batch_rows": 512, "pool_rows": 4}
    assert described["serving_default"]["decision"] == decision


def test_decisions_in_words() -> None:
    def words(inline: int, batch: int, pool: int | None) -> str:
        cost = SignatureCost.from_tuple(("s", None, None, 4, [], (inline, batch, pool)))
        return str(cost.decision)

    assert words(1, 1, None) == "inline up to 1 row, no batches, in the calling thread"
    assert words(0, 8, 1) == "never inline, batches of up to 8 rows, in TensorFlow's threads"
