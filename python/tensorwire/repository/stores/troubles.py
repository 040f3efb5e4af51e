"""What went wrong with a store, as one sentence without secrets."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator

from tensorwire.errors import ModelLoadError

from .location import scheme_of, shown, without_secrets

MAX_REASON_CHARACTERS = 300

_OF_ONE_REQUEST = re.compile(
    r"(?i)\(?\b(x-[a-z-]*)?request[ -]?id: *[^\s)]+\)?|\btime: *\d[^\s]*", re.ASCII
)
"""What Azure and Hugging Face add to their messages: with it, each would be another one."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_ACCESS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, and for a store that is not "
    "Amazon's AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or "
    "AZURE_STORAGE_CONNECTION_STRING",
    "hf": "HF_TOKEN",
}
_ACCESS |= {"s3a": _ACCESS["s3"], "gcs": _ACCESS["gs"]}
_ACCESS |= {"abfs": _ACCESS["az"], "abfss": _ACCESS["az"]}


class Torn(Exception):
    """What a store sent is not what it said it would send; a second try may do."""


class Refused(Exception):
    """What a store's HTTP server said in place of the file, and won't change by asking again."""


def cancelled(location: str) -> ModelLoadError:
    """For a fetch that was given up."""
    return ModelLoadError(f"fetching {shown(location)} was cancelled")


def is_permanent(error: BaseException) -> bool:
    """Asking again at once would bring the same."""
    kinds = (
        FileNotFoundError,
        PermissionError,
        NotADirectoryError,
        Refused,
        ValueError,
        TypeError,
    )
    return isinstance(error, kinds) or not isinstance(error, Exception) or _no_access(error)


def is_no_room(error: OSError) -> bool:
    """The disk, or what may be used of it, is full."""
    return error.errno in _NO_ROOM


@contextlib.contextmanager
def told_of(location: str) -> Iterator[None]:
    """Makes what a library raises inside a ModelLoadError about this location."""
    try:
        yield
    except ModelLoadError:
        raise
    except Exception as error:
        raise ModelLoadError(sentence(location, error)) from error


def sentence(location: str, error: BaseException) -> str:
    """What is wrong, and where it helps what to do."""
    name = shown(location)
    if isinstance(error, FileNotFoundError):
        return f"{name} does not exist{_in_brackets(error, name)}"
    if isinstance(error, PermissionError) or _no_access(error):
        hint = _ACCESS.get(scheme_of(location))
        advice = f"; access is given by {hint}" if hint else ""
        return f"{name} may not be read: {reason_of(error)}{advice}"
    if "TooManyRedirects" in _kinds(error):
        return f"{name} can't be read: its server redirects too often"
    if "RedirectClientError" in _kinds(error):
        return f"{name} can't be read: it redirects to {reason_of(error)}, which is no web address"
    if "TimeoutError" in _kinds(error):
        return f"{name} can't be read: the store does not answer"
    return f"{name} can't be read: {reason_of(error)}"


def reason_of(error: BaseException) -> str:
    """The error's own words, on one line, bounded, without secrets, and the same for the same
    error of another request."""
    words = _OF_ONE_REQUEST.sub("", str(error)).split()
    text = without_secrets(" ".join(words)).rstrip(".")
    if not text:
        text = type(error).__name__
    if len(text) > MAX_REASON_CHARACTERS:
        text = text[:MAX_REASON_CHARACTERS] + "..."
    return text


def _in_brackets(error: BaseException, name: str) -> str:
    """What the store said, where that is more than the name again."""
    reason = reason_of(error)
    known = name.partition("://")[2].strip("/")
    says_more = " " in reason and "No such file" not in reason
    return f" ({reason})" if says_more and known not in reason else ""


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _no_access(error: BaseException) -> bool:
    """Errors of libraries that are not imported here, known by their names."""
    unknown = {
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("ClientAuthenticationError", "DefaultCredentialsError", "RefreshError"),
        *("GatedRepoError", "ProfileNotFound", "NoAuthTokenError"),
    }
    return bool(_kinds(error) & unknown)
