"""One deadline for a whole climb: whose cancellation it was, and what it leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from prober.engine.deadline import Deadline


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


async def test_a_deadline_that_passes_is_the_cause_and_leaves_the_task_uncancelled() -> None:
    with Deadline(soon()) as deadline:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        assert deadline.caused()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancellation_from_outside_is_not_the_deadlines() -> None:
    caused: list[bool] = []

    async def climb() -> None:
        with Deadline(soon() + 60) as deadline:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                caused.append(deadline.caused())
                raise

    task = asyncio.create_task(climb())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caused == [False]


async def test_a_cancellation_from_outside_outweighs_a_deadline_that_has_passed() -> None:
    caused: list[bool] = []

    async def climb() -> None:
        with Deadline(0.0) as deadline:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asyncio.current_task().cancel()  # type: ignore[union-attr]  # this is a task
                caused.append(deadline.caused())
                raise

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(climb())
    assert caused == [False]


async def test_a_deadline_that_was_left_in_time_cancels_nobody() -> None:
    with Deadline(soon()) as deadline:
        pass
    await asyncio.sleep(0.03)
    assert not deadline.passed


def test_there_is_no_deadline_outside_a_task() -> None:
    async def outside() -> None:
        done = asyncio.Event()
        errors: list[str] = []

        def call() -> None:
            try:
                Deadline(0.0)
            except RuntimeError as error:
                errors.append(str(error))
            done.set()

        asyncio.get_running_loop().call_soon(call)
        await done.wait()
        assert errors == ["a climb needs a task"]

    asyncio.run(outside())
