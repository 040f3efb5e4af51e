"""This server: `tensorwire serve`, asked in three ways."""

import sys
from collections.abc import Mapping
from pathlib import Path

from contestants.contestant import Contestant, Exchange
from contract import PREDICT, TEXT_PREDICT, Contract
from model import NAME, Model
from paths import WORK
from saved_model import SavedModel


def contestant(model: Model, contract: Contract) -> Contestant:
    """The headline is a Predict request with `tensor_content`, as numpy clients send it;
    beside it typed values, and the text that the seed's server gets."""

    def wrong(reply: bytes) -> str | None:
        return model.difference(contract.predict_reply(reply))

    def wrong_text(reply: bytes) -> str | None:
        return model.difference(contract.text_reply(reply))

    content = contract.predict_request(model.row, typed=False)
    typed = contract.predict_request(model.row, typed=True)
    text = contract.text_request(model.row)
    exchanges = [
        Exchange("tensorwire", "tensorwire, `tensor_content`", PREDICT, content, wrong),
        Exchange("tensorwire-typed", "tensorwire, `float_val`", PREDICT, typed, wrong),
        Exchange("tensorwire-text", "tensorwire, JSON text", TEXT_PREDICT, text, wrong_text),
    ]
    return serving("tensorwire", {NAME: model.folder}, exchanges)


def serving(
    key: str, models: Mapping[str, Path], exchanges: list[Exchange], *flags: str
) -> Contestant:
    """Serves these folders under these names, with defaults but for the flags."""
    ready_file = WORK / f"{key}.ready"
    named = [part for name, folder in models.items() for part in ("--model", f"{name}={folder}")]
    asked = [*named, "--port", "0", "--ready-file", str(ready_file), *flags]
    command = [sys.executable, "-m", "tensorwire", "serve", *asked]
    return Contestant(key, command, exchanges, ready_file=ready_file, health=True)


def serving_copies(key: str, model: SavedModel, copies: int, contract: Contract) -> Contestant:
    """Serves one model under so many names of one length, with an exchange for each."""

    def wrong(reply: bytes) -> str | None:
        return model.difference(contract.row_reply(reply, model))

    names = [f"{model.name}-{index:03}" for index in range(copies)]
    exchanges = [
        Exchange(
            # The headline of such a server is its first model.
            key if index == 0 else f"{key}-{index:03}",
            f"tensorwire, model {index + 1} of {copies}",
            PREDICT,
            contract.row_request(model, name),
            wrong,
        )
        for index, name in enumerate(names)
    ]
    return serving(key, dict.fromkeys(names, model.folder), exchanges)
