from pathlib import Path

import pytest
from google.protobuf import text_format

from tensorwire.errors import ConfigError
from tensorwire.messages import new_message
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.policy import All, Latest, Specific
from tensorwire.repository.server_config import (
    added_model,
    message_of,
    models_of,
    parse_server_config,
)


def listed(text: str, *current: str) -> list[ModelConfig]:
    message = new_message("tensorflow.serving.ModelServerConfig")
    known = {name: ModelConfig(name, "/known") for name in current}
    return models_of(text_format.Parse(f"model_config_list {{ {text} }}", message), known)


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
    assert added_model(message, {}).path == "s3://bucket/m"


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "models"
    assert parse_server_config(file, b"# nothing\n") is None
    assert parse_server_config(file, b"model_config_list {}") == []
    with pytest.raises(ConfigError, match=f"{file}, line 2: "):
        parse_server_config(file, b"model_config_list {\n  config { nam: 1 }\n}")
