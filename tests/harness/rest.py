"""TensorFlow Serving's REST API, asked over HTTP/1.1 by the standard library."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of an error, which is all that its page says."""
        [(key, message)] = self.json.items()
        assert key == "error"
        return message


class RestClient:
    """A client of one server, with a connection that it keeps."""

    def __init__(self, port: int):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "RestClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        self.connection.request(method, path, data, dict(headers or {}))
        response = self.connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, model: str, body: Any, method: str = "predict", **headers: str) -> Answer:
        """`model` is what stands between `/v1/models/` and the method; a body that is no
        text is sent as JSON."""
        text = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.ask("POST", f"/v1/models/{model}:{method}", text, headers)

    def predict(self, model: str, body: Any) -> Any:
        """The predictions or outputs."""
        answer = self.post(model, body)
        assert answer.status == 200, answer.body
        [(key, value)] = answer.json.items()
        assert key == ("predictions" if "instances" in body else "outputs")
        return value
