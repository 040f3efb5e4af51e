import errno
import logging
import os
import zipfile
from pathlib import Path

import pytest

from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.repository import local_source
from tensorwire.repository.local_source import LocalSource, list_versions
from tensorwire.repository.naming import name_from_path, name_models
from tensorwire.repository.source import ModelVersion, NoVersionsError, open_source


def saved_model(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"\x08\x01")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelLoadError) as caught:
        list_versions(path)
    return str(caught.value)


def test_a_saved_model_directory_is_version_1(tmp_path: Path) -> None:
    path = saved_model(tmp_path / "model")
    (version,) = list_versions(path)
    assert version == ModelVersion(1, str(path), stamp=version.stamp)
    assert version.stamp


def test_versions_are_numbers_and_nothing_else(tmp_path: Path) -> None:
    for name in ("00000123", "7", "latest", "-3", "+4", "1.5", "9" * 19, "9" * 200, "²"):
        saved_model(tmp_path / name)
    (tmp_path / "9").write_text("a file")
    assert [(each.number, each.location) for each in list_versions(tmp_path)] == [
        (7, str(tmp_path / "7")),
        (123, str(tmp_path / "00000123")),
    ]


def test_the_largest_version_is_int64s(tmp_path: Path) -> None:
    saved_model(tmp_path / str(2**63 - 1))
    saved_model(tmp_path / str(2**63))
    assert [each.number for each in list_versions(tmp_path)] == [2**63 - 1]


def test_two_names_of_one_number_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved_model(tmp_path / "01")
    saved_model(tmp_path / "1")
    with caplog.at_level(logging.WARNING, "tensorwire.repository"):
        source = LocalSource(tmp_path)
        for _ in range(2):
            assert [each.location for each in source.versions()] == [str(tmp_path / "1")]
    # Once, not at every poll.
    assert caplog.text.count("1 is used, not 01") == 1


def test_an_unfinished_version_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved_model(tmp_path / "1")
    (tmp_path / "2").mkdir()
    with caplog.at_level(logging.WARNING, "tensorwire.repository"):
        assert [each.number for each in list_versions(tmp_path)] == [1]
    assert f"{tmp_path / '2'} is passed over: it has no saved_model.pb" in caplog.text


def test_keras_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (tmp_path / "b.H5").write_bytes(b"\x89HDF\r\n\x1a\n...")
    for path in (tmp_path / "a.keras", tmp_path / "b.H5"):
        (version,) = list_versions(path)
        assert version == ModelVersion(1, str(path), True, version.stamp)
        assert version.stamp


def test_what_is_no_model_is_told_in_one_sentence(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone") == f"{tmp_path / 'gone'} does not exist"

    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == f"{tmp_path / 'empty'} is an empty directory"

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("x")
    assert "neither a saved_model.pb nor a version directory such as notes/1" in refusal(
        tmp_path / "notes"
    )

    (tmp_path / "hollow" / "3").mkdir(parents=True)
    assert refusal(tmp_path / "hollow") == (
        f"no version of {tmp_path / 'hollow'} is complete: version 3 has no saved_model.pb"
    )

    file = tmp_path / "model.onnx"
    file.write_bytes(b"x")
    assert "nor a .keras or .h5 file" in refusal(file)

    graph = saved_model(tmp_path / "m") / "saved_model.pb"
    assert (
        refusal(graph) == f"{graph} is part of a SavedModel: give its directory, {tmp_path / 'm'}"
    )

    (tmp_path / "bad.keras").write_bytes(b"PK\x03\x04 and then nothing of a zip")
    assert "corrupt or of another kind" in refusal(tmp_path / "bad.keras")
    (tmp_path / "none.h5").touch()
    assert "the file is empty" in refusal(tmp_path / "none.h5")

    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "ckpt.index").touch()
    assert "looks like a training checkpoint" in refusal(tmp_path / "trained")


def test_a_folder_of_models_leads_to_a_model(tmp_path: Path) -> None:
    saved_model(tmp_path / "models" / "mnist" / "1")
    assert f"did you mean {tmp_path / 'models' / 'mnist'}?" in refusal(tmp_path / "models")


def test_a_directory_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by its mode: root, which may run this, reads everything.
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(local_source.os, "scandir", refuse)
    assert "can't be read: Permission denied" in refusal(tmp_path)


