"""Where to connect, and as whom: arguments first, then the environment.

RELAIS_SERVER, RELAIS_TOKEN, RELAIS_CA, RELAIS_PLAINTEXT and RELAIS_TIMEOUT mean what they mean to
the command-line client."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass
from typing import Any

import grpc

from ._version import __version__

DEFAULT_SERVER = "127.0.0.1:50061"
DEFAULT_TIMEOUT = 30.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def is_local(server: str) -> bool:
    """Whether an address cannot leave this machine."""
    for prefix in ("dns:///", "ipv4:", "ipv6:"):
        server = server.removeprefix(prefix)
    return server.startswith(("unix:", "127.", "localhost:", "[::1]")) or server == "localhost"


@dataclass
class Target:
    server: str
    credentials: grpc.ChannelCredentials | None  # None: plaintext.
    metadata: list[tuple[str, str]]
    timeout: float

    @property
    def options(self) -> list[tuple[str, Any]]:
        return [
            ("grpc.primary_user_agent", f"relais-python/{__version__}"),
            # The layer has retries of its own, which know what may be repeated.
            ("grpc.enable_retries", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # A dead peer of a silent stream is noticed; the server accepts a ping every 30 seconds.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # A client of its own connects on its own, and closes with what it opened.
            ("grpc.use_local_subchannel_pool", 1),
        ]


def target(
    server: str | None, *, token: str | None, ca: str | os.PathLike[str] | None,
    plaintext: bool | None, timeout: float | None,
) -> Target:
    environment = os.environ
    server = server or environment.get("RELAIS_SERVER") or DEFAULT_SERVER
    token = token if token is not None else environment.get("RELAIS_TOKEN", "")
    ca = ca or environment.get("RELAIS_CA") or None
    if plaintext is None:
        plaintext = environment.get("RELAIS_PLAINTEXT", "").lower() in ("1", "true", "yes", "on")
    if timeout is None:
        timeout = float(environment.get("RELAIS_TIMEOUT") or DEFAULT_TIMEOUT)
    if timeout <= 0:
        raise ValueError("timeout must be above 0 seconds")
    local = is_local(server)
    if plaintext and token and not local:
        raise ValueError("plaintext would send the token in the clear to another machine")
    tls = not plaintext and (ca is not None or not local)
    roots = pathlib.Path(ca).read_bytes() if tls and ca is not None else None
    return Target(
        server=server,
        credentials=grpc.ssl_channel_credentials(roots) if tls else None,
        metadata=[("authorization", f"Bearer {token}")] if token else [],
        timeout=timeout,
    )
