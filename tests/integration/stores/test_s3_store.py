"""Models in an S3 server of its own process, with what may go wrong on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from stores_support import Bucket, Watched, a_version, contents, noise

from harness.stores import Asked, Between, Reply
from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher, NoVersionsError, Source
from tensorwire.repository.stores import blocks, open_store
from tensorwire.repository.stores.cache import StoreCache


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.BlockReader.__init__, "__defaults__", (64 << 10,))
    monkeypatch.setattr(blocks, "FIRST_WAIT_SECONDS", 0.02)


def refusal(source: Source) -> str:
    with pytest.raises(ModelLoadError) as caught:
        for version in source.versions():
            source.fetch(version, FetchWatcher())
    return str(caught.value)


def gets(between: Between) -> list[Asked]:
    """Requests for the content of objects."""
    return [each for each in between.asked if each.method == "GET" and each.range]


def is_content(asked: Asked) -> bool:
    return asked.method == "GET" and asked.range is not None


def is_weights(asked: Asked) -> bool:
    return is_content(asked) and ".data-" in asked.path


def test_versions_are_listed_and_fetched(bucket: Bucket, cache: StoreCache) -> None:
    two, ten = a_version(300_000, 2), a_version(10, 10)
    bucket.put_version("models/m/2", two)
    bucket.put_version("models/m/0010", ten)
    bucket.put("models/m/notes.txt", b"no version")
    source = open_store(f"{bucket.url}/models/m", cache)
    versions = source.versions()
    assert [(each.number, each.location) for each in versions] == [
        (2, f"{bucket.url}/models/m/2"),
        (10, f"{bucket.url}/models/m/0010"),
    ]
    assert all(each.stamp and not each.incomplete for each in versions)
    watched = Watched()
    assert contents(source.fetch(versions[0], watched.watcher)) == two
    total = sum(map(len, two.values()))
    assert watched.told[0] == (0, total)
    assert watched.told[-1] == (total, total)
    assert contents(source.fetch(versions[1], FetchWatcher())) == ten


def test_folders_beside_versions_are_not_listed_each_time(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    for number in range(1, 8):
        bucket.put_version(f"m/{number}", a_version(10))
    source = open_store(f"{bucket.url}/m", cache)
    source.versions()
    between.asked.clear()
    assert len(source.versions()) == 7
    assert len(between.asked) == 2, [each.path for each in between.asked]


def test_a_saved_model_is_version_1(bucket: Bucket, cache: StoreCache) -> None:
    bucket.put_version("exported", a_version())
    source = open_store(f"{bucket.url}/exported/", cache)
    (version,) = source.versions()
    assert version.number == 1
    assert contents(source.fetch(version, FetchWatcher())) == a_version()


def test_a_whole_bucket_may_be_a_model(bucket: Bucket, cache: StoreCache) -> None:
    bucket.put_version("1", a_version())
    source = open_store(bucket.url, cache)
    (version,) = source.versions()
    assert contents(source.fetch(version, FetchWatcher())) == a_version()


def test_every_change_is_seen_at_the_next_look(bucket: Bucket, cache: StoreCache) -> None:
    bucket.put_version("m/1", a_version(10, 1))
    source = open_store(f"{bucket.url}/m", cache)
    stamps = [source.versions()[0].stamp]
    # The same name and the same size: only the etag tells.
    bucket.put_version("m/1", a_version(10, 2))
    stamps.append(source.versions()[0].stamp)
    bucket.put("m/1/assets/more.txt", b"")
    stamps.append(source.versions()[0].stamp)
    bucket.client.delete_object(Bucket=bucket.name, Key="m/1/assets/more.txt")
    stamps.append(source.versions()[0].stamp)
    assert len(set(stamps)) == 3
    assert stamps[1] == stamps[3]
    bucket.put_version("m/2", a_version())
    assert [each.number for each in source.versions()] == [1, 2]


def test_half_uploaded_versions_are_told(bucket: Bucket, cache: StoreCache) -> None:
    source = open_store(f"{bucket.url}/m", cache)
    files = a_version()
    bucket.put("m/1/variables/variables.index", files["variables/variables.index"])
    assert source.versions()[0].incomplete == "has no saved_model.pb"
    bucket.put("m/1/saved_model.pb", files["saved_model.pb"])
    missing = source.versions()[0].incomplete
    assert missing == "has no variables/variables.data-00000-of-00001"
    bucket.put_version("m/1", files)
    assert source.versions()[0].incomplete == ""


def test_what_was_fetched_before_is_not_downloaded_again(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    bucket.put_version("m/1", a_version())
    first = open_store(f"{bucket.url}/m", cache)
    folder = first.fetch(first.versions()[0], FetchWatcher())
    first.release(first.versions()[0])
    between.asked.clear()
    # As after a restart.
    second = open_store(f"{bucket.url}/m", StoreCache(cache.folder, cache.limit))
    assert second.fetch(second.versions()[0], FetchWatcher()) == folder
    assert not gets(between)


def test_a_version_that_was_overwritten_is_another(bucket: Bucket, cache: StoreCache) -> None:
    bucket.put_version("m/1", a_version(1000, 1))
    source = open_store(f"{bucket.url}/m", cache)
    old = source.versions()[0]
    folder = source.fetch(old, FetchWatcher())
    bucket.put_version("m/1", a_version(1000, 2))
    new = source.versions()[0]
    assert contents(source.fetch(new, FetchWatcher())) == a_version(1000, 2)
    # What is served stays what it was.
    assert contents(folder) == a_version(1000, 1)


def test_objects_that_came_in_parts(bucket: Bucket, cache: StoreCache) -> None:
    """Their etag is no checksum."""
    parts = [noise(5 << 20, 1), noise(1000, 2)]
    client, where = bucket.client, {"Bucket": bucket.name, "Key": "m/1/assets/large"}
    upload = client.create_multipart_upload(**where)["UploadId"]
    etags = [
        client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        for number, part in enumerate(parts, 1)
    ]
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": listed})
    bucket.put("m/1/saved_model.pb", b"x")
    source = open_store(f"{bucket.url}/m", cache)
    folder = source.fetch(source.versions()[0], FetchWatcher())
    assert (folder / "assets" / "large").read_bytes() == b"".join(parts)


def test_files_are_read_in_parallel_and_in_blocks(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    bucket.put_version("m/1", a_version(1 << 20))
    running, most, lock = set(), [0], threading.Lock()

    def count(asked: Asked, _reply: Reply) -> None:
        if is_weights(asked):
            with lock:
                running.add(asked.range)
                most[0] = max(most[0], len(running))
            time.sleep(0.05)
            with lock:
                running.discard(asked.range)

    between.meddle = count
    source = open_store(f"{bucket.url}/m", cache)
    source.fetch(source.versions()[0], FetchWatcher())
    assert 2 <= most[0] <= blocks.THREADS
    assert len([each for each in gets(between) if ".data-" in each.path]) == 16


def test_a_store_that_stumbles_is_asked_again(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    files = a_version(500_000)
    bucket.put_version("m/1", files)
    failed: dict[str, int] = {}

    def stumble(asked: Asked, reply: Reply) -> None:
        if not is_weights(asked):
            return
        tries = failed[asked.range] = failed.get(asked.range, 0) + 1
        if tries == 1:
            reply.cut_after = len(reply.body) // 2
        elif tries == 2:
            reply.status, reply.body, reply.headers = 503, b"", {"Content-Length": "0"}

    between.meddle = stumble
    source = open_store(f"{bucket.url}/m", cache)
    assert contents(source.fetch(source.versions()[0], FetchWatcher())) == files
    assert set(failed.values()) == {3}


def test_what_arrives_damaged_is_refused(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    files = a_version(200_000)
    bucket.put_version("m/1", files)

    def damage(asked: Asked, reply: Reply) -> None:
        if is_weights(asked):
            reply.body = b"\0" + reply.body[1:]

    source = open_store(f"{bucket.url}/m", cache)
    (version,) = source.versions()
    between.meddle = damage
    with pytest.raises(ModelLoadError, match=r"data-00000-of-00001 arrived damaged: its md5"):
        source.fetch(version, FetchWatcher())
    between.meddle = None
    # The damaged part is not gone on with.
    assert contents(source.fetch(version, FetchWatcher())) == files


def test_checksums_that_are_none_are_known(bucket: Bucket, between: Between) -> None:
    """Of objects that KMS encrypts the etag is no MD5, though it looks like one."""
    from tensorwire.repository.stores.filesystems import open_filesystem
    from tensorwire.repository.stores.listing import list_files

    bucket.put("m/plain", b"x")
    bucket.put("m/secret", b"x", ServerSideEncryption="aws:kms")
    filesystem, path = open_filesystem(f"{bucket.url}/m")
    reader = blocks.BlockReader(filesystem)
    exact = {file.name: reader.is_exact(file) for file in list_files(filesystem, path)}
    assert exact == {"plain": True, "secret": False}


def test_a_version_that_changes_meanwhile_is_not_taken(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    bucket.put_version("m/1", a_version(200_000, 1))
    source = open_store(f"{bucket.url}/m", cache)
    (version,) = source.versions()
    changed = threading.Event()

    def change(asked: Asked, _reply: Reply) -> None:
        if is_weights(asked) and not changed.is_set():
            changed.set()
            bucket.put("m/1/assets/empty.txt", b"no longer")

    between.meddle = change
    with pytest.raises(ModelLoadError, match="has changed since it was looked at"):
        source.fetch(version, FetchWatcher())
    between.asked.clear()
    (version,) = source.versions()
    expected = {**a_version(200_000, 1), "assets/empty.txt": b"no longer"}
    assert contents(source.fetch(version, FetchWatcher())) == expected
    # The files that stayed the same are not downloaded again.
    assert {each.path.rpartition("/")[2].partition("?")[0] for each in gets(between)} == {
        "empty.txt"
    }


def test_a_cancelled_fetch_ends_at_once_and_is_gone_on_with(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    files = a_version(1 << 20)
    bucket.put_version("m/1", files)
    source = open_store(f"{bucket.url}/m", cache)
    (version,) = source.versions()
    watched, cancelled_at = Watched(), []

    def slow(asked: Asked, reply: Reply) -> None:
        begun = len([each for each in gets(between) if ".data-" in each.path])
        # More than are read ahead: the first of them has been written.
        if is_weights(asked) and begun > 2 * blocks.THREADS + 1:
            if not cancelled_at:
                cancelled_at.append(time.monotonic())
                watched.cancelled.set()
            reply.pause = 3.0

    between.meddle = slow
    with pytest.raises(ModelLoadError, match="was cancelled"):
        source.fetch(version, watched.watcher)
    assert time.monotonic() - cancelled_at[0] < 1.0
    between.meddle = None
    between.asked.clear()
    again = Watched()
    assert contents(source.fetch(version, again.watcher)) == files
    assert again.told[0][0] >= 64 << 10
    assert len([each for each in gets(between) if ".data-" in each.path]) < 16


FETCH = """
import sys
from pathlib import Path
from tensorwire.repository.source import FetchWatcher
from tensorwire.repository.stores import blocks, open_store
from tensorwire.repository.stores.cache import StoreCache
blocks.BlockReader.__init__.__defaults__ = (64 << 10,)
source = open_store(sys.argv[1], StoreCache(Path(sys.argv[2]), 64 << 20))
watcher = FetchWatcher(lambda done, total: print(done, flush=True))
print(source.fetch(source.versions()[0], watcher), flush=True)
if len(sys.argv) > 3:
    sys.stdin.read()
