"""Where and with what the figures were measured."""

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from measure.cores import Cores


def collect(cores: Cores) -> dict[str, str]:
    """Each fact by its name, in the order to print them."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {_memory()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "cores": f"server on {cores.server}, load on {cores.load}",
        "TensorWire": _core_build(),
        "TensorFlow": _package("tensorflow", "tensorflow-cpu"),
        "Python": platform.python_version(),
        "grpcio": _package("grpcio"),
        "h2load": _first_line(["h2load", "--version"]),
        "cc": _first_line(["cc", "--version"]),
        "rustc": _first_line(["rustc", "--version"]),
    }


def _cpu() -> str:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / 2**20:.0f} GiB"
    return "memory unknown"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _package(*names: str) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _core_build() -> str:
    """How the native core was compiled: a debug build's figures mean nothing."""
    source = "import json; from tensorwire import _core; print(json.dumps(_core.build_info()))"
    try:
        facts = json.loads(_first_line([sys.executable, "-c", source]))
    except ValueError:
        return "not installed"
    return f"{facts.pop('version')} ({', '.join(facts.values())})"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.partition("\n")[0] or "unknown"
