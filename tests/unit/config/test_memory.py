import os
from pathlib import Path

from tensorwire.config.memory import memory_limit

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def root(folder: Path, cgroup: str, files: dict[str, str]) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = folder / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_machines_without_control_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == MACHINE
    assert memory_limit() <= MACHINE


def test_a_container_sees_its_own_limit_at_the_top(tmp_path: Path) -> None:
    assert memory_limit(root(tmp_path, "0::/\n", {"memory.max": "1048576\n"})) == 2**20


def test_the_least_of_the_groups_above_counts(tmp_path: Path) -> None:
    files = {"a/memory.max": "4096", "a/b/memory.max": "8192", "a/b/c/memory.max": "max"}
    assert memory_limit(root(tmp_path, "0::/a/b/c\n", files)) == 4096


def test_version_1(tmp_path: Path) -> None:
    cgroup = "12:cpu,cpuacct:/x\n4:memory:/job\n1:name=systemd:/x\n"
    files = {
        "memory/job/memory.limit_in_bytes": "65536\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu/x/memory.limit_in_bytes": "1",
    }
    assert memory_limit(root(tmp_path, cgroup, files)) == 65536


def test_what_is_no_limit_is_none(tmp_path: Path) -> None:
    assert memory_limit(root(tmp_path, "0::/\n", {"memory.max": "max\n"})) == MACHINE
