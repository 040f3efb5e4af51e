"""The client in asyncio."""

import asyncio
import threading

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
