"""The list of files at the end of a zip file, which zipfile reads into memory whole: it takes
ten times the room there.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES = 22, 56, 20
_TAIL = 0xFFFF + _END_BYTES + _END_64_BYTES + _LOCATOR_BYTES
"""A comment may follow the end."""


def zip_list_bytes(archive: Path) -> int:
    """How large the list at a zip file's end says it is; 0: it has no end."""
    with archive.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        tail = file.read()
        end = len(tail) - _END_BYTES
        # Where zipfile looks for it: without a comment, else the last one.
        if end < 0 or not tail.startswith(_END, end) or any(tail[-2:]):
            end = tail.rfind(_END)
        if not 0 <= end <= len(tail) - _END_BYTES:
            return 0
        sizes = [int(struct.unpack_from("<L", tail, end + 12)[0])]
        locator = end - _LOCATOR_BYTES
        if locator < 0 or not tail.startswith(_LOCATOR_64, locator):
            return sizes[0]
        places = [tail[max(0, locator - _END_64_BYTES) : locator]]
        try:
            file.seek(struct.unpack_from("<Q", tail, locator + 8)[0])
            places.append(file.read(_END_64_BYTES))
        except (OSError, OverflowError):
            pass  # Beyond its end: zipfile refuses that.
    found = [each for each in places if each.startswith(_END_64) and len(each) == _END_64_BYTES]
    sizes = [int(struct.unpack_from("<Q", each, 40)[0]) for each in found]
    return max(sizes, default=0)
