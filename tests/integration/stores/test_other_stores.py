"""The other schemes: Google's against an emulator process; Azure and Hugging Face by what
their filesystems say of files, for there is no server of theirs to be had from PyPI.
"""

import base64
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from stores_support import a_version, contents

from harness.server_process import START_SECONDS
from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher
from tensorwire.repository.stores import checksums, open_store
from tensorwire.repository.stores.cache import StoreCache
from tensorwire.repository.stores.checksums import Checksum

EMULATOR = """
import sys
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
server.start()
while server._api._httpd is None:
    pass
print(server._api._httpd.server_port, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    """The address of a server of Google's kind, with a bucket."""
    command = [sys.executable, "-c", EMULATOR]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            end = time.monotonic() + START_SECONDS
            line = ""
            while not line.strip().isdecimal() and time.monotonic() < end:
                line = process.stdout.readline()
            with pytest.MonkeyPatch.context() as patch:
                url = f"http://127.0.0.1:{int(line)}"
                patch.setenv("STORAGE_EMULATOR_HOST", url)
                yield url
        finally:
            process.kill()


def upload(url: str, name: str, content: bytes) -> None:
    quoted = name.replace("/", "%2F")
    request = urllib.request.Request(
        f"{url}/upload/storage/v1/b/bucket/o?uploadType=media&name={quoted}",
        data=content,
        headers={"Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.load(reply)["name"] == name


def test_google(google: str, cache: StoreCache) -> None:
    files = {name: content for name, content in a_version(300_000).items() if content}
    for name, content in files.items():
        upload(google, f"models/m/3/{name}", content)
    source = open_store("gs://bucket/models/m", cache)
    (version,) = source.versions()
    assert (version.number, version.incomplete) == (3, "")
    assert contents(source.fetch(version, FetchWatcher())) == files
    upload(google, "models/m/3/assets/more.txt", b"more")
    assert source.versions()[0].stamp != version.stamp
    with pytest.raises(ModelLoadError, match=r"^gs://bucket/none"):
        open_store("gs://bucket/none", cache).versions()


def test_checksums_of_stores() -> None:
    content = b"content of a file"
    md5 = hashlib.md5(content).digest()
    cases = [
        ("s3", {"ETag": f'"{md5.hex()}"'}, "md5"),
        ("s3", {"ETag": f'"{md5.hex()}-3"'}, None),
        ("gs", {"md5Hash": base64.b64encode(md5).decode(), "crc32c": "AAAAAA=="}, "md5"),
        ("gs", {"crc32c": base64.b64encode(_crc32c(content)).decode()}, "crc32c"),
        ("az", {"content_settings": SimpleNamespace(content_md5=bytearray(md5))}, "md5"),
        ("az", {"content_settings": SimpleNamespace(content_md5=None)}, None),
        ("hf", {"lfs": {"sha256": hashlib.sha256(content).hexdigest()}, "blob_id": "1"}, "sha256"),
        ("hf", {"lfs": None, "blob_id": _git(content)}, "git"),
        ("memory", {}, None),
    ]
    for scheme, info, algorithm in cases:
        checksum = checksums.of_object(scheme, info)
        assert (checksum and checksum.algorithm) == algorithm, info
        if checksum is not None:
            assert computed(checksum, content) == checksum.digest, info
            assert computed(checksum, content + b"!") != checksum.digest, info


def test_checksums_of_web_servers() -> None:
    content = b"content of a file"
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    for headers in ({"Repr-Digest": f"sha-256=:{sha256}:"}, {"Digest": f"SHA-256={sha256}"}):
        checksum = checksums.of_headers(headers)
        assert checksum is not None
        assert computed(checksum, content) == checksum.digest
    assert checksums.of_headers({"Content-MD5": "no base64"}) is None


def computed(checksum: Checksum, content: bytes) -> bytes:
    hasher = checksum.hasher(len(content))
    hasher.update(content[:5])
    hasher.update(content[5:])
    return hasher.digest()


def _git(content: bytes) -> str:
    made = subprocess.run(
        ["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True
    )
    return made.stdout.decode().strip()


def _crc32c(content: bytes) -> bytes:
    """By its definition, bit by bit."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return (value ^ 0xFFFFFFFF).to_bytes(4, "big")
