"""Client of Relais: one object that holds every service of one connection.

    with relais.connect("127.0.0.1:50061") as client:
        answer = client.leads.capture_lead(v1.CaptureLeadRequest(lead=...))

`connect` is for ordinary code, `connect_async` for asyncio. Messages are in `relais.v1`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from types import TracebackType

import grpc
import grpc.aio

from . import _connect, _feed, _imports, v1
from ._call import AsyncCaller, Caller, Trailers
from ._imports import CHUNK_ROWS, ImportReport
from ._services import AsyncServices, Services
from ._version import __version__
from .errors import (
    Aborted, AlreadyExists, Cancelled, DeadlineExceeded, FailedPrecondition, FieldViolation,
    Internal, InvalidArgument, NotFound, OutOfRange, PermissionDenied, Precondition, RelaisError,
    ResourceExhausted, Unauthenticated, Unavailable, Unimplemented, from_status,
)

__all__ = [
    "Aborted", "AlreadyExists", "AsyncClient", "Cancelled", "Client", "DeadlineExceeded",
    "FailedPrecondition", "FieldViolation", "ImportReport", "Internal", "InvalidArgument",
    "NotFound", "OutOfRange", "PermissionDenied", "Precondition", "RelaisError",
    "ResourceExhausted", "Trailers", "Unauthenticated", "Unavailable", "Unimplemented",
    "__version__", "connect", "connect_async", "from_status", "v1",
]


class Client(Services):
    """Every service of one connection. Thread-safe; close it, or use it in a `with`."""

    def __init__(self, target: _connect.Target) -> None:
        self._channel = (
            grpc.insecure_channel(target.server, target.options) if target.credentials is None
            else grpc.secure_channel(target.server, target.credentials, target.options))
        super().__init__(Caller(self._channel, target.metadata, target.timeout))

    def watch(self, request: v1.WatchRequest | None = None) -> Iterator[v1.Event]:
        """Every event that `request` asks for, in order, each once, also across restarts of the
        server. Ends only with `until_now`, or with an error that time does not mend, such as
        OutOfRange reason HISTORY_CHANGED."""
        return _feed.watch(self.events, request or v1.WatchRequest())

    def import_rows(
        self, name: str, rows: Iterable[v1.ImportRow], *, display_name: str = "",
        rows_total: int = 0, chunk_rows: int = CHUNK_ROWS,
        progress: Callable[[v1.Import], None] | None = None, timeout: float | None = None,
    ) -> ImportReport:
        """Imports `rows` (numbered upwards from 1) as `imports/{uuid}` and completes it. A call
        with the name of an import that was interrupted goes on where it stopped: rows that are
        committed are not sent again. `progress` is told after every chunk; `timeout` is that of
        one chunk."""
        return _imports.import_rows(
            self.imports, name, rows, display_name=display_name, rows_total=rows_total,
            chunk_rows=chunk_rows, progress=progress, timeout=timeout)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(AsyncServices):
    """Every service of one connection, for asyncio. Close it, or use it in an `async with`."""

    def __init__(self, target: _connect.Target) -> None:
        self._channel = (
            grpc.aio.insecure_channel(target.server, target.options) if target.credentials is None
            else grpc.aio.secure_channel(target.server, target.credentials, target.options))
        super().__init__(AsyncCaller(self._channel, target.metadata, target.timeout))

    def watch(self, request: v1.WatchRequest | None = None) -> AsyncGenerator[v1.Event, None]:
        """As Client.watch; `contextlib.aclosing` ends the stream with its block."""
        return _feed.watch_async(self.events, request or v1.WatchRequest())

    async def import_rows(
        self, name: str, rows: Iterable[v1.ImportRow], *, display_name: str = "",
        rows_total: int = 0, chunk_rows: int = CHUNK_ROWS,
        progress: Callable[[v1.Import], None] | None = None, timeout: float | None = None,
    ) -> ImportReport:
        """As Client.import_rows."""
        return await _imports.import_rows_async(
            self.imports, name, rows, display_name=display_name, rows_total=rows_total,
            chunk_rows=chunk_rows, progress=progress, timeout=timeout)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def connect(
    server: str | None = None, *, token: str | None = None,
    ca: str | os.PathLike[str] | None = None, plaintext: bool | None = None,
    timeout: float | None = None,
) -> Client:
    """Connects when the first call is made. What is not given comes from RELAIS_SERVER,
    RELAIS_TOKEN, RELAIS_CA, RELAIS_PLAINTEXT and RELAIS_TIMEOUT.

    TLS is used with `ca` (a PEM file) and to every address that is not this machine;
    `plaintext=True` turns it off, which is refused together with a token for another machine.
    `timeout` is the default deadline of a call, retries included, in seconds (30); streams have
    none. Raises ValueError, and OSError when `ca` cannot be read."""
    return Client(_connect.target(server, token=token, ca=ca, plaintext=plaintext, timeout=timeout))


def connect_async(
    server: str | None = None, *, token: str | None = None,
    ca: str | os.PathLike[str] | None = None, plaintext: bool | None = None,
    timeout: float | None = None,
) -> AsyncClient:
    """As `connect`, for asyncio; to be called where a loop runs."""
    return AsyncClient(
        _connect.target(server, token=token, ca=ca, plaintext=plaintext, timeout=timeout))
