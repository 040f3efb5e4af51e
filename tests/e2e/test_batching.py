"""Requests that are there together run together, and each gets its own answer."""

from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from harness.predict import PredictionClient, predict_request
from harness.queueing import (
    Batches,
    batches,
    queue_up,
    send_all,
    until,
    wait_idle,
)
from harness.server_process import ServerProcess, model_arguments

# The same models by names of their own, with what is said of each below. One that has
# `num_batch_threads` goes to the runners however quick it is.
NAMES = {
    "half_plus_two": "half_plus_two",
    "sleep": "sleep",
    "counter": "counter",
    "queued_work": "work",
    "queued_ragged": "ragged_inner",
    "queued_half": "half_plus_two",
    "queued_shout": "shout",
    "alone": "work",
    "inline_work": "work",
}
QUEUED = "max_batch_size { value: 256 } num_batch_threads { value: 1 }"
FOR_RUNNERS = "num_batch_threads { value: 1 }"


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory, start_for_module):
    """One runner, so that what waits for it waits together."""
    folder = tmp_path_factory.mktemp("parameters")
    arguments = []
    for name in NAMES:
        if name.startswith("queued_") or name in ("alone", "counter"):
            file = folder / name
            file.write_text(QUEUED if name.startswith("queued_") else FOR_RUNNERS)
            arguments += ["--batching-parameters", f"{name}={file}"]
    process: ServerProcess = start_for_module(
        *model_arguments({name: models / folder for name, folder in NAMES.items()}),
        *arguments,
        "--no-batching=alone",
        "--runner-threads=1",
        "--io-threads=1",
        "--measure-budget=0",
    ).wait_serving()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> PredictionClient:
    return PredictionClient(server.channel())


def work_request(model: str, x: np.ndarray, turns: int = 0, **more: object) -> object:
    rows = np.full(len(x), turns, np.int32)
    return predict_request(model, {"x": x, "turns": rows}, **more)


def arrays(call: grpc.Future) -> dict[str, np.ndarray]:
    """A call's outputs, once it is answered."""
    return {name: tf.make_ndarray(proto) for name, proto in call.result().outputs.items()}


def distinct(count: int, rows: int = 1, width: int = 3) -> list[np.ndarray]:
    """Arrays of [rows, width] of which no two have an element in common."""
    size = rows * width
    return [
        np.arange(number * size, (number + 1) * size, dtype=np.float32).reshape(rows, width)
        for number in range(count)
    ]


def check_work(call: grpc.Future, x: np.ndarray) -> None:
    outputs = arrays(call)
    assert set(outputs) == {"y", "sum"}
    np.testing.assert_array_equal(outputs["y"], 2 * x + 1)
    np.testing.assert_array_equal(outputs["sum"], (2 * x + 1).sum(axis=1))


def test_what_waits_together_is_one_batch(server: ServerProcess, client: PredictionClient) -> None:
    rows = [1, 2, 3, 1, 5, 1, 1, 4]
    inputs = [np.full((count, 3), at, np.float32) for at, count in enumerate(rows)]
    inputs = [x + np.arange(x.size, dtype=np.float32).reshape(x.shape) for x in inputs]
    wait_idle(server)
    before = batches(server, "queued_work")
    calls = queue_up(
        server,
        client,
        [work_request("queued_work", x) for x in inputs],
        [("tensorwire-timings", "1")],
    )
    for call, x in zip(calls, inputs, strict=True):
        check_work(call, x)
        told = dict(call.trailing_metadata())
        assert int(told["tensorwire-rows"]) == len(x)
        assert int(told["tensorwire-batch-rows"]) == sum(rows)
        assert "queue;dur=" in told["server-timing"]
    # A try that was too short has run as well, in batches of its own.
    ran = batches(server, "queued_work") - before
    assert ran.rows % sum(rows) == 0
    assert ran.requests % len(rows) == 0
    if ran.requests == len(rows):
        assert ran == Batches(1, sum(rows), len(rows), 0, 0)