"""


def fetching(url: str, cache: StoreCache, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url, str(cache.folder), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def test_a_killed_download_is_gone_on_with(
    bucket: Bucket, between: Between, cache: StoreCache
) -> None:
    files = a_version(1 << 20)
    bucket.put_version("m/1", files)

    def slow(asked: Asked, reply: Reply) -> None:
        reply.pause = 0.1 if is_weights(asked) else 0.0

    between.meddle = slow
    with fetching(f"{bucket.url}/m", cache) as process:
        while int(process.stdout.readline()) < 256 << 10:
            pass
        process.send_signal(signal.SIGKILL)
    between.meddle = None
    between.asked.clear()
    source = open_store(f"{bucket.url}/m", cache)
    watched = Watched()
    assert contents(source.fetch(source.versions()[0], watched.watcher)) == files
    assert watched.told[0][0] >= 256 << 10
    starts = [each.range for each in gets(between) if ".data-" in each.path]
    assert 0 < len(starts) <= 12


def test_two_processes_download_once(bucket: Bucket, between: Between, cache: StoreCache) -> None:
    files = a_version(1 << 20)
    bucket.put_version("m/1", files)

    def slow(asked: Asked, reply: Reply) -> None:
        reply.pause = 0.02 if is_weights(asked) else 0.0

    between.meddle = slow
    with fetching(f"{bucket.url}/m", cache) as one, fetching(f"{bucket.url}/m", cache) as two:
        ends = [process.stdout.read().splitlines()[-1] for process in (one, two)]
    assert ends[0] == ends[1]
    assert contents(Path(ends[0])) == files
    assert len([each for each in gets(between) if ".data-" in each.path]) == 16


def test_what_another_process_serves_is_not_removed(
    bucket: Bucket, between: Between, tmp_path: Path
) -> None:
    cache = StoreCache(tmp_path / "cache", 1_500_000)
    bucket.put_version("a/1", a_version(1_000_000, 1))
    bucket.put_version("b/1", a_version(1_000_000, 2))
    source = open_store(f"{bucket.url}/b", cache)
    with fetching(f"{bucket.url}/a", cache, "stay") as process:
        line = "0"
        while line.isdecimal():
            line = process.stdout.readline().strip()
        assert "are in use" in refusal(source)
        assert contents(Path(line)) == a_version(1_000_000, 1)
        process.kill()
        process.wait(10)
        # The system let go of its lock.
        folder = source.fetch(source.versions()[0], FetchWatcher())
    assert contents(folder) == a_version(1_000_000, 2)
    assert not Path(line).exists()


def test_missing_places(bucket: Bucket, cache: StoreCache) -> None:
    gone = "s3://no-bucket-of-this-name/m"
    assert refusal(open_store(gone, cache)) == (
        f"{gone} does not exist (The specified bucket does not exist)"
    )
    assert refusal(open_store(f"{bucket.url}/none", cache)) == (
        f"{bucket.url}/none does not exist"
    )
    bucket.put("notes/notes.txt", b"x")
    source = open_store(f"{bucket.url}/notes", cache)
    with pytest.raises(NoVersionsError) as caught:
        source.versions()
    assert str(caught.value) == (
        f"{bucket.url}/notes has neither a saved_model.pb nor a version folder such as "
        f"{bucket.url}/notes/1 (found notes.txt)"
    )
    assert "neither an archive" in refusal(open_store(f"{bucket.url}/notes/notes.txt", cache))


def test_access_that_is_denied(bucket: Bucket, between: Between, cache: StoreCache) -> None:
    bucket.put_version("m/1", a_version())

    def deny(asked: Asked, reply: Reply) -> None:
        reply.status = 403
        reply.body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        reply.headers = {"Content-Length": str(len(reply.body))}

    between.meddle = deny
    text = refusal(open_store(f"{bucket.url}/m", cache))
    assert text.startswith(f"{bucket.url}/m may not be read: Access Denied; access is given by")
    assert "AWS_ENDPOINT_URL" in text
    assert "key-of-the-tests" not in text


def test_a_server_that_is_not_there(
    bucket: Bucket, cache: StoreCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = FETCH.replace("source.versions()", "versions(source)").replace(
        "import sys\n",
        "import sys\ndef versions(source):\n"
        "    try: return source.versions()\n"
        "    except Exception as error: sys.exit(f'{type(error).__name__}: {error}')\n",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "s3://b/m", str(cache.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
        timeout=60,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("ModelLoadError: s3://b/m can't be read: Could")
    assert "Traceback" not in done.stderr


def test_markers_of_folders_are_no_files(bucket: Bucket, cache: StoreCache) -> None:
    """Which programs make that show a store as a disk."""
    for marker in ("m/", "m/1/", "m/1/variables/", "m/1/variables", "m/2/"):
        bucket.put(marker, b"")
    bucket.put_version("m/1", a_version(10))
    source = open_store(f"{bucket.url}/m", cache)
    one, two = source.versions()
    assert contents(source.fetch(one, FetchWatcher())) == a_version(10)
    assert (two.number, two.incomplete) == (2, "has no saved_model.pb")


def test_more_files_than_a_listing_has(bucket: Bucket, cache: StoreCache) -> None:
    files = {**a_version(10), **{f"assets/{number:04}": b"" for number in range(1010)}}
    bucket.put_version("m/1", files)
    source = open_store(f"{bucket.url}/m", cache)
    (version,) = source.versions()
    assert len(contents(source.fetch(version, FetchWatcher()))) == len(files)
    stamp = version.stamp
    bucket.put("m/1/assets/1009", b"x")
    assert source.versions()[0].stamp != stamp
