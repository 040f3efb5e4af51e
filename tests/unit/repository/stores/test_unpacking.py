import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tensorwire.errors import ModelLoadError
from tensorwire.repository.stores import unpacking, xz_file
from tensorwire.repository.stores.unpacking import BadArchiveError, Unpacking
from tensorwire.repository.stores.xz_file import XzFile
from tensorwire.repository.stores.zip_list import zip_list_bytes


def unpack(archive: Path, limit: int = 1 << 20) -> Path:
    def reserve(size: int) -> None:
        if size > limit + unpacking._STEP:
            raise ModelLoadError("no room")

    folder = archive.parent / "out"
    folder.mkdir()
    Unpacking(archive, folder, "https://host/m", reserve, threading.Event()).run()
    return folder


def a_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in values.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("name", ["/etc/passwd", "../out2/x", "a/../../x", "a\\..\\..\\x", ".."])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelLoadError, match="would lie outside of its folder"):
        unpack(a_tar(tmp_path / "m", member(name, size=1)))
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr(name, "x")
    (tmp_path / "out").rename(tmp_path / "tar")
    with pytest.raises(ModelLoadError, match="would lie outside of its folder"):
        unpack(tmp_path / "z")
    assert [each.name for each in sorted(tmp_path.rglob("*"))] == ["m", "out", "tar", "z"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (member("a", tarfile.SYMTYPE, linkname="/etc"), "'a' in it is a link"),
        (member("a", tarfile.LNKTYPE, linkname="b"), "'a' in it is a link"),
        (member("a", tarfile.CHRTYPE), "'a' in it is no plain file"),
        (member("a", tarfile.FIFOTYPE), "'a' in it is no plain file"),
    ],
)
def test_what_is_no_file(tmp_path: Path, bad: tarfile.TarInfo, says: str) -> None:
    with pytest.raises(BadArchiveError) as caught:
        unpack(a_tar(tmp_path / "m", bad))
    assert str(caught.value) == f"https://host/m is not unpacked: {says}"


