"""When what a followed file says is taken: looked at by hand, no thread and no sleep."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from tensorwire.errors import ConfigError
from tensorwire.repository.config_watch import ConfigWatch, ModelsFile
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.toml_models import TomlModels


class Followed:
    """A file whose words are names of models; "none" is a file that says nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parsed: list[bytes] = []
        self.applied: list[list[str]] = []
        path.write_text("a")
        self.watch = ConfigWatch(ModelsFile(path, self._parse), self._apply, 1.0)
        assert [each.name for each in self.watch.first()] == ["a"]

    def write(self, text: str) -> "Followed":
        self.path.write_text(text)
        return self

    def look(self, times: int) -> list[bool]:
        return [self.watch.look() for _ in range(times)]

    def _parse(self, content: bytes) -> list[ModelConfig] | None:
        self.parsed.append(content)
        words = content.decode().split()
        if "bad" in words:
            raise ConfigError(f"{words} is bad")
        return None if words == ["none"] else [ModelConfig(word, f"/{word}") for word in words]

    def _apply(self, models: Sequence[ModelConfig]) -> None:
        self.applied.append([each.name for each in models])


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path / "models")


def test_what_changed_is_taken_once_it_is_quiet(followed: Followed) -> None:
    assert followed.look(2) == [True, True]
    # As an editor writes it, or `cp`: each half is a file that could be meant.
    for text in ("", "b", "b c"):
        assert followed.write(text).look(1) == [False]
    assert followed.applied == []
    assert followed.look(2) == [True, True]
    assert followed.applied == [["b", "c"]]
    # And back before anybody believed it.
    followed.write("").look(1)
    assert followed.write("b c").look(2) == [True, True]
    assert followed.applied == [["b", "c"]]


def test_a_file_that_is_as_it_was_is_not_read_again(followed: Followed) -> None:
    followed.look(5)
    followed.write("b").look(5)
    assert followed.parsed == [b"a", b"b"]


def test_what_is_wrong_changes_nothing_and_is_told_once(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "tensorwire.repository"):
        followed.write("bad").look(4)
        followed.write("none").look(3)
        followed.path.unlink()
        followed.look(2)
        followed.write("a").look(3)
        followed.write("c").look(3)
    assert followed.applied == [["c"]]
    assert caplog.messages == [
        "['bad'] is bad; the models stay as they are",
        f"{followed.path} can't be read: No such file or directory; the models stay as they are",
    ]


def test_an_empty_toml_file_says_nothing(tmp_path: Path) -> None:
    models = TomlModels(tmp_path / "tensorwire.toml")
    assert models.parse(b"") is None
    assert models.parse(b"# later\n") is None
    assert models.parse(b"[server]\n") == []
