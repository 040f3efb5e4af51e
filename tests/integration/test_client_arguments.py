"""What the clients are given that can't be: one sentence, about the model and the server."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from stub_server import MODEL, StubServer

import tensorwire as tw
from tensorwire import errors

X = {"x": np.ones((1, 2), np.float32)}
NOBODY = "localhost:1"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"timeout": -1}, "timeout must be a number of seconds, 0 or more, or None for no limit"),
        ({"timeout": 1e300}, "timeout must be a number of seconds, at most 1e+11"),
        ({"retry": 3}, "retry must be a tensorwire.Retry, or None for no retries; got 3"),
        ({"keepalive": 5}, "keepalive must be a tensorwire.Keepalive, or None; got 5"),
        ({"metadata": {"a": 1}}, "metadata 'a' must be a str or bytes; got 1"),
        ({"metadata": {1: "a"}}, "a key of metadata must be a str; got 1"),
        ({"metadata": 5}, "metadata must be a mapping of keys to values"),
        ({"metadata": ["ab"]}, "metadata must be pairs of a key and a value; got 'ab'"),
        ({"connect_timeout": None}, "connect_timeout must be a number of seconds, 0 or more"),
        ({"wait_for_ready": 1}, "wait_for_ready must be True or False; got 1"),
        ({"strings": "text"}, 'strings must be "bytes" or "str"; got \'text\''),
        ({"max_message_bytes": -1}, "max_message_bytes must be a whole number, 0 or more; got -1"),
    ],
)
@pytest.mark.parametrize("kind", [tw.Client, tw.AsyncClient])
def test_settings_that_cannot_be(kind: Any, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        kind(NOBODY, **settings)
    assert text in str(raised.value)


@pytest.mark.parametrize("target", [5, None, b"localhost:1", ["localhost:1", 5]])
def test_target_that_is_none(target: Any) -> None:
    with pytest.raises(
        errors.ConfigError, match='target must be an address, as "localhost:50051"'
    ):
        tw.Client(target)


def test_no_retry_is_none(server: StubServer) -> None:
    import grpc
    from stub_server import Refusal

    server.refusals.append(Refusal(grpc.StatusCode.UNAVAILABLE))
    with (
        tw.Client(server.address, retry=None) as client,
        pytest.raises(errors.UnavailableError),
    ):
        client.predict(MODEL, X)
    assert len(server.calls) == 1


CALLS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda client: client.predict(MODEL, {"x": "a"}), "input 'x' is float32, got 'a'"),
    (lambda client: client.predict(MODEL, {"x": {1}}), "input 'x' is of type set"),
    (lambda client: client.predict(MODEL, [1], signature="nope"), "no signature 'nope'"),
    (lambda client: client.predict(MODEL, [1], signature="two"), "has 2 inputs (a, b)"),
    (lambda client: client.predict(MODEL), "needs inputs (x); none were given"),
    (lambda client: client.predict(MODEL, X, timeout=-1), "timeout must be"),
    (lambda client: client.predict(MODEL, X, version="1"), "version must be a whole number"),
    (lambda client: client.predict(MODEL, X, version=1, label="a"), "are both given"),
    (lambda client: client.predict(MODEL, X, label=1), "label must be a str; got 1"),
    (lambda client: client.predict(MODEL, X, outputs="x"), "write ['x']"),
    (lambda client: client.predict(MODEL, X, outputs=[1]), "outputs must be a list of names"),
    (lambda client: client.predict(MODEL, X, strings="s"), 'strings must be "bytes" or "str"'),
    (lambda client: client.predict(MODEL, X, metadata={"x": 1}), "metadata 'x' must be a str"),
    (lambda client: client.predict(MODEL, X, metadata={"a b": "1"}), "can't be sent"),
    (lambda client: client.predict(MODEL, X, wait_for_ready="no"), "wait_for_ready must be"),
    (lambda client: client.status(MODEL, version=-1), "version must be a whole number"),
    (lambda client: client.metadata(MODEL, timeout="1"), "timeout must be"),
    (lambda client: client.wait_until_ready(-1, MODEL), "timeout must be"),
]


@pytest.mark.parametrize(("call", "text"), CALLS)
def test_errors_name_the_model_and_the_server(
    client: tw.Client, server: StubServer, call: Callable[[Any], Any], text: str
) -> None:
    with pytest.raises(errors.TensorWireError) as raised:
        call(client)
    check(raised.value, text, server)


@pytest.mark.parametrize(("call", "text"), CALLS)
async def test_errors_of_the_async_client_do_too(
    server: StubServer, call: Callable[[Any], Any], text: str
) -> None:
    async with tw.AsyncClient(server.address, timeout=20) as client:
        with pytest.raises(errors.TensorWireError) as raised:
            await call(client)
    check(raised.value, text, server)


def check(error: errors.TensorWireError, text: str, server: StubServer) -> None:
    assert text in str(error)
    assert (error.model, error.target) == (MODEL, server.address)
    assert f"model {MODEL!r}" in str(error) and server.address in str(error)
    assert not server.calls


def test_model_that_is_no_name(client: tw.Client, server: StubServer) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="name of a model; got 5") as raised:
        client.predict(5, X)  # type: ignore[arg-type]
    assert (raised.value.model, raised.value.target) == (None, server.address)


def test_ranges_and_numpys_scalars_take_the_signatures_types(client: tw.Client) -> None:
    assert client.predict(MODEL, range(3))["x"].dtype == np.float32
    assert client.predict(MODEL, {"x": np.float64(1.5)})["x"].dtype == np.float32
    assert client.predict(MODEL, np.int64(3), signature="small")["n"].dtype == np.uint8
    assert client.predict(MODEL, {"x": np.array(1.5)})["x"].dtype == np.float64


def test_the_init_signature_is_no_choice(server: StubServer, client: tw.Client) -> None:
    inputs = {"x": (tf.float32, [None])}
    server.signatures = {"__saved_model_init_op": {}, "serving_default": inputs}
    for name in ["nope", "__saved_model_init_op"]:
        with pytest.raises(errors.FailedPreconditionError) as raised:
            client.predict(MODEL, [1], signature=name)
        assert raised.value.details == (
            f"there is no signature {name!r}; there is 'serving_default'"
        )
    assert "__saved_model_init_op" in client.metadata(MODEL).signatures


def test_inputs_may_be_left_out_where_none_are_needed(
    server: StubServer, client: tw.Client
) -> None:
    server.signatures = {"serving_default": {}}
    assert client.predict(MODEL) == {}
    with pytest.raises(errors.InvalidArgumentError, match="takes no inputs; leave them out"):
        client.predict(MODEL, [1])