def test_links_in_zip_files(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(BadArchiveError, match="'a' in it is a link"):
        unpack(tmp_path / "m")


def test_encrypted_zip_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr("a", "x")
    content = bytearray((tmp_path / "m").read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(BadArchiveError, match="'a' in it is encrypted"):
        unpack(tmp_path / "m")


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    with pytest.raises(BadArchiveError, match="File exists"):
        unpack(a_tar(tmp_path / "m", member("a", size=1), member("./a", size=1)))


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 3)
    with pytest.raises(BadArchiveError, match="it has more than 3 files"):
        unpack(a_tar(tmp_path / "m", *(member(str(number)) for number in range(4))))


def lying_zip(path: Path) -> Path:
    """It says that its file has 10 bytes; it has 30 MiB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(30 << 20))
    content = path.read_bytes()
    size = (30 << 20).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: a_tar(path, member("a", size=30 << 20)),
        lambda path: a_tar(path, *(member(f"a{n}", size=1 << 20) for n in range(30))),
        lying_zip,
    ],
)
def test_bombs(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(ModelLoadError, match=r"no room|broken archive"):
        unpack(make(tmp_path / "m"))
    written = sum(file.stat().st_size for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert written <= (1 << 20) + unpacking._STEP


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    folder = unpack(a_tar(tmp_path / "m", member("a", size=1, mode=0o6777, uid=12345)))
    assert (folder / "a").stat().st_mode & 0o7000 == 0
    assert (folder / "a").stat().st_mode & 0o111 == 0


def test_a_cancelled_one_ends(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    (tmp_path / "out").mkdir()
    archive = a_tar(tmp_path / "m", member("a", size=1))
    with pytest.raises(ModelLoadError, match="was cancelled"):
        Unpacking(archive, tmp_path / "out", "m", lambda size: None, cancelled).run()


def a_header(name: str, kind: bytes, size: int) -> bytes:
    return member(name, kind, size=size).tobuf(tarfile.GNU_FORMAT)[:512]


def gzipped(path: Path, *parts: bytes) -> Path:
    with gzip.open(path, "wb", 1) as file:
        for part in parts:
            file.write(part)
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_headers_that_would_fill_the_memory(tmp_path: Path, kind: bytes) -> None:
    """tarfile reads them whole, before anybody sees them."""
    size = 16 << 20
    after = a_header("a", tarfile.REGTYPE, 0)
    archive = gzipped(tmp_path / "m", a_header("x", kind, size), bytes(size), after, bytes(1024))
    assert archive.stat().st_size < 100_000
    with pytest.raises(BadArchiveError) as caught:
        unpack(archive)
    assert str(caught.value) == (
        "https://host/m is a broken archive: a header in it takes more than 1048576 bytes"
    )


def test_maps_of_holes_that_would_fill_the_memory(tmp_path: Path) -> None:
    first = bytearray(a_header("a", tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    more = (b"%011o\0" % 1 * 42 + b"\1").ljust(512, b"\0") * (8 << 10)
    with pytest.raises(BadArchiveError, match="a header in it takes more than"):
        unpack(gzipped(tmp_path / "m", bytes(first), more))


def test_headers_that_refer_to_headers(tmp_path: Path) -> None:
    chain = a_header("x", tarfile.GNUTYPE_LONGNAME, 0) * 2000
    with pytest.raises(BadArchiveError, match="broken archive"):
        unpack(gzipped(tmp_path / "m", chain, a_header("a", tarfile.REGTYPE, 0), bytes(1024)))


def test_long_names_and_attributes_are_taken(tmp_path: Path) -> None:
    name = "/".join(["d" * 100] * 3)
    folder = unpack(
        a_tar(tmp_path / "m", member(name, size=3, pax_headers={"comment": "c" * 999}))
    )
    assert (folder / name).read_bytes() == b"xxx"


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m", "w") as archive:
        for name in "abc":
            archive.addfile(member(name, size=512), io.BytesIO(b"x" * 512))
    content = bytearray((tmp_path / "m").read_bytes())
    content[1024] ^= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(BadArchiveError, match="what is at byte 1024 is no header"):
        unpack(tmp_path / "m")


def test_a_plain_tar_file_without_its_end(tmp_path: Path) -> None:
    """Cut off after a file that ends in zeros, as many do."""
    with tarfile.open(tmp_path / "m", "w") as archive:
        for name in "abc":
            archive.addfile(member(name, size=1024), io.BytesIO(bytes(1024)))
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[: 2 * 1536])
    with pytest.raises(BadArchiveError, match="its end is missing"):
        unpack(tmp_path / "m")


def test_a_failing_disk_is_not_laid_to_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    archive = a_tar(tmp_path / "m", member("a", size=1))
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ModelLoadError) as caught:
        unpack(archive)
    assert not isinstance(caught.value, BadArchiveError)
    folder = tmp_path / "out"
    assert str(caught.value) == (
        f"https://host/m can't be unpacked in {folder}: Too many open files"
    )


@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_lists_of_zip_files(tmp_path: Path, comment: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for number in range(10):
            archive.writestr(f"{number}", "x")
        archive.comment = comment
    assert zip_list_bytes(tmp_path / "m") == 10 * 47
    (tmp_path / "none").write_bytes(b"PK")
    assert zip_list_bytes(tmp_path / "none") == 0


@pytest.mark.parametrize("far", [False, True])
def test_a_list_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    monkeypatch.setattr(unpacking, "MAX_ZIP_LIST_BYTES", 400)
    if far:
        # As in files of more than 4 GiB.
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for number in range(10):
            archive.writestr(f"{number}", "x")
    assert (b"PK\x06\x06" in (tmp_path / "m").read_bytes()) == far
    with pytest.raises(BadArchiveError) as caught:
        unpack(tmp_path / "m")
    assert str(caught.value) == (
        "https://host/m is not unpacked: its list of files has 470 bytes, more than 400"
    )


def xz_of(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def test_xz_files_are_read_as_lzma_reads_them(tmp_path: Path) -> None:
    one, two = os.urandom(3 << 20), bytes(5 << 20)
    packed = [lzma.compress(one), bytes(8), lzma.compress(two), bytes(4)]
    with XzFile(xz_of(tmp_path / "m", *packed)) as file:
        assert b"".join(iter(lambda: file.read(70_001), b"")) == one + two
    with XzFile(xz_of(tmp_path / "cut", packed[0][:-1])) as file, pytest.raises(EOFError):
        while file.read(1 << 20):
            pass


def test_an_xz_file_that_asks_for_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(member("a", size=1), io.BytesIO(b"x"))
    archive_of = lzma.compress(plain.getvalue(), preset=9)
    monkeypatch.setattr(xz_file, "MAX_MEMORY_BYTES", 1 << 20)
    with pytest.raises(BadArchiveError, match="broken archive: Memory usage limit"):
        unpack(xz_of(tmp_path / "m", archive_of))
