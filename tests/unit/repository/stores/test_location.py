import subprocess
import sys
from pathlib import Path

import pytest

from tensorwire.config import load_config
from tensorwire.errors import ConfigError
from tensorwire.repository.naming import name_models
from tensorwire.repository.source import open_source
from tensorwire.repository.stores import default_folder, filesystems, open_store
from tensorwire.repository.stores.filesystems import open_filesystem
from tensorwire.repository.stores.location import key_of, shown, without_secrets
from tensorwire.repository.stores.troubles import reason_of


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("s3://bucket/models/m", "s3://bucket/models/m"),
        ("https://ann:pass@host/m.zip?sig=x#y", "https://host/m.zip"),
        ("ftp://ann:p@ss@host/m", "ftp://host/m"),
        ("/models/a//b@c/m?x#y", None),
        ("abfs://container@account.dfs.core.windows.net/m", None),
    ],
)
def test_what_is_told_of_a_location(location: str, told: str | None) -> None:
    assert shown(location) == (told or location)


def test_messages_without_secrets() -> None:
    text = "404, message='Not Found', url='https://a:b@host/m?X-Amz-Signature=c', try again"
    assert without_secrets(text) == "404, message='Not Found', url='https://host/m', try again"


def test_keys() -> None:
    plain = key_of("https://host/m.zip?v=1", "a")
    assert plain == key_of("https://host/m.zip?v=1&X-Amz-Signature=x&Expires=3", "a")
    assert plain == key_of("https://host/m.zip?v=1&sig=x&se=2&sp=r", "a")
    others = ["https://host/m.zip?v=2", "https://host/m.zip", "https://host/n.zip?v=1"]
    keys = {plain, key_of("https://host/m.zip?v=1", "b"), *(key_of(each, "a") for each in others)}
    assert len(keys) == 5
    assert key_of("https://ann@host/m.zip") != key_of("https://bob@host/m.zip")


@pytest.mark.parametrize(
    ("location", "kind", "path"),
    [
        ("s3://bucket/m", "S3FileSystem", "bucket/m"),
        ("gs://bucket/m", "GCSFileSystem", "bucket/m"),
        ("az://container/m", "AzureBlobFileSystem", "container/m"),
        ("abfs://container@account.dfs.core.windows.net/m", "AzureBlobFileSystem", "container/m"),
        ("hf://owner/name/m", "HfFileSystem", "owner/name/m"),
        ("https://host/m.zip", "HTTPFileSystem", "https://host/m.zip"),
        ("memory://m", "MemoryFileSystem", "/m"),
    ],
)
def test_each_scheme_has_its_filesystem(
    location: str, kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    open_store(location)
    filesystem, opened = open_filesystem(location)
    kinds = {each.__name__ for each in type(filesystem).__mro__}
    assert kind in kinds
    assert opened == path


@pytest.mark.parametrize(
    ("location", "package", "says"),
    [
        ("s3://b/m", "s3fs", "s3://b/m needs s3fs: pip install 'tensorwire[s3]'"),
        ("gs://b/m", "gcsfs", "gs://b/m needs gcsfs: pip install 'tensorwire[gcs]'"),
        ("az://b/m", "adlfs", "az://b/m needs adlfs: pip install 'tensorwire[azure]'"),
        (
            *("http://h/m?sig=x", "aiohttp"),
            "http://h/m needs aiohttp: pip install 'tensorwire[http]'",
        ),
        (
            *("hf://a/b", "huggingface_hub"),
            "hf://a/b needs huggingface_hub: pip install 'tensorwire[hf]'",
        ),
        ("s3://b/m", "fsspec", "s3://b/m needs fsspec: pip install 'tensorwire[s3]'"),
        ("ftp://b/m", "fsspec", "ftp://b/m needs fsspec: pip install fsspec"),
    ],
)
def test_a_package_that_is_missing(
    location: str, package: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_is_installed", lambda name: name != package)
    with pytest.raises(ConfigError) as caught:
        open_store(location)
    assert str(caught.value) == says


def test_a_scheme_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="no store is known for s4://; known are s3://, gs://"):
        open_store("s4://bucket/m")


def test_a_start_without_stores_does_not_pay_for_them() -> None:
    program = (
        "import sys, tensorwire, tensorwire.cli.serve\n"
        "from tensorwire.repository.source import open_source\n"
        "open_source('/tmp')\n"
        "print({'fsspec', 's3fs', 'aiohttp', 'tensorwire.repository.stores.cache'} "
        "& set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_settings(tmp_path: Path) -> None:
    config = load_config({"store_cache": tmp_path / "x", "store_cache_size": "1GiB"}, environ={})
    cache = config.stores.open_cache()
    assert (cache.folder, cache.limit) == (tmp_path / "x", 1 << 30)
    assert load_config(environ={}).stores.open_cache().folder == default_folder()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        load_config({"store_cache": tmp_path / "file"})


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://ann:pass@host/", "host"),
        ("https://host/m.tar.zst?token=x", "m"),
        ("https://host/m.tbz2", "m"),
        ("s3://bucket", "bucket"),
        ("s3://bucket/models/m/", "m"),
    ],
)
def test_what_a_model_at_a_url_is_called(location: str, name: str) -> None:
    (model,) = name_models(location)
    assert model.name == name


def test_an_error_of_two_requests_is_told_alike() -> None:
    """It is logged when it changes."""
    azure = (
        "Server failed to authenticate.\nRequestId:{}\nTime:2026-01-0{}T00:00:00Z\nErrorCode:No"
    )
    hugging_face = "401 Client Error. (Request ID: Root=1-6{};{})\n\nRepository Not Found."
    for text in (azure, hugging_face):
        told = {reason_of(OSError(text.format(number, number))) for number in (1, 2)}
        assert len(told) == 1, told
    assert reason_of(OSError(hugging_face)) == "401 Client Error. Repository Not Found"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("http://[::1/m.zip?sig=x", "http://[::1/m.zip is no URL: Invalid IPv6 URL"),
        ("s3://", "s3:// names no model: give its folder or file after s3://"),
    ],
)
def test_what_is_no_url(location: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(location)
    assert str(caught.value) == says


def test_schemes_in_capitals() -> None:
    filesystem, path = open_filesystem("MEMORY://m/X")
    assert (type(filesystem).__name__, path) == ("MemoryFileSystem", "/m/X")
