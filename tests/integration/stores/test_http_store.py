"""Archives and Keras files on a web server."""

import io
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from stores_support import Watched, a_version, contents, noise, tar

from harness.stores import Asked, FileServer, Reply
from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher, NoVersionsError, Source
from tensorwire.repository.stores import blocks, http_reader, open_store
from tensorwire.repository.stores.cache import StoreCache

LARGE = {**a_version(1 << 20), "assets/more": noise(1 << 20, 3)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reader.HttpReader.__init__, "__defaults__", (64 << 10,))
    monkeypatch.setattr(blocks, "FIRST_WAIT_SECONDS", 0.02)


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def zstandard(files: dict[str, bytes]) -> bytes:
    import zstandard

    return zstandard.compress(tar(files, "w"))


def inside(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def fetch_all(source: Source) -> dict[int, dict[str, bytes]]:
    return {
        version.number: contents(source.fetch(version, FetchWatcher()))
        for version in source.versions()
    }


def refusal(source: Source) -> str:
    with pytest.raises(ModelLoadError) as caught:
        fetch_all(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("m.tar", lambda files: tar(files, "w")),
        ("m.tar.gz", tar),
        ("m.tgz", tar),
        ("m.tar.bz2", lambda files: tar(files, "w:bz2")),
        ("m.tar.xz", lambda files: tar(files, "w:xz")),
        ("m.tar.zst", zstandard),
        ("m.zip", zipped),
        ("download", zipped),
    ],
)
def test_archives(web: FileServer, cache: StoreCache, name: str, pack: object) -> None:
    files = a_version(100_000)
    web.files = {f"/{name}": pack(files)}
    assert fetch_all(open_store(f"{web.url}/{name}", cache)) == {1: files}


def test_archives_of_versions(web: FileServer, cache: StoreCache) -> None:
    one, two = a_version(10, 1), a_version(10, 2)
    packed = {**inside("mnist/1", one), **inside("mnist/2", two), "mnist/README": b""}
    web.files = {"/m.tar.gz": tar(packed)}
    source = open_store(f"{web.url}/m.tar.gz", cache)
    assert fetch_all(source) == {1: one, 2: two}
    assert [each.location for each in source.versions()] == [
        f"{web.url}/m.tar.gz!/1",
        f"{web.url}/m.tar.gz!/2",
    ]


def test_an_archive_whose_folder_is_wrapped(web: FileServer, cache: StoreCache) -> None:
    files = a_version(10)
    packed = {**inside("./a/b", files), "__MACOSX/._a": b"", ".DS_Store": b""}
    web.files = {"/m.zip": zipped(packed)}
    assert fetch_all(open_store(f"{web.url}/m.zip", cache)) == {1: files}


def test_an_archive_is_downloaded_when_it_changes_and_only_then(
    web: FileServer, cache: StoreCache
) -> None:
    web.files = {"/m.zip": zipped(a_version(10, 1))}
    source = open_store(f"{web.url}/m.zip", cache)
    (first,) = source.versions()
    source.fetch(first, FetchWatcher())
    assert source.versions() == [first]
    restarted = open_store(f"{web.url}/m.zip", cache)
    assert fetch_all(restarted) == {1: a_version(10, 1)}
    assert [each.method for each in web.asked].count("GET") == 1
    web.files = {"/m.zip": zipped(a_version(10, 2))}
    (second,) = source.versions()
    assert second.stamp != first.stamp
    assert contents(source.fetch(second, FetchWatcher())) == a_version(10, 2)
    assert [each.method for each in web.asked].count("GET") == 2