def test_what_may_not_be_looked_into_stands_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, listdir = os.scandir, os.listdir

    def refuse(path: Path | str) -> None:
        if Path(path).name == "lost+found":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Not by its mode: root, which may run this, reads everything.
    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) or scandir(path))
    monkeypatch.setattr(os, "listdir", lambda path: refuse(path) or listdir(path))
    (tmp_path / "lost+found").mkdir()
    with pytest.raises(NoVersionsError, match="nor a version directory"):
        LocalSource(tmp_path).versions()
    # Links in a circle, as a version and in one.
    (tmp_path / "3").symlink_to("3")
    folder = saved_model(tmp_path / "2")
    (folder / "assets").symlink_to("assets")
    found = {each.number: each.incomplete for each in LocalSource(tmp_path).versions()}
    assert found[2] == ""
    assert found[3].startswith("can't be read: ")


def test_a_link_that_is_switched_over_is_another_version(tmp_path: Path) -> None:
    """Even if nothing else differs, as with files whose times were set."""
    link = tmp_path / "current"
    stamps = set()
    for name in ("a", "b"):
        graph = saved_model(tmp_path / name / "1") / "saved_model.pb"
        os.utime(graph, ns=(1, 1))
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)
        (version,) = LocalSource(link).versions()
        assert version.location == str(link / "1")
        stamps.add(version.stamp)
    assert len(stamps) == 2


def test_names(tmp_path: Path) -> None:
    (tmp_path / "net.keras").touch()
    assert name_from_path(tmp_path / "net.keras") == "net"
    assert name_from_path(tmp_path / "mnist") == "mnist"
    assert name_from_path(saved_model(tmp_path / "mnist" / "3")) == "mnist"
    assert [each.name for each in name_models(tmp_path / "a" / "")] == ["a"]
    assert [each.name for each in name_models([tmp_path / "a", str(tmp_path / "b")])] == ["a", "b"]
    named = name_models({"x": tmp_path / "a", "y": tmp_path / "a"})
    assert [(each.name, each.path) for each in named] == [
        ("x", str(tmp_path / "a")),
        ("y", str(tmp_path / "a")),
    ]


def test_two_models_of_one_name_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        name_models([tmp_path / "a" / "m", tmp_path / "b" / "m"])
    text = str(caught.value)
    assert str(tmp_path / "a" / "m") in text
    assert str(tmp_path / "b" / "m") in text
    assert "'m'" in text


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ([], "no model was given"),
        ({}, "no model was given"),
        ("/", "a model's name can't be empty"),
        ("", "path can't be empty"),
        ({"a/b": "x"}, "the model name 'a/b' can't contain '/'"),
        ({"a\n": "x"}, r"can't contain '\n'"),
    ],
)
def test_names_that_cannot_be(models: object, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        name_models(models)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_what_is_still_written_is_not_complete(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "m" / "1")
    variables = folder / "variables"
    variables.mkdir()
    said = []
    for name in ("data-00001-of-00002", "index", "data-00000-of-00002"):
        (variables / f"variables.{name}").write_bytes(b"x")
        said += [each.incomplete for each in LocalSource(tmp_path / "m").versions()]
    assert said == [
        "has no variables/variables.index",
        "has no variables/variables.data-00000-of-00002",
        "",
    ]
    # The folder itself, while its files are exchanged.
    (folder / "saved_model.pb").unlink()
    assert refusal(folder).endswith("version 1 has no saved_model.pb")


def test_a_stamp_changes_with_the_files_and_with_nothing_else(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "1")
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("a")
    (folder / "assets" / "up").symlink_to(folder)

    def stamp() -> str:
        (version,) = LocalSource(tmp_path).versions()
        return version.stamp

    first = stamp()
    assert stamp() == first
    (folder / "assets" / "words.txt").write_text("ab")
    second = stamp()
    assert second != first
    os.utime(folder / "saved_model.pb", ns=(1, 1))
    assert stamp() not in (first, second)


def test_what_can_be_seen_to_hold_nothing_differs_from_what_cannot_be_seen(
    tmp_path: Path,
) -> None:
    with pytest.raises(NoVersionsError):
        LocalSource(tmp_path).versions()
    with pytest.raises(ModelLoadError) as caught:
        LocalSource(tmp_path / "gone").versions()
    assert not isinstance(caught.value, NoVersionsError)


def test_a_url_of_a_file_is_a_path(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "my model" / "1")
    (version,) = open_source((tmp_path / "my model").as_uri()).versions()
    assert version.location == str(folder)
    with pytest.raises(ConfigError, match="no file: URL of this machine"):
        open_source("file://elsewhere/models")
