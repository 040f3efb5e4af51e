"""The cache, filled from a filesystem in memory."""

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher, Source
from tensorwire.repository.stores import locks, open_store
from tensorwire.repository.stores.cache import StoreCache

KIB = 1 << 10
WATCHER = FetchWatcher()


@pytest.fixture
def place() -> Iterator[str]:
    """A folder in memory, of the test's own."""
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    filesystem = fsspec.filesystem("memory")
    filesystem.rm(name, recursive=True)


def a_model(place: str, name: str, size: int = 10 * KIB) -> str:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"{place}/{name}/1/saved_model.pb", b"x" * size)
    return f"{place}/{name}"


def fetch(source: Source) -> Path:
    return source.fetch(source.versions()[0], WATCHER)


def release(source: Source) -> None:
    source.release(source.versions()[0])


def test_what_was_used_longest_ago_goes_first(place: str, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path, 35 * KIB)
    a, b, c, d = (open_store(a_model(place, name), cache) for name in "abcd")
    folders = {}
    for name, source in zip("abc", (a, b, c), strict=True):
        folders[name] = fetch(source)
        release(source)
        entry = folders[name].parent / "entry.json"
        os.utime(entry, (ord(name), ord(name)))
    fetch(a)  # Used again.
    release(a)
    fetch(d)
    assert [name for name, folder in folders.items() if folder.exists()] == ["a", "c"]
    assert fetch(b).is_dir()


def test_what_is_in_use_stays(place: str, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path, 25 * KIB)
    a, b, c = (open_store(a_model(place, name), cache) for name in "abc")
    kept = [fetch(a), fetch(b)]
    with pytest.raises(ModelLoadError) as caught:
        fetch(c)
    assert str(caught.value) == (
        f"{place}/c/1 needs 10KiB in the store cache {tmp_path}: of its limit of 25KiB "
        "(store_cache_size) 20KiB are in use"
    )
    assert all(folder.is_dir() for folder in kept)
    release(a)
    fetch(c)
    assert [folder.is_dir() for folder in kept] == [False, True]


def test_a_version_that_two_hold_stays_for_the_second(place: str, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path, 15 * KIB)
    location = a_model(place, "a")
    one, two = open_store(location, cache), open_store(location, cache)
    assert fetch(one) == fetch(two)
    release(one)
    with pytest.raises(ModelLoadError, match="are in use"):
        fetch(open_store(a_model(place, "b"), cache))
    release(two)
    fetch(open_store(a_model(place, "b"), cache))


def test_a_version_larger_than_the_cache_is_refused(place: str, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path, 30 * KIB)
    small = open_store(a_model(place, "small"), cache)
    kept = fetch(small)
    release(small)
    with pytest.raises(ModelLoadError) as caught:
        fetch(open_store(a_model(place, "large", 31 * KIB), cache))
    assert str(caught.value) == (
        f"{place}/large/1 needs 31KiB in the store cache {tmp_path}, more than its limit of "
        "30KiB (store_cache_size)"
    )
    # Nothing was removed for what can't fit anyway.
    assert kept.is_dir()
    assert not list(tmp_path.glob("*.partial*"))


def test_no_limit(place: str, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path, 0)
    for name in "abc":
        source = open_store(a_model(place, name), cache)
        fetch(source)
        release(source)
    assert len(list(tmp_path.glob("*/entry.json"))) == 3


@pytest.mark.parametrize("harm", ["cut", "gone", "no entry"])
def test_a_damaged_version_is_downloaded_again(place: str, tmp_path: Path, harm: str) -> None:
    cache = StoreCache(tmp_path, 0)
    location = a_model(place, "a")
    first = open_store(location, cache)
    folder = fetch(first)
    release(first)
    if harm == "cut":
        os.truncate(folder / "saved_model.pb", 5)
    elif harm == "gone":
        (folder / "saved_model.pb").unlink()
    else:
        (folder.parent / "entry.json").write_text("{")
    again = fetch(open_store(location, cache))
    assert (again / "saved_model.pb").stat().st_size == 10 * KIB


