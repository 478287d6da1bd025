"""When a call may be made again, and how long to wait before.

A call is repeatable when doing it twice cannot have a second effect: reads, checks, and writes that
carry a request_id. The id is made here, once per logical call."""

from __future__ import annotations

import random
import uuid

import grpc
from google.protobuf.message import Message

from .errors import RelaisError

FIRST_WAIT = 0.05
LONGEST_WAIT = 2.0
# Sent with a row number each, so that the server skips what it has already committed.
_NUMBERED = "ImportRowsRequest"


def made_repeatable(request: Message) -> tuple[Message, bool]:
    """The request to send, with its request_id, and whether it may be sent again.

    The caller's message is never changed."""
    fields = request.DESCRIPTOR.fields_by_name
    if "validate_only" not in fields:
        return request, True  # A read.
    if getattr(request, "validate_only"):
        return request, True
    if request.DESCRIPTOR.name == _NUMBERED:
        return request, True
    if "request_id" in fields:
        if not getattr(request, "request_id"):
            request = _copy(request)
            setattr(request, "request_id", str(uuid.uuid4()))
        return request, True
    items = fields.get("requests")
    if items is not None and items.message_type and "request_id" in items.message_type.fields_by_name:
        if any(not item.request_id for item in getattr(request, "requests")):
            request = _copy(request)
            for item in getattr(request, "requests"):
                item.request_id = item.request_id or str(uuid.uuid4())
        return request, True
    return request, False


def _copy(request: Message) -> Message:
    copy = type(request)()
    copy.CopyFrom(request)
    return copy


def wait_before(attempt: int, error: RelaisError) -> float | None:
    """Seconds to wait before attempt number `attempt` (the first repetition is 1), or None when
    the error is final. What the server asks for is honoured in full, with a little spread."""
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if error.retry_after is None:
            return None
    elif error.code is not grpc.StatusCode.UNAVAILABLE:
        return None
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt - 1, 10))
    spread = random.uniform(ceiling / 2, ceiling)
    return spread if error.retry_after is None else error.retry_after + spread / 4
