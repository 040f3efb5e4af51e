"""Runs the peers: `python benchmarks/run_peers.py [--quick] [--only NAME]`; see README.md."""

import argparse
import contextlib
import json
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence

import contract
import model
import provenance
from contestants import floor, seed, tensorwire
from contestants.running import Running
from measure import cores, h2load
from measure.rounds import Plan
from paths import BENCHMARKS, REPOSITORY, WORK
from peers import environments, report, rounds
from peers.catalog import PEERS
from peers.peer import Peer
from peers.results import Entry, Results
from peers.running import RunningPeer
from trouble import BenchmarkError

OURS = {"floor": floor, "tensorwire": tensorwire, "seed": seed}
FULL = Plan(rounds=5, warm_up_seconds=2.0, load_seconds=3.0, latency_seconds=1.0)
QUICK = Plan(rounds=1, warm_up_seconds=0.4, load_seconds=0.5, latency_seconds=0.2)


def main() -> int:
    """Exit code 0, or 1 with one sentence where this server, the floor or the seed's
    could not be measured. A peer that fails is a line in the table."""
    wanted = _arguments()
    # As an exception, so that the servers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    plan = QUICK if wanted.quick else FULL
    try:
        results = _run(wanted.only or list(PEERS), plan)
    except BenchmarkError as error:
        print(f"bench-peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    # Part of a run must not take the place of a whole one.
    folder = WORK if wanted.quick or wanted.only else BENCHMARKS
    text = report.render(results)
    print(f"\n{text}\n")
    report.write(text, folder / "RESULTS.md")
    (folder / report.CHART).write_text(report.draw(results))
    as_json = json.dumps(results.as_json(), indent=1, ensure_ascii=False)
    (folder / "peers.json").write_text(as_json + "\n")
    print(f"Written to {(folder / 'RESULTS.md').relative_to(REPOSITORY)}, chart and peers.json.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures tensorwire against what people serve models with today."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a short run that shows that all works"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(PEERS),
        metavar="NAME",
        help="this peer alone, beside the floor, tensorwire and the seed's server; may be "
        f"given more than once. NAME is one of {', '.join(PEERS)}",
    )
    return parser.parse_args()


def _run(only: Sequence[str], plan: Plan) -> Results:
    if not sys.platform.startswith("linux") or shutil.which("taskset") is None:
        raise BenchmarkError("The benchmarks need Linux, its /proc, and taskset of util-linux.")
    h2load.require()
    pinned = cores.choose()
    WORK.mkdir(exist_ok=True)
    print("preparing the model, the requests and the servers", flush=True)
    served = model.prepare()
    wire = contract.Contract()
    peers = [PEERS[name](served) for name in PEERS if name in only]
    entries: dict[str, Entry] = {}
    with contextlib.ExitStack() as stack:
        lanes = []
        for module in OURS.values():
            running = stack.enter_context(Running(module.contestant(served, wire), pinned.server))
            lanes.append(rounds.Lane(running, pinned.load))
            exchange = lanes[-1].exchange
            entries[exchange.key] = Entry(exchange.title)
        for peer in peers:
            entry = Entry(peer.exchange.title, choices=peer.choices)
            entries[peer.key] = entry
            # What has started must not slow down what starts.
            for lane in lanes:
                lane.stop()
            lane = _start(stack, peer, entry, served, pinned)
            if lane is not None:
                lanes.append(lane)
        outcomes = rounds.run(lanes, pinned, plan)
        commands = _commands(lanes)
        for lane in lanes:
            # They are ended in the reverse order of their start.
            lane.go_on()
    for key, outcome in outcomes.items():
        entries[key].samples, entries[key].failed = outcome.samples, outcome.failed
        if key in OURS and outcome.failed is not None:
            raise BenchmarkError(outcome.failed)
    return Results(provenance.collect(pinned), commands, plan, entries)


def _start(
    stack: contextlib.ExitStack,
    peer: Peer,
    entry: Entry,
    served: model.Model,
    pinned: cores.Cores,
) -> rounds.Lane | None:
    """Installs and starts a peer; `None`, with the reason in its entry, where it can't."""
    try:
        python = environments.prepare(peer.venv)
        entry.versions = environments.versions(peer, python)
        print(f"starting {peer.key} {entry.versions[peer.packages[0]]}", flush=True)
        running = stack.enter_context(RunningPeer(peer, python, served, pinned.server))
        return rounds.Lane(running, pinned.load)
    except BenchmarkError as error:
        entry.failed = str(error)
        print(f"{peer.key} failed: {error}", flush=True)
        return None


def _commands(lanes: Sequence[rounds.Lane]) -> dict[str, str]:
    """How to repeat each by hand, with paths as seen from the repository."""
    commands = {}
    for lane in lanes:
        commands[f"start {lane.exchange.key}"] = shlex.join(lane.command)
        load = h2load.command(lane.target, lane.shape, ["-n", "REQUESTS"])
        commands[f"load {lane.exchange.key}"] = shlex.join(load)
    return {
        name: command.replace(sys.executable, "python").replace(f"{REPOSITORY}/", "")
        for name, command in commands.items()
    }


if __name__ == "__main__":
    sys.exit(main())