def test_after_a_crash_of_the_machine_nothing_is_gone_on_with(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file system had not written yet may be zeros."""
    from tensorwire.repository.stores import cache as module

    cache = StoreCache(tmp_path, 0)
    source = open_store(a_model(place, "a"), cache)
    monkeypatch.setattr(StoreCache, "put_in_place", _crash)
    with pytest.raises(KeyboardInterrupt):
        fetch(source)
    (partial,) = tmp_path.glob("*.partial/content/saved_model.pb")
    partial.write_bytes(bytes(10 * KIB))
    monkeypatch.undo()
    monkeypatch.setattr(module, "_boot", lambda: "another")
    assert (fetch(source) / "saved_model.pb").read_bytes() == b"x" * 10 * KIB


def _crash(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_is_told_before_it_is_full(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=9 * KIB))
    with pytest.raises(ModelLoadError) as caught:
        fetch(open_store(a_model(place, "a"), StoreCache(tmp_path, 0)))
    assert str(caught.value) == (
        f"{place}/a/1 can't be kept: there is no space left for the store cache {tmp_path}"
    )


def a_disk_of(size: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose room goes to this folder alone."""
    usage = shutil.disk_usage(folder)

    def used(_path: Path) -> Any:
        there = sum(file.stat().st_size for file in folder.rglob("*.pb"))
        return usage._replace(free=max(0, size - there))

    monkeypatch.setattr(shutil, "disk_usage", used)


def three_used_in_turn(place: str, cache: StoreCache) -> dict[str, Path]:
    """The last of them still is."""
    folders = {}
    for name in "abc":
        source = open_store(a_model(place, name), cache)
        folders[name] = fetch(source)
        if name != "c":
            release(source)
        os.utime(folders[name].parent / "entry.json", (ord(name), ord(name)))
    return folders


@pytest.mark.parametrize("limit", [0, 1 << 40, 35 * KIB])
def test_a_disk_smaller_than_the_limit_holds_what_is_new(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    a_disk_of(35 * KIB, tmp_path, monkeypatch)
    cache = StoreCache(tmp_path, limit)
    folders = three_used_in_turn(place, cache)
    fetch(open_store(a_model(place, "d"), cache))
    assert [name for name, folder in folders.items() if folder.exists()] == ["b", "c"]


@pytest.mark.parametrize(("size", "left"), [(26, ["c"]), (36, ["a", "b", "c"])])
def test_a_disk_too_small_for_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, left: list[str]
) -> None:
    """Nothing goes for what would not even fit alone; and never what is in use."""
    a_disk_of(35 * KIB, tmp_path, monkeypatch)
    cache = StoreCache(tmp_path, 40 * KIB)
    folders = three_used_in_turn(place, cache)
    with pytest.raises(ModelLoadError, match="there is no space left for the store cache"):
        fetch(open_store(a_model(place, "d", size * KIB), cache))
    assert [name for name, folder in folders.items() if folder.exists()] == left


FULL = """
import resource, sys
from pathlib import Path
import fsspec
from tensorwire.repository.source import FetchWatcher
from tensorwire.repository.stores import locks, open_store
from tensorwire.repository.stores.cache import StoreCache
fsspec.filesystem("memory").pipe("memory://m/1/saved_model.pb", bytes(5 << 20))
source = open_store("memory://m", StoreCache(Path(sys.argv[1]), 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
try:
    source.fetch(source.versions()[0], FetchWatcher())
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_a_disk_that_fills_leaves_nothing_behind(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "ModelLoadError: memory://m/1 can't be kept: there is no space left for the store "
        f"cache {tmp_path}\n"
    )
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) == 0


def test_a_cache_that_cannot_be_made(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelLoadError, match=r"the store cache .* can't be used: Not a directory"):
        fetch(open_store(a_model(place, "a"), StoreCache(tmp_path / "file" / "cache", 0)))


def test_a_cache_that_can_only_be_read(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ModelLoadError, match=r"can't be used: Permission denied"):
        fetch(open_store(a_model(place, "a"), StoreCache(tmp_path / "cache", 0)))


def test_threads_of_one_process_download_once(place: str, tmp_path: Path) -> None:
    location, cache = a_model(place, "a"), StoreCache(tmp_path, 0)
    begun: list[int] = []
    folders: list[Path] = []

    def run() -> None:
        source = open_store(location, cache)
        watcher = FetchWatcher(lambda done, _total: begun.append(done) if done == 0 else None)
        folders.append(source.fetch(source.versions()[0], watcher))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(folders)) == 1
    assert len(folders) == 6
    assert begun == [0]


def test_what_others_keep_in_the_folder_is_theirs(place: str, tmp_path: Path) -> None:
    for name in ("photos", ".trash-1000", "0123"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "large").write_bytes(bytes(100 * KIB))
        os.utime(tmp_path / name, (1, 1))
    cache = StoreCache(tmp_path, 15 * KIB)
    for name in "ab":
        source = open_store(a_model(place, name), cache)
        fetch(source)
        release(source)
    assert sorted(each.parent.name for each in tmp_path.glob("*/large")) == [
        ".trash-1000",
        "0123",
        "photos",
    ]
    assert len(list(tmp_path.glob("*/entry.json"))) == 1


def test_what_is_in_a_folder_that_may_only_be_read_is_served(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = a_model(place, "a")
    source = open_store(location, StoreCache(tmp_path, 0))
    folder = fetch(source)
    release(source)
    opened = os.open

    def refuse(path: Any, flags: int, *more: Any) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    assert fetch(open_store(location, StoreCache(tmp_path, 0))) == folder


def test_a_lock_that_never_stays_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems where a file has another number each time."""
    monkeypatch.setattr(locks, "_is_still", lambda path, descriptor: False)
    with pytest.raises(OSError, match="Stale file handle"):
        locks.FileLock.try_take(tmp_path / "lock", alone=True)
