"""Runs the benchmarks: `python benchmarks/run.py [--quick] [--only NAME]`; see README.md."""

import argparse
import contextlib
import json
import shlex
import shutil
import signal
import sys

import contract
import model
import provenance
import report
from contestants import floor, seed, tensorwire
from contestants.contestant import Contestant
from contestants.running import Running
from measure import cores, h2load, rounds, startup
from part import Bench
from parts import PARTS
from paths import BENCHMARKS, REPOSITORY, WORK
from results import Results
from trouble import BenchmarkError

STARTUP = "startup"
CONTESTANTS = {"floor": floor, "tensorwire": tensorwire, "seed": seed}
FULL = rounds.Plan(rounds=5, warm_up_seconds=2.0, load_seconds=3.0, latency_seconds=1.0)
QUICK = rounds.Plan(rounds=1, warm_up_seconds=0.4, load_seconds=0.5, latency_seconds=0.2)


def main() -> int:
    """Exit code 0, or 1 with one sentence where something could not be measured.

    A missed target is a result, not a failure.
    """
    wanted = _arguments()
    # As an exception, so that the servers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    only = wanted.only or [*CONTESTANTS, STARTUP, *PARTS]
    try:
        results = _run(only, QUICK if wanted.quick else FULL)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    text = report.render(results)
    print(f"\n{text}\n")
    # Part of a run must not take the place of a whole one.
    folder = WORK if wanted.quick or wanted.only else BENCHMARKS
    report.write(text, folder / "RESULTS.md")
    picture = report.draw(results)
    if picture is not None:
        (folder / report.CHART).write_text(picture)
    as_json = json.dumps(results.as_json(), indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(as_json + "\n")
    print(f"Written to {(folder / 'RESULTS.md').relative_to(REPOSITORY)} and results.json.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures tensorwire against its floor and peers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a short run that shows that all works"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*CONTESTANTS, STARTUP, *PARTS],
        metavar="NAME",
        help="measure this alone; may be given more than once. NAME is one of "
        f"{', '.join([*CONTESTANTS, STARTUP, *PARTS])}",
    )
    return parser.parse_args()


def _run(only: list[str], plan: rounds.Plan) -> Results:
    if not sys.platform.startswith("linux") or shutil.which("taskset") is None:
        raise BenchmarkError("The benchmarks need Linux, its /proc, and taskset of util-linux.")
    h2load.require()
    pinned = cores.choose()
    WORK.mkdir(exist_ok=True)
    print("preparing the model, the requests and the servers", flush=True)
    served = model.prepare()
    wire = contract.Contract()
    loaded = [CONTESTANTS[name].contestant(served, wire) for name in CONTESTANTS if name in only]
    samples, commands = _load(loaded, pinned, plan)
    starts = []
    if STARTUP in only:
        contestant = tensorwire.contestant(served, wire)
        starts = startup.run(served, contestant, plan.rounds)
        python = model.predict_command(served.folder, served.row)
        commands["TensorFlow in Python, for the start"] = shlex.join(python)
    found = {}
    bench = Bench(served, wire, pinned, plan)
    for name, part in PARTS.items():
        if name in only:
            print(f"part: {part.TITLE}", flush=True)
            found[name] = part.measure(bench)
            commands.update(found[name].commands)
    titles = {one.key: one.title for contestant in loaded for one in contestant.exchanges}
    facts = provenance.collect(pinned)
    parts = {name: one.samples for name, one in found.items()}
    return Results(facts, _readable(commands), plan, titles, samples, starts, parts)


def _load(
    contestants: list[Contestant], pinned: cores.Cores, plan: rounds.Plan
) -> tuple[dict[str, list[rounds.Sample]], dict[str, str]]:
    """The samples by exchange, and the commands that made them. All servers are up all
    the time; those whose turn it is not are idle."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(Running(contestant, pinned.server)) for contestant in contestants
        ]
        samples = rounds.run(servers, pinned, plan)
    commands = {f"start {one.contestant.key}": shlex.join(one.command) for one in servers}
    for server in servers:
        for exchange in server.contestant.exchanges:
            url = f"http://127.0.0.1:PORT{exchange.method}"
            target = h2load.Target(url, exchange.frame_file, 0, pinned.load)
            line = h2load.command(target, rounds.LOAD, ["-n", "REQUESTS"])
            commands[f"load {exchange.key}"] = shlex.join(line)
    return samples, commands


def _readable(commands: dict[str, str]) -> dict[str, str]:
    """Paths as seen from the repository, so that the commands can be read and repeated."""
    return {
        name: command.replace(sys.executable, "python").replace(f"{REPOSITORY}/", "")
        for name, command in commands.items()
    }


if __name__ == "__main__":
    sys.exit(main())
