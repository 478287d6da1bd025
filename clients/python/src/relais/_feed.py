"""A Watch that outlives servers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import grpc

from . import _retry, v1
from ._services import AsyncEventService, EventService
from .errors import RelaisError

# The stream was cut, not refused: go on after the last event. INTERNAL and UNKNOWN without a reason
# come from the transport, when a server dies in the middle of a message.
_CUT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_CUT_WITHOUT_REASON = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED)


def _wait(error: RelaisError, attempt: int) -> float | None:
    if error.code in _CUT or (error.code in _CUT_WITHOUT_REASON and not error.reason):
        ceiling = min(_retry.LONGEST_WAIT, _retry.FIRST_WAIT * 2 ** min(attempt - 1, 10))
        return (error.retry_after or 0.0) + random.uniform(ceiling / 2, ceiling)
    return None


def _resumed(request: v1.WatchRequest, token: str) -> v1.WatchRequest:
    if not token:
        return request
    resumed = v1.WatchRequest()
    resumed.CopyFrom(request)
    resumed.resume_token = token
    resumed.after_number = 0
    return resumed


def watch(service: EventService, request: v1.WatchRequest) -> Iterator[v1.Event]:
    token, attempt = request.resume_token, 0
    while True:
        try:
            for message in service.watch(_resumed(request, token)):
                attempt = 0
                token = message.resume_token or token
                if message.HasField("event"):
                    token = message.event.resume_token or token
                    yield message.event
            if request.until_now:
                return
            wait: float | None = _retry.FIRST_WAIT  # The server said goodbye in good order.
        except RelaisError as error:
            attempt += 1
            wait = _wait(error, attempt)
            if wait is None:
                raise
        time.sleep(wait)


async def watch_async(
    service: AsyncEventService, request: v1.WatchRequest
) -> AsyncGenerator[v1.Event, None]:
    token, attempt = request.resume_token, 0
    while True:
        stream: Any = service.watch(_resumed(request, token))
        try:
            async for message in stream:
                attempt = 0
                token = message.resume_token or token
                if message.HasField("event"):
                    token = message.event.resume_token or token
                    yield message.event
            if request.until_now:
                return
            wait: float | None = _retry.FIRST_WAIT
        except RelaisError as error:
            attempt += 1
            wait = _wait(error, attempt)
            if wait is None:
                raise
        finally:
            await stream.aclose()
        await asyncio.sleep(wait)
