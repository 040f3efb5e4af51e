import logging
from pathlib import Path

import pytest
from google.protobuf import text_format

from tensorwire.errors import ConfigError
from tensorwire.messages import new_message
from tensorwire.repository.config_watch import ConfigWatch
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.policy import All, Latest, Specific
from tensorwire.repository.server_config import (
    added_model,
    message_of,
    models_of,
    read_server_config,
)


def listed(text: str, *current: str) -> list[ModelConfig]:
    message = new_message("tensorflow.serving.ModelServerConfig")
    return models_of(text_format.Parse(f"model_config_list {{ {text} }}", message), current)


def config(more: str = "", name: str = "m", platform: str = "tensorflow") -> str:
    return f'config {{ name: "{name}" base_path: "/m" model_platform: "{platform}" {more} }} '


def test_models_and_back() -> None:
    text = (
        config("model_version_policy { latest { num_versions: 0 } }", "a")
        + config("model_version_policy { all {} }", "b")
        + config(
            'model_version_policy { specific { versions: 3 } } version_labels { key: "x" '
            "value: 3 }",
            "c",
        )
        + config(name="d", platform="").replace('model_platform: ""', "model_type: TENSORFLOW")
    )
    models = listed(text)
    assert [each.versions for each in models] == [Latest(1), All(), Specific(frozenset({3})), None]
    assert models[2].labels == {"x": 3}
    again = models_of(message_of(reversed(models)))
    assert again[:3] == models[:3]
    assert again[3].policy == Latest(1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (config() + config(), "Illegal to list model m multiple times in config list"),
        (
            'config { name: "m" base_path: "m" model_platform: "tensorflow" }',
            "Expected model m to have an absolute path or URI; got base_path()=m",
        ),
        (config(platform="caffe"), "Model m requests unsupported platform caffe"),
        (
            config(platform=""),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            config(name="old", platform="caffe"),
            "Illegal to change a model's platform. For model old platform was tensorflow and "
            "new platform requested is caffe",
        ),
    ],
)
def test_refusals_are_tensorflow_servings(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        listed(text, "old")
    assert str(caught.value) == says


def test_what_is_no_list() -> None:
    with pytest.raises(ConfigError, match="Only ModelConfigList is currently supported"):
        models_of(new_message("tensorflow.serving.ModelServerConfig"))


def test_a_model_added_by_itself_needs_no_platform() -> None:
    message = new_message("tensorflow.serving.ModelServerConfig").model_config_list.config.add(
        name="m", base_path="s3://bucket/m"
    )
    assert added_model(message, ()).path == "s3://bucket/m"


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "models"
    file.write_text("# nothing\n")
    assert read_server_config(file) is None
    file.write_text("model_config_list {}")
    assert read_server_config(file) == []
    file.write_text("model_config_list {\n  config { nam: 1 }\n}")
    with pytest.raises(ConfigError, match=f"{file}, line 2: "):
        read_server_config(file)


def test_a_file_is_applied_when_it_changes_and_never_when_it_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    contents: list[list[ModelConfig] | Exception | None] = []
    applied: list[object] = []

    def read() -> list[ModelConfig] | None:
        content = contents[-1]
        if isinstance(content, Exception):
            raise content
        return content

    watch = ConfigWatch(read, applied.append, 1.0)
    one, two = [ModelConfig("a", "/a")], [ModelConfig("b", "/b")]
    contents.append(one)
    assert watch.first() == one
    with caplog.at_level(logging.ERROR, "tensorwire.repository"):
        for content in (one, two, two, ConfigError("bad"), ConfigError("bad"), two, None, one):
            contents.append(content)
            watch.look()
    assert applied == [two, one]
    assert caplog.messages == ["bad; the models stay as they are"]
