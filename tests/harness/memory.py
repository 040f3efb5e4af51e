"""How much memory a process has, read from the kernel."""

from pathlib import Path

MIB = 1 << 20


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"/proc/{pid}/status has no {name}")


def resident_bytes(pid: int) -> int:
    """What it holds in memory now."""
    return _field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most it has held since it began or since `reset_peak`."""
    return _field(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Makes the peak what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