def test_keras_files(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.keras": b"PK\x03\x04 something"}
    source = open_store(f"{web.url}/m.keras", cache)
    (version,) = source.versions()
    assert version.needs_export
    path = source.fetch(version, FetchWatcher())
    assert path.name == "m.keras"
    assert path.read_bytes() == web.files["/m.keras"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_off(web: FileServer, cache: StoreCache, ranges: bool) -> None:
    web.ranges = ranges
    packed = web.files["/m.tar"] = tar(LARGE, "w")
    cuts = iter([300_000, 700_000])

    def cut(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            reply.cut_after = next(cuts, None)

    web.meddle = cut
    assert fetch_all(open_store(f"{web.url}/m.tar", cache)) == {1: LARGE}
    asked = [each.range for each in web.asked if each.method == "GET"]
    assert len(asked) == 3
    assert asked[0] is None
    assert all(each is not None for each in asked[1:])
    if ranges:
        # It went on where it was, and not from the beginning. What had arrived and was not
        # taken yet when the connection broke is lost: that is aiohttp's.
        first, second = (int(each.removeprefix("bytes=").rstrip("-")) for each in asked[1:])
        assert 100_000 < first < second
        assert len(packed) > 2 << 20


def test_a_file_that_changes_between_two_tries_is_begun_again(
    web: FileServer, cache: StoreCache
) -> None:
    web.files = {"/m.tar": tar(LARGE, "w")}
    changed = tar({**LARGE, "assets/more": noise(1 << 20, 4)}, "w")

    def cut(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET" and asked.range is None:
            reply.cut_after = 500_000
            web.files["/m.tar"] = changed

    web.meddle = cut
    source = open_store(f"{web.url}/m.tar", cache)
    assert "has changed since it was looked at" in refusal(source)
    assert fetch_all(source)[1]["assets/more"] == noise(1 << 20, 4)


FETCH = """
import sys
from pathlib import Path
from tensorwire.repository.stores import http_reader, open_store
from tensorwire.repository.stores.cache import StoreCache
http_reader.HttpReader.__init__.__defaults__ = (64 << 10,)
open_store(sys.argv[1], StoreCache(Path(sys.argv[2]), 64 << 20)).versions()
"""


def test_a_killed_download_is_gone_on_with(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.tar": tar(LARGE, "w")}
    sent = threading.Event()

    def slow(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            reply.pause = 0.05
            sent.set()

    web.meddle = slow
    url = f"{web.url}/m.tar"
    with subprocess.Popen([sys.executable, "-c", FETCH, url, str(cache.folder)]) as process:
        sent.wait(30)
        while sum(file.stat().st_size for file in cache.folder.rglob("archive/*")) < 500_000:
            time.sleep(0.01)
        process.kill()
    web.meddle = None
    web.asked.clear()
    assert fetch_all(open_store(url, cache)) == {1: LARGE}
    (asked,) = [each for each in web.asked if each.method == "GET"]
    assert int(asked.range.removeprefix("bytes=").rstrip("-")) >= 500_000
    assert asked.headers["if-range"]


def test_a_server_that_says_no_length(web: FileServer, cache: StoreCache) -> None:
    files = a_version(300_000)
    web.files = {"/m.tar.gz": tar(files)}

    def hide(asked: Asked, reply: Reply) -> None:
        del reply.headers["Content-Length"]

    web.meddle = hide
    assert fetch_all(open_store(f"{web.url}/m.tar.gz", cache)) == {1: files}


def test_a_torn_archive_is_told(web: FileServer, cache: StoreCache) -> None:
    """Of which the server says that it is whole."""
    for name, packed in {
        "/m.tar.gz": tar(LARGE),
        "/m.tar": tar(LARGE, "w"),
        "/m.zip": zipped(LARGE),
        "/m.tar.zst": zstandard(LARGE),
    }.items():
        web.files[name] = packed[: len(packed) // 2]
        assert "broken archive" in refusal(open_store(web.url + name, cache)), name
        assert not list(cache.folder.glob("*/content")), name


def test_a_damaged_archive_is_told(web: FileServer, cache: StoreCache) -> None:
    for name, packed in {"/m.tar.gz": tar(LARGE), "/m.zip": zipped(LARGE)}.items():
        middle = len(packed) // 2
        damaged = packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]
        web.files[name] = damaged
        source = open_store(web.url + name, cache)
        assert "broken archive" in refusal(source), name
        # Nor is it downloaded again to find out the same.
        web.asked.clear()
        assert "broken archive" in refusal(source), name
        assert [each.method for each in web.asked] == ["HEAD"]


def test_a_wrong_checksum_is_told(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.zip": zipped(a_version())}

    def claim(asked: Asked, reply: Reply) -> None:
        reply.headers["Content-MD5"] = "1B2M2Y8AsgTpgAmY7PhCfg=="

    web.meddle = claim
    text = refusal(open_store(f"{web.url}/m.zip", cache))
    assert text == f"{web.url}/m.zip: archive arrived damaged: its md5 is not what the store says"


def test_a_web_page_is_no_archive(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m": b"<html>Please log in</html>"}
    assert refusal(open_store(f"{web.url}/m", cache)) == (
        f"{web.url}/m is no archive of a kind that is known (tar, tar.gz, tar.bz2, tar.xz, "
        "tar.zst, zip); it seems to be a web page"
    )


def test_an_archive_of_something_else(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.zip": zipped({"notes/notes.txt": b"x"})}
    source = open_store(f"{web.url}/m.zip", cache)
    with pytest.raises(NoVersionsError) as caught:
        source.versions()
    assert str(caught.value).startswith(f"{web.url}/m.zip has neither a saved_model.pb")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, "does not exist (the server answered 404 Not Found)"),
        (403, "may not be read: the server answered 403 Forbidden"),
        (400, "can't be read: the server answered 400 Bad Request"),
        (500, "can't be read: the server answered 500 Internal Server Error"),
    ],
)
def test_what_servers_answer(web: FileServer, cache: StoreCache, status: int, says: str) -> None:
    def refuse(asked: Asked, reply: Reply) -> None:
        reply.status = status

    web.files = {"/m.zip": b""}
    web.meddle = refuse
    assert refusal(open_store(f"{web.url}/m.zip", cache)) == f"{web.url}/m.zip {says}"


def test_a_server_that_is_not_there(cache: StoreCache) -> None:
    text = refusal(open_store("http://127.0.0.1:1/m.zip", cache))
    assert text.startswith("http://127.0.0.1:1/m.zip can't be read: Cannot connect")


def test_signed_urls(web: FileServer, cache: StoreCache, caplog: pytest.LogCaptureFixture) -> None:
    """They are for GET alone, and what they are signed with is told to nobody."""
    files = a_version(10)
    web.files = {"/m.zip": zipped(files)}
    web.heads = False
    host = web.url.removeprefix("http://")
    url = f"http://ann:pass1@{host}/m.zip?X-Amz-Signature=secret2&X-Amz-Date=1"
    with caplog.at_level("DEBUG", "tensorwire"):
        source = open_store(url, cache)
        assert fetch_all(source) == {1: files}
    assert source.versions()[0].location == f"{web.url}/m.zip"
    assert "X-Amz-Signature=secret2" in web.asked[-1].path
    web.files = {}
    # Signed anew: the same file.
    told = caplog.text + refusal(open_store(url.replace("Date=1", "Date=2"), cache))
    told += "".join(file.read_text() for file in cache.folder.rglob("entry.json"))
    assert "pass1" not in told
    assert "secret2" not in told
    assert len(list(cache.folder.glob("*/entry.json"))) == 1


def test_a_slow_server_is_left_at_once(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.keras": b"PK\x03\x04" + noise(1 << 20)}
    source = open_store(f"{web.url}/m.keras", cache)
    (version,) = source.versions()
    watched = Watched()

    def slow(asked: Asked, reply: Reply) -> None:
        reply.pause = 2.0
        threading.Timer(0.3, watched.cancelled.set).start()

    web.meddle = slow
    started = time.monotonic()
    with pytest.raises(ModelLoadError, match="was cancelled"):
        source.fetch(version, watched.watcher)
    assert time.monotonic() - started < 1.5


def test_a_bomb_is_not_unpacked(web: FileServer, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path / "cache", 30 << 20)
    web.files = {"/m.tar.gz": tar({"saved_model.pb": b"", "assets/zeros": bytes(40 << 20)})}
    assert len(web.files["/m.tar.gz"]) < 100_000
    text = refusal(open_store(f"{web.url}/m.tar.gz", cache))
    assert "more than its limit of 30MiB (store_cache_size)" in text
    assert sum(file.stat().st_size for file in cache.folder.rglob("*") if file.is_file()) < 1000


def gets(web: FileServer) -> int:
    return [each.method for each in web.asked].count("GET")


@pytest.mark.parametrize("harm", ["name", "bomb", "checksum"])
def test_what_was_refused_is_not_downloaded_at_every_look(
    web: FileServer, tmp_path: Path, harm: str
) -> None:
    cache = StoreCache(tmp_path / "cache", 30 << 20)
    files = {"saved_model.pb": b"x", "../out": b"x"} if harm == "name" else {"saved_model.pb": b""}
    if harm == "bomb":
        files["assets/zeros"] = bytes(40 << 20)
    web.files = {"/m.tar.gz": tar(files)}

    def claim(asked: Asked, reply: Reply) -> None:
        reply.headers["Content-MD5"] = "1B2M2Y8AsgTpgAmY7PhCfg=="

    web.meddle = claim if harm == "checksum" else None
    source = open_store(f"{web.url}/m.tar.gz", cache)
    texts = {refusal(source) for _ in range(3)}
    assert len(texts) == 1
    assert gets(web) == 1
    # Other content is looked at at once.
    web.meddle = None
    web.files = {"/m.tar.gz": tar(a_version(10))}
    assert fetch_all(source) == {1: a_version(10)}


def test_a_server_that_says_nothing_of_changes(
    web: FileServer, cache: StoreCache, caplog: pytest.LogCaptureFixture
) -> None:
    """What is kept from before a restart may be something else by now."""
    web.etags = False
    web.files = {"/m.tar": tar(a_version(10, 1), "w")}
    url = f"{web.url}/m.tar?token=secret1"
    with caplog.at_level("WARNING", "tensorwire"):
        source = open_store(url, cache)
        assert fetch_all(source) == fetch_all(source) == {1: a_version(10, 1)}
    assert gets(web) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{web.url}/m.tar: its server says neither ETag nor Last-Modified: a change that keeps "
        "its size is not seen before a restart"
    ]
    web.files = {"/m.tar": tar(a_version(10, 2), "w")}
    assert fetch_all(open_store(url, cache)) == {1: a_version(10, 2)}


def test_a_connection_that_breaks_off_where_no_length_was_said(
    web: FileServer, cache: StoreCache
) -> None:
    web.files = {"/m.tar": tar(LARGE, "w")}
    cuts = iter([300_000])

    def cut(asked: Asked, reply: Reply) -> None:
        if asked.method == "HEAD":
            del reply.headers["Content-Length"]
        else:
            reply.cut_after = next(cuts, None)

    web.meddle = cut
    assert fetch_all(open_store(f"{web.url}/m.tar", cache)) == {1: LARGE}
    assert gets(web) == 2


def test_a_server_that_says_a_length_of_0_for_head(web: FileServer, cache: StoreCache) -> None:
    web.files = {"/m.zip": zipped(a_version(10))}

    def empty(asked: Asked, reply: Reply) -> None:
        if asked.method == "HEAD":
            reply.headers["Content-Length"] = "0"

    web.meddle = empty
    assert fetch_all(open_store(f"{web.url}/m.zip", cache)) == {1: a_version(10)}


def test_a_server_that_never_gets_any_further_is_given_up(
    web: FileServer, cache: StoreCache
) -> None:
    web.ranges = False
    web.files = {"/m.tar": tar(LARGE, "w")}

    def cut(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            reply.cut_after = 600_000 if gets(web) % 2 else 300_000

    web.meddle = cut
    assert "can't be read" in refusal(open_store(f"{web.url}/m.tar", cache))
    assert gets(web) <= 2 * http_reader.TRIES


def test_a_look_that_takes_too_long_is_given_up(
    web: FileServer, cache: StoreCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_reader, "LOOK_SECONDS", 0.3)
    ended = threading.Event()
    web.files = {"/m.zip": b""}
    web.meddle = lambda asked, reply: ended.wait(20)
    started = time.monotonic()
    try:
        text = refusal(open_store(f"{web.url}/m.zip", cache))
    finally:
        ended.set()
    assert text == f"{web.url}/m.zip can't be read: the store does not answer"
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("file:///etc/passwd", "it redirects to file:///etc/passwd, which is no web address"),
        ("/m.zip", "its server redirects too often"),
    ],
)
def test_redirects_that_lead_nowhere(
    web: FileServer, cache: StoreCache, target: str, says: str
) -> None:
    def redirect(asked: Asked, reply: Reply) -> None:
        reply.status, reply.body = 302, b""
        reply.headers = {"Location": target, "Content-Length": "0"}

    web.files = {"/m.zip": b""}
    web.meddle = redirect
    assert (
        refusal(open_store(f"{web.url}/m.zip", cache)) == f"{web.url}/m.zip can't be read: {says}"
    )


def test_an_archive_that_just_fits(web: FileServer, tmp_path: Path) -> None:
    files = a_version(100_000)
    packed = web.files["/m.tar"] = tar(files, "w")
    needed = len(packed) + sum(map(len, files.values()))
    assert fetch_all(open_store(f"{web.url}/m.tar", StoreCache(tmp_path / "a", needed))) == {
        1: files
    }
    text = refusal(open_store(f"{web.url}/m.tar", StoreCache(tmp_path / "b", needed - 1)))
    assert f"m.tar needs {needed} bytes in the store cache" in text
