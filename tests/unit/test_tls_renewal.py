"""What is taken up of certificates that are renewed on disk, look by look."""

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from tensorwire import _core
from tensorwire.config.network import TlsConfig
from tensorwire.pem import Pem
from tensorwire.tls_renewal import TlsRenewal


class NotingListener:
    """A listener that keeps the certificates it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def renew_tls(self, options: str) -> None:
        self.given.append(json.loads(options)["certificate"]["text"])


class Files:
    """The certificate and key of a server, and what has come of their changes."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        for each in (self.certificate, self.key):
            each.write_text("first")
        self.config = TlsConfig(Pem(self.certificate), Pem(self.key))
        self.renewal = TlsRenewal(self.config)
        self.listener = NotingListener()

    def looks(self, count: int = 2) -> list[str]:
        """All that was taken up, after so many looks."""
        for _ in range(count):
            self.renewal.look(cast(_core.Server, self.listener))
        return self.listener.given


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_nothing_changes(files: Files) -> None:
    assert files.looks(5) == []


def test_a_change_is_taken_once_it_is_whole(files: Files) -> None:
    files.certificate.write_text("second")
    assert files.looks(1) == []
    files.key.write_text("second")
    assert files.looks(1) == []
    assert files.looks(3) == ["second"]


def test_a_change_before_the_listener_is_there(files: Files) -> None:
    """Whatever was read for it: this is looked at again."""
    files.certificate.write_text("second")
    assert files.looks() == ["second"]


def test_a_file_that_is_gone_for_a_while(files: Files) -> None:
    files.key.unlink()
    assert files.looks(3) == []
    files.key.write_text("second")
    assert files.looks() == ["first"]


def test_a_file_with_the_times_and_the_length_of_the_old(files: Files) -> None:
    before = files.certificate.stat()
    files.certificate.write_text("other")
    os.utime(files.certificate, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.looks() == ["other"]


def test_a_file_that_can_be_read_only_later(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As programs leave it that renew certificates, and give them away afterwards."""
    reading = Path.read_bytes

    def forbidden(path: Path) -> Any:
        if path.stat().st_mode & 0o777 == 0o600:
            raise PermissionError(13, "Permission denied")
        return reading(path)

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    files.certificate.write_text("second")
    files.certificate.chmod(0o600)
    assert files.looks(3) == []
    assert caplog.text.count("are not taken") == 1
    files.certificate.chmod(0o640)
    assert files.looks() == ["second"]