def test_shapes_filters_and_signatures_are_batches_of_their_own(
    server: ServerProcess, client: PredictionClient
) -> None:
    numbers = np.arange(12, dtype=np.float32)
    requests, expected = [], []

    def ask(request: object, **outputs: np.ndarray) -> None:
        requests.append(request)
        expected.append(outputs)

    for at in range(4):
        ids = np.array([[at, 10, 20]], np.int64)
        ask(
            predict_request("queued_ragged", {"ids": ids}),
            sum=ids.sum(axis=1),
            reversed=ids[:, ::-1],
        )
        wide = np.full((2, 5), at, np.int64)
        ask(
            predict_request("queued_ragged", {"ids": wide}),
            sum=wide.sum(axis=1),
            reversed=wide,
        )
        ask(predict_request("queued_ragged", {"ids": wide}, outputs=["sum"]), sum=wide.sum(axis=1))
        x = numbers[at : at + 2]
        y = x / 2 + 3
        ask(predict_request("queued_half", {"x": x}), y=y)
        scaled = {"x": x, "factor": np.float32(at)}
        ask(predict_request("queued_half", scaled, signature="scaled"), y=y * at)
        ask(
            predict_request("queued_half", {"x": x}, signature="summary"),
            least=y.min(),
            most=y.max(),
            y=y,
        )
    wait_idle(server)
    ragged, half = batches(server, "queued_ragged"), batches(server, "queued_half")
    calls = queue_up(server, client, requests)
    for call, outputs in zip(calls, expected, strict=True):
        found = arrays(call)
        assert set(found) == set(outputs)
        for name, value in outputs.items():
            np.testing.assert_array_equal(found[name], value)
    ran = batches(server, "queued_ragged") - ragged
    # Two shapes, and one of them with a filter as well: three groups of four.
    assert ran.requests == 4 * ran.batches
    ran = batches(server, "queued_half") - half
    assert ran.requests == 4 * ran.batches


def test_a_signature_without_rows_in_its_outputs_runs_alone(
    server: ServerProcess, client: PredictionClient
) -> None:
    """`summary` gives the least and the most of a request: of its own rows."""
    requests = [
        predict_request("queued_half", {"x": np.float32([at, at + 1])}, signature="summary")
        for at in range(6)
    ]
    ran = []
    for _ in range(2):
        before = batches(server, "queued_half", "summary")
        for at, call in enumerate(queue_up(server, client, requests)):
            found = arrays(call)
            assert (found["least"], found["most"]) == (at / 2 + 3, at / 2 + 3.5)
        ran.append(batches(server, "queued_half", "summary") - before)
    # The first batch may be what found it out.
    assert ran[1].batches == ran[1].requests


def test_strings(server: ServerProcess, client: PredictionClient) -> None:
    texts = [[f"text {at}".encode(), b"x" * at] for at in range(16)]
    requests = [
        predict_request("queued_shout", {"text": tf.make_tensor_proto(text)}) for text in texts
    ]
    before = batches(server, "queued_shout")
    for call, text in zip(queue_up(server, client, requests), texts, strict=True):
        assert arrays(call)["loud"].tolist() == [part.upper() + b"!" for part in text]
    ran = batches(server, "queued_shout") - before
    assert ran.requests == len(texts) * ran.batches


def test_many_clients_at_once(server: ServerProcess, client: PredictionClient) -> None:
    """Without any help: what comes while the runner is busy gathers by itself."""
    wait_idle(server)
    before = batches(server, "queued_work")
    inputs = distinct(300)
    requests = [work_request("queued_work", x, turns=20) for x in inputs]
    for call, x in zip(send_all(client, requests), inputs, strict=True):
        check_work(call, x)
    ran = batches(server, "queued_work") - before
    assert (ran.rows, ran.requests, ran.failed) == (300, 300, 0)
    assert ran.batches <= 150


