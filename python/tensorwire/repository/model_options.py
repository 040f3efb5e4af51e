"""What the core is told of a version when it is loaded."""

from __future__ import annotations

from pathlib import Path

from tensorwire.config import ServeConfig

from .model_config import ModelConfig


def model_options(config: ServeConfig, model: ModelConfig, folder: Path) -> str:
    """A version's options as JSON, as `_core.Engine.load` takes them: what is said of its
    model, else the server's settings.

    Raises ConfigError for a file in its folder that can't be read, and for what is said of its
    model and can't be.
    """
    return config.version_options(model.name, folder, model.batching, model.options)
