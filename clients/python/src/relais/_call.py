"""The thin layer itself: one call of the contract over one channel, with its deadline, its retries
and its typed errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from . import _retry
from .errors import RelaisError, from_rpc

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# Filled with the trailing metadata of the answer: "relais-position", "relais-replayed".
Trailers = dict[str, str]


class Method(Generic[Request, Response]):
    """One call of the contract."""

    def __init__(
        self, path: str, request: type[Request], response: type[Response], *, streams: bool = False
    ) -> None:
        self.path = path
        self.request = request
        self.response = response
        self.streams = streams


def _plain(metadata: Any) -> dict[str, str | bytes]:
    return {key: value for key, value in metadata or ()}


def _error(failure: Any) -> RelaisError:
    code: grpc.StatusCode = failure.code()
    return from_rpc(code, failure.details() or "", _plain(failure.trailing_metadata()))


def _keep(metadata: Any, trailers: Trailers | None) -> None:
    if trailers is not None:
        trailers.update({k: v for k, v in _plain(metadata).items() if isinstance(v, str)})


class Caller:
    """Calls over a synchronous channel. Thread-safe."""

    def __init__(self, channel: grpc.Channel, metadata: list[tuple[str, str]], timeout: float) -> None:
        self._channel = channel
        self._metadata = metadata
        self._timeout = timeout
        self._callables: dict[str, Any] = {}

    def _callable(self, kind: str, method: Method[Any, Any]) -> Any:
        found = self._callables.get(method.path)
        if found is None:
            found = self._callables[method.path] = getattr(self._channel, kind)(
                method.path, request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString, _registered_method=False)
        return found

    def unary(
        self, method: Method[Request, Response], request: Request, timeout: float | None,
        trailers: Trailers | None = None,
    ) -> Response:
        sent, repeatable = _retry.made_repeatable(request)
        invoke = self._callable("unary_unary", method)
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        attempt = 0
        while True:
            try:
                answer, call = invoke.with_call(
                    sent, timeout=max(0.0, end - time.monotonic()), metadata=self._metadata)
            except grpc.RpcError as failure:
                attempt += 1
                error = _error(failure)
                wait = _retry.wait_before(attempt, error) if repeatable else None
                if wait is None or time.monotonic() + wait >= end:
                    raise error from None
                time.sleep(wait)
                continue
            _keep(call.trailing_metadata(), trailers)
            return answer  # type: ignore[no-any-return]

    def unary_stream(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> Iterator[Response]:
        call = self._callable("unary_stream", method)(
            request, timeout=timeout, metadata=self._metadata)
        return self._answers(call)

    def stream_stream(
        self, method: Method[Request, Response], requests: Iterable[Request], timeout: float | None
    ) -> Iterator[Response]:
        call = self._callable("stream_stream", method)(
            iter(requests), timeout=timeout, metadata=self._metadata)
        return self._answers(call)

    @staticmethod
    def _answers(call: Any) -> Iterator[Any]:
        try:
            yield from call
        except grpc.RpcError as failure:
            raise _error(failure) from None
        finally:
            call.cancel()

    def pages(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> Iterator[Response]:
        ask: Any = type(request)()
        ask.CopyFrom(request)
        while True:
            page: Any = self.unary(method, ask, timeout)
            yield page
            if not page.next_page_token:
                return
            ask.page_token = page.next_page_token


class AsyncCaller:
    """Calls over an asyncio channel, on the loop that made it."""

    def __init__(
        self, channel: grpc.aio.Channel, metadata: list[tuple[str, str]], timeout: float
    ) -> None:
        self._channel = channel
        self._metadata = grpc.aio.Metadata(*metadata)
        self._timeout = timeout
        self._callables: dict[str, Any] = {}

    def _callable(self, kind: str, method: Method[Any, Any]) -> Any:
        found = self._callables.get(method.path)
        if found is None:
            found = self._callables[method.path] = getattr(self._channel, kind)(
                method.path, request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString)
        return found

    async def unary(
        self, method: Method[Request, Response], request: Request, timeout: float | None,
        trailers: Trailers | None = None,
    ) -> Response:
        sent, repeatable = _retry.made_repeatable(request)
        invoke = self._callable("unary_unary", method)
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        attempt = 0
        while True:
            call = invoke(sent, timeout=max(0.0, end - time.monotonic()), metadata=self._metadata)
            try:
                answer = await call
            except grpc.aio.AioRpcError as failure:
                attempt += 1
                error = _error(failure)
                wait = _retry.wait_before(attempt, error) if repeatable else None
                if wait is None or time.monotonic() + wait >= end:
                    raise error from None
                await asyncio.sleep(wait)
                continue
            _keep(await call.trailing_metadata(), trailers)
            return answer  # type: ignore[no-any-return]

    def unary_stream(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> AsyncIterator[Response]:
        return self._answers(self._callable("unary_stream", method)(
            request, timeout=timeout, metadata=self._metadata))

    def stream_stream(
        self, method: Method[Request, Response],
        requests: AsyncIterator[Request] | Iterable[Request], timeout: float | None,
    ) -> AsyncIterator[Response]:
        return self._answers(self._callable("stream_stream", method)(
            requests, timeout=timeout, metadata=self._metadata))

    @staticmethod
    async def _answers(call: Any) -> AsyncIterator[Any]:
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as failure:
            raise _error(failure) from None
        finally:
            call.cancel()

    async def pages(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> AsyncIterator[Response]:
        ask: Any = type(request)()
        ask.CopyFrom(request)
        while True:
            page: Any = await self.unary(method, ask, timeout)
            yield page
            if not page.next_page_token:
                return
            ask.page_token = page.next_page_token
