"""The peers' run as text: a section of RESULTS.md between its own markers."""

import statistics
from pathlib import Path

import chart
from markdown import spread, table
from peers.results import OURS, Entry, Results
from report import BUSY

BEGIN = "<!-- written by `make bench-peers`: begin -->"
END = "<!-- written by `make bench-peers`: end -->"
CHART = "peers.svg"


def render(results: Results) -> str:
    """Markdown, without the markers."""
    facts = "\n".join(f"- {name}: {value}" for name, value in results.provenance.items())
    parts = [
        "## Peers",
        _how(results),
        f"![requests/s of each server, on a logarithmic scale]({CHART})",
        _table(results),
        _waited(results),
        _targets(results),
        _failures(results),
        "### How each peer is set up",
        *(_setup(entry) for entry in results.entries.values() if entry.choices),
        "### The peers' run",
        facts,
        "### The peers' commands",
        _commands(results),
    ]
    return "\n\n".join(filter(None, parts))


def write(text: str, file: Path) -> None:
    """Puts the text between the file's markers, or at its end where it has none; what is
    around them stays."""
    before = file.read_text() if file.exists() else "# Results\n"
    after = ""
    if BEGIN in before:
        before, _, rest = before.partition(BEGIN)
        after = rest.partition(END)[2].strip()
    after = f"\n{after}\n" if after else ""
    file.write_text(f"{before.rstrip()}\n\n{BEGIN}\n\n{text}\n\n{END}\n{after}")


def draw(results: Results) -> str:
    """Requests/s of every server that was measured, the most first, as an SVG."""
    bars = []
    for key, entry in results.measured().items():
        rates = _rates(entry)
        middle = statistics.median(rates)
        name = entry.title.replace("`", "").partition(": grpcio")[0]
        bars.append(chart.Bar(name, middle, min(rates), max(rates), key == OURS))
    bars.sort(key=lambda bar: -bar.value)
    return chart.draw("Requests/s on one core: a small network, one row a request", bars)


def _how(results: Results) -> str:
    plan = results.plan
    return (
        "The same SavedModel, a 32-64-64-1 network, with one row a request; every server with "
        f"all its processes on one core, the load on the other. Rounds: {plan.rounds}, of "
        f"{plan.load_seconds:g} s for each, in turn, and whose turn it is not is stopped. gRPC: "
        "4 connections of 32 streams; HTTP/1.1: 128 connections of one request. CPU is that of "
        'all processes of a server. "Alone" is one request at a time, and has what a server '
        "waits for a batch to fill. Every reply was counted and its size checked, its value "
        "before and after each round. Ratios are taken within each round; then their median."
    )


def _table(results: Results) -> str:
    rows = []
    for key, entry in results.entries.items():
        name = entry.title
        if entry.versions:
            name += f" ({next(iter(entry.versions.values()))})"
        if key not in results.measured():
            rows.append([name, "could not be measured", *["-"] * 4])
            continue
        alone = entry.median(lambda one: one.latency_median_micros)
        slowest = entry.median(lambda one: one.latency_p99_micros)
        ratio = results.ratio(key)
        rows.append(
            [
                name,
                spread(_rates(entry)),
                f"{entry.median(lambda one: one.cpu_micros):,.1f}",
                f"{entry.median(lambda one: one.busy):.0%}",
                "-" if ratio is None or key == OURS else f"{ratio:.3g}",
                f"{alone:,.0f} / {slowest:,.0f}",
            ]
        )
    header = [
        "server",
        "requests/s, median [min .. max]",
        "CPU µs/request",
        "its core busy",
        "tensorwire is faster by",
        "alone: median / p99 µs",
    ]
    return table(header, rows)


def _waited(results: Results) -> str:
    """Says where a server left its core idle: it waits, or the load was the limit."""
    waited = [
        entry.title
        for entry in results.measured().values()
        if entry.median(lambda one: one.busy) < BUSY
    ]
    if not waited:
        return ""
    return (
        f"Less than {BUSY:.0%} of the core was used by: {'; '.join(waited)}. There the server "
        "waited, or the load or other programs were the limit."
    )


def _targets(results: Results) -> str:
    rows = []
    for target in results.targets():
        value = "-" if target.value is None else f"{target.value:.2f}"
        rows.append([target.text, f">= {target.limit:g}", value, target.verdict()])
    return table(["what", "target", "measured", ""], rows)


def _failures(results: Results) -> str:
    return "\n".join(
        f"- {entry.title} could not be measured: {entry.failed}"
        for entry in results.entries.values()
        if entry.failed
    )


def _setup(entry: Entry) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    lines = [f"- {choice}" for choice in entry.choices]
    return "\n".join([f"{entry.title}: {versions or 'not installed'}", "", *lines])


def _commands(results: Results) -> str:
    lines = [f"# {name}\n{command}" for name, command in results.commands.items()]
    return "```sh\n" + "\n".join(lines) + "\n```"


def _rates(entry: Entry) -> list[float]:
    return [sample.requests_per_second for sample in entry.samples]