def test_an_inline_burst(server: ServerProcess, client: PredictionClient) -> None:
    """Requests that reach an I/O thread together are run together by it."""
    inputs = [np.float32([at, at + 0.5]) for at in range(64)]
    requests = [predict_request("half_plus_two", {"x": x}) for x in inputs]
    began = batches(server, "half_plus_two")

    def burst() -> Batches:
        before = batches(server, "half_plus_two")
        for call, x in zip(send_all(client, requests), inputs, strict=True):
            np.testing.assert_array_equal(arrays(call)["y"], x / 2 + 3)
        return batches(server, "half_plus_two") - before

    found = until(burst, lambda ran: ran.batches < ran.requests / 2)
    assert (found.requests, found.rows) == (len(inputs), 2 * len(inputs))
    assert (batches(server, "half_plus_two") - began).failed == 0


def test_no_batching(server: ServerProcess, client: PredictionClient) -> None:
    before = batches(server, "alone")
    inputs = distinct(20, rows=2)
    calls = queue_up(server, client, [work_request("alone", x) for x in inputs])
    for call, x in zip(calls, inputs, strict=True):
        check_work(call, x)
    ran = batches(server, "alone") - before
    assert ran.batches == ran.requests > 0


def test_state_is_never_batched(server: ServerProcess, client: PredictionClient) -> None:
    """Each request counts once, and sees a total that no other saw."""
    amounts = list(range(1, 41))
    before = batches(server, "counter")
    calls = send_all(
        client, [predict_request("counter", {"amount": np.int64(amount)}) for amount in amounts]
    )
    totals = [int(arrays(call)["total"]) for call in calls]
    assert max(totals) == sum(amounts)
    # In the order of the totals, the steps between them are the amounts themselves.
    steps = np.diff([0, *sorted(totals)]).tolist()
    assert sorted(steps) == amounts
    by_total = sorted(zip(totals, amounts, strict=True))
    assert steps == [amount for _, amount in by_total]
    ran = batches(server, "counter") - before
    assert (ran.batches, ran.requests) == (len(amounts), len(amounts))


@pytest.mark.parametrize("gone", [[0], [3], [7], [0, 1, 2, 4, 6, 7]])
def test_cancelled_members_leave_the_others_right(
    server: ServerProcess, client: PredictionClient, gone: list[int]
) -> None:
    inputs = distinct(8, rows=2)
    requests = [work_request("queued_work", x) for x in inputs]
    calls = queue_up(server, client, requests)
    for at in gone:
        calls[at].cancel()
    for at, (call, x) in enumerate(zip(calls, inputs, strict=True)):
        if at in gone:
            assert call.cancelled()
        else:
            check_work(call, x)
    wait_idle(server)


@pytest.mark.parametrize("bad", [0, 4, 7])
def test_one_bad_member_fails_alone(
    server: ServerProcess, client: PredictionClient, bad: int
) -> None:
    inputs = distinct(8, rows=2)
    requests = [
        work_request("queued_work", x, turns=-1 if at == bad else 0) for at, x in enumerate(inputs)
    ]
    for at, (call, x) in enumerate(zip(queue_up(server, client, requests), inputs, strict=True)):
        if at == bad:
            error = call.exception()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "turns must not be negative:" in error.details()
        else:
            check_work(call, x)


def test_one_bad_member_of_an_inline_burst(
    server: ServerProcess, client: PredictionClient
) -> None:
    inputs = distinct(32)
    requests = [
        work_request("inline_work", x, turns=-1 if at % 8 == 5 else 0)
        for at, x in enumerate(inputs)
    ]
    for _ in range(20):
        for at, (call, x) in enumerate(zip(send_all(client, requests), inputs, strict=True)):
            if at % 8 == 5:
                assert call.exception().code() == grpc.StatusCode.INVALID_ARGUMENT
            else:
                check_work(call, x)
