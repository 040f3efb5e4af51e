"""TensorFlow Serving's batching parameters, by flag and by file, as its clients see them."""

import signal
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from harness.predict import PredictionClient, predict_request, refused
from harness.queueing import (
    Batches,
    Reading,
    batches,
    queue_up,
    send_all,
    sleep_request,
    until,
    wait_for,
    wait_idle,
    while_held,
)
from harness.server_process import ServerProcess, model_arguments

RUNNERS = 2
FULL = "The batch scheduling queue to which this task was submitted is full"

# Models of the server that reads files, each with a file of its own.
FILES = {
    "splits": (
        "work",
        """
        max_batch_size { value: 16 }
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }
        """,
    ),
    "short_queue": (
        "work",
        """
        max_batch_size { value: 4 }
        max_enqueued_batches { value: 2 }
        num_batch_threads { value: 1 }
        """,
    ),
    "short_queue_splits": (
        "work",
        """
        max_batch_size { value: 4 }
        max_enqueued_batches { value: 2 }
        num_batch_threads { value: 1 }
        enable_large_batch_splitting { value: true }
        """,
    ),
    "pads": (
        "ragged_inner",
        """
        max_batch_size { value: 16 }
        num_batch_threads { value: 1 }
        pad_variable_length_inputs: true
        """,
    ),
    "one_at_a_time": ("sleep", "num_batch_threads { value: 1 }"),
    "allowed": (
        "work",
        """
        max_batch_size { value: 16 }
        num_batch_threads { value: 1 }
        allowed_batch_sizes: 4
        allowed_batch_sizes: 16
        """,
    ),
}


@pytest.fixture(scope="module")
def by_flag(models: Path, start_for_module):
    """Whose batches wait: every request goes to a runner, and gathers there."""
    process: ServerProcess = start_for_module(
        *model_arguments({name: models / name for name in ("work", "sleep", "half_plus_two")}),
        "--max-batch-size=8",
        "--allowed-batch-sizes=4,8",
        "--batch-timeout=100ms",
        f"--runner-threads={RUNNERS}",
        "--measure-budget=0",
    ).wait_serving()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def by_file(models: Path, tmp_path_factory: pytest.TempPathFactory, start_for_module):
    folder = tmp_path_factory.mktemp("parameters")
    arguments = model_arguments({"sleep": models / "sleep"})
    for name, (model, parameters) in FILES.items():
        (folder / name).write_text(parameters)
        arguments += model_arguments({name: models / model})
        arguments += ["--batching-parameters", f"{name}={folder / name}"]
    process: ServerProcess = start_for_module(
        *arguments, f"--runner-threads={RUNNERS}", "--measure-budget=0"
    ).wait_serving()
    yield process
    process.stop()


def rows_of(rows: int, first: float = 0, width: int = 3) -> np.ndarray:
    """[rows, width] of float, every element another."""
    return (first + np.arange(rows * width, dtype=np.float32)).reshape(rows, width)


def work_request(model: str, x: np.ndarray) -> object:
    return predict_request(model, {"x": x, "turns": np.zeros(len(x), np.int32)})


def check_work(call: grpc.Future, x: np.ndarray) -> None:
    outputs = {name: tf.make_ndarray(proto) for name, proto in call.result().outputs.items()}
    np.testing.assert_array_equal(outputs["y"], 2 * x + 1)
    np.testing.assert_array_equal(outputs["sum"], (2 * x + 1).sum(axis=1))


def ask(client: PredictionClient, model: str, x: np.ndarray) -> None:
    (call,) = send_all(client, [work_request(model, x)])
    check_work(call, x)


def test_max_batch_size(by_flag: ServerProcess) -> None:
    client = PredictionClient(by_flag.channel())
    ask(client, "work", rows_of(8))
    text = "Task size 9 is larger than maximum input batch size 8"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, text):
        client.send(work_request("work", rows_of(9)))
    # What never shares a batch has no batch to be too large for.
    client.send(predict_request("half_plus_two", {"x": np.ones(0, np.float32)}))


@pytest.mark.parametrize(("rows", "padding"), [(1, 3), (3, 1), (4, 0), (5, 3), (8, 0)])
def test_allowed_batch_sizes(by_flag: ServerProcess, rows: int, padding: int) -> None:
    client = PredictionClient(by_flag.channel())
    before = batches(by_flag, "work")
    ask(client, "work", rows_of(rows))
    assert batches(by_flag, "work") - before == Batches(1, rows, 1, padding, 0)


def test_allowed_batch_sizes_by_file(by_file: ServerProcess) -> None:
    client = PredictionClient(by_file.channel())
    inputs = [rows_of(rows, 100 * rows) for rows in (1, 2, 3)]
    before = batches(by_file, "allowed")
    calls = queue_up(
        by_file, client, [work_request("allowed", x) for x in inputs], runners=RUNNERS
    )
    for call, x in zip(calls, inputs, strict=True):
        check_work(call, x)
    ran = batches(by_file, "allowed") - before
    assert (ran.rows % 6, ran.padding % 10, ran.requests % 3) == (0, 0, 0)


