"""A model's URL: what of it may be told, what tells it from others, and what it ends in."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

ARCHIVE_ENDINGS = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"),
    ".zip",
)
KERAS_ENDINGS = (".keras", ".h5", ".hdf5")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>)\]]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"//[^/\s]*@")

_CONTAINER_SCHEMES = ("abfs", "abfss", "az")
"""What stands before their @ is a container, not a user."""

_OF_A_SIGNATURE = re.compile(
    r"(?i)x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|token|access_token"
    r"|policy|key-pair-id|sig"
)
"""Names in the query of a signed URL: Amazon's, Google's, CloudFront's, Azure's."""

_BESIDE_SIG = re.compile(r"(?i)s[tevpri]|spr|sip|sk[tesv]|skoid|sktid")
"""Names that belong to Azure's signature, where there is one."""


def shown(location: str) -> str:
    """The URL as messages and logs have it: without user, password and query. What is no
    URL stays as it is."""
    if not _SCHEME.match(location):
        return location
    plain = location.partition("?")[0].partition("#")[0]
    scheme = plain.partition("://")[0].lower()
    return plain if scheme in _CONTAINER_SCHEMES else _USER.sub("//", plain, count=1)


def without_secrets(text: str) -> str:
    """A library's message with every URL in it as `shown` has it."""
    return _URL.sub(lambda match: shown(match[0]), text)


def scheme_of(location: str) -> str:
    """`s3` of `s3://bucket/model`."""
    return location.partition("://")[0].lower()


def ends_in(location: str, endings: tuple[str, ...]) -> bool:
    """Whether the path of the URL has one of these endings."""
    plain = location.partition("?")[0].partition("#")[0].lower()
    return plain.endswith(endings)


def last_part(location: str) -> str:
    """The name of the file that the URL is of."""
    return location.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]


def key_of(location: str, *further: object) -> str:
    """A name for a folder, the same exactly for the same location and the same further
    parts. A URL that was signed again is the same; one of another user is not."""
    parts = urlsplit(location)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name == "sig" for name, _ in query):
        query = [(name, value) for name, value in query if not _BESIDE_SIG.fullmatch(name)]
    query = [(name, value) for name, value in query if not _OF_A_SIGNATURE.fullmatch(name)]
    plain = urlunsplit((*parts[:3], urlencode(query), ""))
    text = "\0".join([plain.rstrip("/"), *map(str, further)])
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
