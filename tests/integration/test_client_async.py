"""The client in asyncio."""

import asyncio
import gc
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
from stub_server import MODEL, Refusal, StubServer

import tensorwire as tw
from tensorwire import errors

X = {"x": np.ones((1, 2), np.float32)}


async def arrival(server: StubServer, count: int = 1) -> None:
    await asyncio.to_thread(server.wait_for_calls, count)


async def test_all_operations(server: StubServer) -> None:
    from grpc_health.v1 import health_pb2

    server.health.set("", health_pb2.HealthCheckResponse.SERVING)
    server.health.set(MODEL, health_pb2.HealthCheckResponse.SERVING)
    async with tw.AsyncClient(server.address, timeout=20) as client:
        await client.wait_until_ready(10, MODEL)
        assert (await client.predict(MODEL, [[1, 2]]))["x"].tolist() == [[1, 2]]
        assert (await client.metadata(MODEL)).version == 3
        assert (await client.status(MODEL)).available
        assert [status.name for status in await client.models()] == [MODEL]
        assert await client.health("nope") == "SERVICE_UNKNOWN"
        with pytest.raises(errors.UnimplementedError):
            await client.predict_text("hello")
        with pytest.raises(errors.DeadlineExceededError, match=r"not ready within 0\.1 s"):
            await client.wait_until_ready(0.1, "nope")


async def test_hundreds_at_once(server: StubServer) -> None:
    async with tw.AsyncClient(server.address, timeout=60) as client:

        async def call(number: int) -> None:
            value = np.full((1, 2), number, np.float32)
            outputs = await client.predict(MODEL, {"x": value})
            np.testing.assert_array_equal(outputs["x"], value)

        await asyncio.gather(*(call(number) for number in range(500)))
    assert len(server.calls) == 500


async def test_loop_runs_on_during_calls(server: StubServer) -> None:
    server.gate.clear()
    async with tw.AsyncClient(server.address, timeout=20) as client:
        calls = [asyncio.create_task(client.predict(MODEL, X)) for _ in range(20)]
        await arrival(server, 20)
        server.gate.set()
        await asyncio.gather(*calls)


async def test_cancelling_a_task_cancels_the_call(server: StubServer) -> None:
    server.gate.clear()
    async with tw.AsyncClient(server.address) as client:
        task = asyncio.create_task(client.predict(MODEL, X))
        await arrival(server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.calls[0].cancelled.wait, 10)
        server.gate.set()
        await client.predict(MODEL, X)


async def test_asyncio_timeout_cancels_the_call(server: StubServer) -> None:
    server.gate.clear()
    async with tw.AsyncClient(server.address) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.predict(MODEL, X), 0.2)
        assert await asyncio.to_thread(server.calls[0].cancelled.wait, 10)


async def test_errors_are_those_of_the_other_client(server: StubServer) -> None:
    server.refusals.append(Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full"))
    async with tw.AsyncClient(server.address) as client:
        with pytest.raises(errors.ResourceExhaustedError) as raised:
            await client.predict(MODEL, X)
        assert (raised.value.model, raised.value.target) == (MODEL, server.address)
        server.gate.clear()
        with pytest.raises(errors.DeadlineExceededError):
            await client.predict(MODEL, X, timeout=0.2)


async def test_close_ends_calls_under_way(server: StubServer) -> None:
    server.gate.clear()
    client = tw.AsyncClient(server.address)
    task = asyncio.create_task(client.predict(MODEL, X))
    await arrival(server)
    await client.close()
    with pytest.raises(errors.CancelledError, match="closed during the call"):
        await task
    with pytest.raises(errors.FailedPreconditionError, match="the client is closed"):
        await client.predict(MODEL, X)


async def test_each_gets_his_own_answer_among_cancelled_ones(server: StubServer) -> None:
    async with tw.AsyncClient(server.address, timeout=60) as client:

        async def call(number: int) -> bool:
            value = np.full((1, 2), number, np.float32)
            outputs = await client.predict(MODEL, {"x": value})
            return bool((outputs["x"] == value).all())

        tasks = [asyncio.create_task(call(number)) for number in range(300)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        await arrival(server, 50)
        for task in tasks[1::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(results[2::3])
        assert all(result is True or is_cancelled(result) for result in results)
        assert all(is_cancelled(result) for result in results[::3])
        await client.predict(MODEL, X)


def is_cancelled(result: object) -> bool:
    return isinstance(result, asyncio.CancelledError)


async def test_calls_cancelled_before_they_are_sent_never_are(server: StubServer) -> None:
    async with tw.AsyncClient(server.address) as client:
        tasks = [asyncio.create_task(client.predict(MODEL, X)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(is_cancelled(result) for result in results)
        await client.predict(MODEL, X)
    assert len(server.calls) == 1


async def test_close_ends_all_calls_under_way(server: StubServer) -> None:
    server.gate.clear()
    client = tw.AsyncClient(server.address)
    tasks = [asyncio.create_task(client.predict(MODEL, X)) for _ in range(50)]
    await arrival(server, 50)
    await client.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, errors.CancelledError) for result in results)


async def test_both_clients_at_once(server: StubServer) -> None:
    """Threads that wait and a loop that does not share what moves their bytes."""
    with tw.Client(server.address, timeout=60) as waiting:
        async with tw.AsyncClient(server.address, timeout=60) as client:

            def wait(number: int) -> None:
                value = np.full((1, 2), number, np.float32)
                for _ in range(20):
                    outputs = waiting.predict(MODEL, {"x": value})
                    np.testing.assert_array_equal(outputs["x"], value)

            threads = [asyncio.to_thread(wait, number) for number in range(4)]
            calls = [client.predict(MODEL, X) for _ in range(100)]
            await asyncio.gather(*threads, *calls)


def test_many_loops_leave_nothing_open(server: StubServer) -> None:
    """Each with calls under way when it ends."""
    client = tw.AsyncClient(server.address, timeout=20)
    server.gate.clear()

    async def leave() -> None:
        for _ in range(5):
            asyncio.create_task(client.predict(MODEL, X))  # noqa: RUF006 (given up on purpose)
        await asyncio.sleep(0.01)

    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    asyncio.run(leave())
    before = open_files()
    for _ in range(30):
        asyncio.run(leave())
    assert open_files() <= before + 10


def test_one_client_in_several_loops(server: StubServer) -> None:
    client = tw.AsyncClient(server.address, timeout=20)
    failures: list[BaseException] = []

    async def calls() -> None:
        await asyncio.gather(*(client.predict(MODEL, X) for _ in range(10)))

    def run() -> None:
        try:
            asyncio.run(calls())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert len(server.calls) == 40


def test_loop_that_ends_with_calls_under_way(server: StubServer) -> None:
    client = tw.AsyncClient(server.address)
    server.gate.clear()

    async def leave() -> None:
        asyncio.create_task(client.predict(MODEL, X))  # noqa: RUF006 (given up on purpose)
        await arrival(server)

    asyncio.run(leave())
    assert server.calls[0].cancelled.wait(10)
