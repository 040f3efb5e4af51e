"""The run as text: RESULTS.md's generated part, also printed."""

import statistics
from pathlib import Path

import chart
from markdown import spread, table
from parts import PARTS
from results import Results, targets

BEGIN = "<!-- written by `make bench`: begin -->"
END = "<!-- written by `make bench`: end -->"
CHART = "chart.svg"
# Below this part of its core a server was waiting for something.
BUSY = 0.9
# What a new RESULTS.md starts with; what people write around the markers later is kept.
HEADING = """\
# Results

What `make bench` measured; README.md beside this file says how, results.json has every
round.
"""


def render(results: Results) -> str:
    """Markdown, without the markers."""
    parts = [_provenance(results), _targets(results)]
    if results.samples:
        parts.append(_load(results))
    if results.starts:
        parts.append(_starts(results))
    for name, samples in results.parts.items():
        parts.append(f"## {PARTS[name].TITLE}\n\n{PARTS[name].describe(samples)}")
    parts.append(_commands(results))
    return "\n\n".join(parts)


def write(text: str, file: Path) -> None:
    """Puts the text between the file's markers; makes the file if there is none."""
    before, after = HEADING, ""
    if file.exists():
        before, begin, rest = file.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            before, after = before.rstrip() + "\n", ""
    after = f"\n{after.strip()}\n" if after.strip() else ""
    file.write_text(f"{before.rstrip()}\n\n{BEGIN}\n\n{text}\n\n{END}\n{after}")


def _provenance(results: Results) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in results.provenance.items())


def _targets(results: Results) -> str:
    rows = []
    for target in targets(results):
        value = "-" if target.value is None else f"{target.value:.2f}"
        limit = f"{'>=' if target.at_least else '<='} {target.limit:.3g}"
        rows.append([target.text, limit, value, target.verdict()])
    return "## Targets\n\n" + table(["what", "target", "measured", ""], rows)


def _load(results: Results) -> str:
    rows = []
    for key, samples in results.samples.items():
        rates = [sample.requests_per_second for sample in samples]
        alone = results.median(key, lambda sample: sample.latency_median_micros)
        slowest = results.median(key, lambda sample: sample.latency_p99_micros)
        rows.append(
            [
                results.titles[key],
                spread(rates),
                f"{results.median(key, lambda sample: sample.cpu_micros):,.1f}",
                f"{results.median(key, lambda sample: sample.busy):.0%}",
                _times(results.ratio(key, "floor")),
                _times(results.ratio(key, "seed")),
                f"{alone:,.0f} / {slowest:,.0f}",
            ]
        )
    header = [
        "server",
        "requests/s, median [min .. max]",
        "server CPU µs/request",
        "its core busy",
        "of the floor",
        "times the seed's",
        "alone: median / p99 µs",
    ]
    plan = results.plan
    text = (
        f"A 32-64-64-1 network at batch 1; rounds: {plan.rounds}, of {plan.load_seconds:g} s for "
        "each, in turn, over 4 connections of 32 streams; ratios within each round, then their "
        'median. "Alone" is one connection with one request at a time. Every reply was counted '
        "and its size checked, its value before and after each round."
    )
    picture = f"![requests/s of each server, on a logarithmic scale]({CHART})"
    return f"## Requests\n\n{text}\n\n{picture}\n\n{table(header, rows)}{_waited(results)}"


def draw(results: Results) -> str | None:
    """Requests/s of every exchange as an SVG, for `CHART` beside RESULTS.md; `None`:
    there are none."""
    if not results.samples:
        return None
    bars = []
    for key, samples in results.samples.items():
        rates = [sample.requests_per_second for sample in samples]
        name = results.titles[key].replace("`", "")
        ours = key.startswith("tensorwire")
        bars.append(chart.Bar(name, statistics.median(rates), min(rates), max(rates), ours))
    return chart.draw("Requests/s on one core: a small network at batch 1", bars)


def _waited(results: Results) -> str:
    """Says where a server was not the limit; its requests/s are then too low."""
    waited = [
        results.titles[key]
        for key in results.samples
        if results.median(key, lambda sample: sample.busy) < BUSY
    ]
    if not waited:
        return ""
    return (
        f"\n\nLess than {BUSY:.0%} of the core was used by: {'; '.join(waited)}. There the load "
        "or other programs were the limit, and requests/s and its ratios are too low."
    )


def _starts(results: Results) -> str:
    rows = [
        _start_row(
            "`tensorwire serve` to the first reply", [one.tensorwire for one in results.starts]
        ),
        _start_row(
            "`import tensorflow`, load, predict, print", [one.tensorflow for one in results.starts]
        ),
    ]
    text = (
        "From the start of the process to its first right prediction, on all cores, in turn: "
        f"{results.start_ratio() or 0:.2f} of what TensorFlow in Python takes (median of the "
        "rounds' ratios)."
    )
    return f"## Start\n\n{text}\n\n{table(['what', 'seconds, median [min .. max]'], rows)}"


def _start_row(title: str, seconds: list[float]) -> list[str]:
    return [title, spread(seconds, 2)]


def _commands(results: Results) -> str:
    lines = [f"# {name}\n{command}" for name, command in results.commands.items()]
    return "## Commands\n\n```sh\n" + "\n".join(lines) + "\n```"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3g}"
