"""This server: `tensorwire serve`, asked in three ways."""

import sys

from contestants.contestant import Contestant, Exchange
from contract import PREDICT, TEXT_PREDICT, Contract
from model import NAME, Model
from paths import WORK


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
    ready_file = WORK / "tensorwire.ready"
    served = ["--model", f"{NAME}={model.folder}", "--port", "0", "--ready-file", str(ready_file)]
    command = [sys.executable, "-m", "tensorwire", "serve", *served]
    return Contestant("tensorwire", command, exchanges, ready_file=ready_file, health=True)
