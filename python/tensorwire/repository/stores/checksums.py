"""Checksums that stores give of their files, in their many spellings, and what computes
the same of what has arrived.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_MD5_HEX = re.compile(r"[0-9a-f]{32}")


class Hasher(Protocol):
    """Computes a checksum piece by piece."""

    def update(self, data: bytes, /) -> object:
        """Takes the next piece."""

    def digest(self) -> bytes:
        """Of all pieces so far."""


@dataclass(frozen=True)
class Checksum:
    """What a file's content must come to."""

    algorithm: str
    """`md5`, `sha256`, `crc32c`, or `git`: the SHA-1 of a git blob."""

    digest: bytes

    def hasher(self, size: int) -> Hasher:
        """One that has seen nothing of a file of `size` bytes."""
        if self.algorithm == "crc32c":
            made: Hasher = importlib.import_module("google_crc32c").Checksum()
            return made
        if self.algorithm == "git":
            return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        if self.algorithm == "md5":
            return hashlib.md5(usedforsecurity=False)
        return hashlib.new(self.algorithm)


def of_object(scheme: str, info: Mapping[str, Any]) -> Checksum | None:
    """The checksum in what a filesystem says of a file; None: there is none."""
    if scheme in ("s3", "s3a"):
        return _of_s3(info)
    if scheme in ("gs", "gcs"):
        return _encoded("md5", info.get("md5Hash")) or _crc32c(info.get("crc32c"))
    if scheme in ("az", "abfs", "abfss"):
        given = getattr(info.get("content_settings"), "content_md5", None)
        return Checksum("md5", bytes(given)) if given and len(given) == 16 else None
    if scheme == "hf":
        return _of_hugging_face(info)
    return None


def of_headers(headers: Mapping[str, str]) -> Checksum | None:
    """The checksum in an HTTP reply's headers; None: there is none."""
    for field in ("Repr-Digest", "Digest"):
        for part in headers.get(field, "").split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "sha-256":
                return _encoded("sha256", value.strip(":"))
    return _encoded("md5", headers.get("Content-MD5"))


def _of_s3(info: Mapping[str, Any]) -> Checksum | None:
    # The etag of one that came in parts is no MD5, and has a dash.
    etag = str(info.get("ETag", "")).strip('"').lower()
    if not _MD5_HEX.fullmatch(etag):
        return None
    return Checksum("md5", bytes.fromhex(etag))


def _of_hugging_face(info: Mapping[str, Any]) -> Checksum | None:
    large = info.get("lfs")
    digest = large.get("sha256") if isinstance(large, Mapping) else None
    if digest:
        return Checksum("sha256", bytes.fromhex(str(digest)))
    blob = str(info.get("blob_id") or "")
    return Checksum("git", bytes.fromhex(blob)) if len(blob) == 40 and not large else None


def _crc32c(value: Any) -> Checksum | None:
    if importlib.util.find_spec("google_crc32c") is None:
        return None
    return _encoded("crc32c", value)


def _encoded(algorithm: str, value: Any) -> Checksum | None:
    if not value:
        return None
    try:
        return Checksum(algorithm, base64.b64decode(str(value), validate=True))
    except binascii.Error:
        return None