def test_batch_timeout_gathers(by_flag: ServerProcess) -> None:
    """With every runner free, a batch waits for others; one at a time they are alone."""
    client = PredictionClient(by_flag.channel())
    inputs = [rows_of(1, at) for at in range(5)]

    def gather() -> Batches:
        before = batches(by_flag, "work")
        calls = send_all(client, [work_request("work", x) for x in inputs])
        for call, x in zip(calls, inputs, strict=True):
            check_work(call, x)
        return batches(by_flag, "work") - before

    # On a busy machine they may come too far apart.
    found = until(gather, lambda ran: ran.batches == 1)
    assert found == Batches(1, 5, 5, 3, 0)


def test_a_full_batch_does_not_wait(models: Path, start) -> None:
    process: ServerProcess = start(
        *model_arguments({"work": models / "work"}),
        "--max-batch-size=8",
        "--batch-timeout=1h",
        "--runner-threads=1",
        "--measure-budget=0",
    ).wait_serving()
    client = PredictionClient(process.channel())
    inputs = [rows_of(2, 10 * at) for at in range(4)]
    calls = send_all(client, [work_request("work", x) for x in inputs])
    for call, x in zip(calls, inputs, strict=True):
        check_work(call, x)
    assert batches(process, "work") == Batches(1, 8, 4, 0, 0)
    process.stop()


def test_a_stop_does_not_wait_for_a_batch_to_fill(models: Path, start) -> None:
    process: ServerProcess = start(
        *model_arguments({"work": models / "work"}),
        "--max-batch-size=8",
        "--batch-timeout=1h",
        "--measure-budget=0",
    ).wait_serving()
    client = PredictionClient(process.channel())
    call = client.prediction.Predict.future(work_request("work", rows_of(2, 0)), timeout=60)
    wait_for(process, lambda now: now.queued == 1)
    process.signal(signal.SIGTERM)
    check_work(call, rows_of(2, 0))
    assert process.wait() == 0


def test_pad_variable_length_inputs(by_file: ServerProcess) -> None:
    """Each tensor is filled up with its own first element, as TensorFlow Serving does."""
    client = PredictionClient(by_file.channel())
    widths = [2, 5, 3, 1]
    inputs = [np.arange(2 * width).reshape(2, width) + 100 * width for width in widths]
    before = batches(by_file, "pads")
    requests = [predict_request("pads", {"ids": x.astype(np.int64)}) for x in inputs]
    for call, x in zip(queue_up(by_file, client, requests, runners=RUNNERS), inputs, strict=True):
        wide = np.full((2, max(widths)), x[0, 0])
        wide[:, : x.shape[1]] = x
        outputs = call.result().outputs
        np.testing.assert_array_equal(tf.make_ndarray(outputs["sum"]), wide.sum(axis=1))
        np.testing.assert_array_equal(tf.make_ndarray(outputs["reversed"]), wide[:, ::-1])
    ran = batches(by_file, "pads") - before
    assert ran.requests == len(widths) * ran.batches


def test_large_requests_are_split(by_file: ServerProcess) -> None:
    client = PredictionClient(by_file.channel())
    wait_idle(by_file)
    before = batches(by_file, "splits")
    ask(client, "splits", rows_of(10))
    ran = batches(by_file, "splits") - before
    assert (ran.batches, ran.rows, ran.failed) == (3, 10, 0)
    before = batches(by_file, "splits")
    ask(client, "splits", rows_of(4))
    # Larger than `max_batch_size` as well.
    ask(client, "splits", rows_of(100))
    ran = batches(by_file, "splits") - before
    assert (ran.batches, ran.rows, ran.failed) == (26, 104, 0)
    wait_idle(by_file)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("short_queue", f"{FULL}; currently 2 batches enqueued and max_enqueued_batches is 2"),
        (
            "short_queue_splits",
            f"{FULL}; task size is 1 but scheduling capacity is only 0 "
            "(num_enqueued_batches=2, max_enqueued_batches=2, open_batch_size=0, "
            "max_execution_batch_size=4)",
        ),
    ],
)
def test_max_enqueued_batches(by_file: ServerProcess, model: str, text: str) -> None:
    client = PredictionClient(by_file.channel())
    inputs = [rows_of(4), rows_of(4, 50)]

    def fill() -> list[grpc.Future]:
        calls = send_all(client, [work_request(model, x) for x in inputs])
        wait_for(by_file, lambda found: found.queued == 2 or calls[0].done())
        (more,) = send_all(client, [work_request(model, rows_of(1))])
        assert more.code() == grpc.StatusCode.UNAVAILABLE
        assert more.details() == text
        # The others have queues of their own.
        send_all(client, [work_request("splits", rows_of(1))])
        return calls

    calls = while_held(by_file, client, fill, RUNNERS)
    for call, x in zip(calls, inputs, strict=True):
        check_work(call, x)
    wait_idle(by_file)
    ask(client, model, rows_of(1))


def test_num_batch_threads(by_file: ServerProcess) -> None:
    """One model's requests take one runner; another's, all there are."""
    client = PredictionClient(by_file.channel())

    def most_at_once(model: str) -> float:
        request = sleep_request(40)
        request.model_spec.name = model
        calls = send_all(client, [request] * 6)
        seen = []

        def look() -> bool:
            seen.append(Reading(by_file).running(model))
            return all(call.done() for call in calls)

        until(look, bool)
        for call in calls:
            call.result()
        return max(seen)

    assert most_at_once("one_at_a_time") == 1
    until(lambda: most_at_once("sleep"), lambda most: most == RUNNERS)
