"""What a refused call raises: the canonical code as a class, the reason and the details as fields.

Branch on the class and on `reason`, never on the text."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class FieldViolation:
    """One field that a request filled wrongly."""

    field: str
    """Path in the request, as in the proto: "lead.person.emails[1].address"."""
    description: str


@dataclass(frozen=True)
class Precondition:
    """One thing that is missing: an unmet criterion, a field, a stage."""

    type: str
    """"STAGE", "CRITERION", "FIELD", "STATE"..."""
    subject: str
    """Name of a resource, of a criterion or of a field."""
    description: str


@dataclass
class RelaisError(Exception):
    """A refused call."""

    code: grpc.StatusCode
    """Canonical code."""
    message: str
    """For people; without personal data."""
    reason: str = ""
    """UPPER_SNAKE, such as "CRITERIA_NOT_MET"; empty when the refusal is not the server's own."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Facts beside the reason, such as the etag that is expected."""
    fields: list[FieldViolation] = field(default_factory=list)
    """Every violation of an INVALID_ARGUMENT."""
    preconditions: list[Precondition] = field(default_factory=list)
    """Everything that a FAILED_PRECONDITION found missing."""
    resource_type: str = ""
    """Kind of the resource that was not found, or that holds what was asked for."""
    resource_name: str = ""
    """Its name."""
    retry_after: float | None = None
    """Seconds after which the server wants to be asked again."""
    call_id: str = ""
    """Id of the call in the server's log."""

    def __str__(self) -> str:
        reason = f" {self.reason}" if self.reason else ""
        return f"{self.code.name}{reason}: {self.message}"


class InvalidArgument(RelaisError):
    """A field, a filter or a page token is wrong; `fields` says which."""


class NotFound(RelaisError):
    """`resource_name` does not exist."""


class AlreadyExists(RelaisError):
    """A key is taken by `resource_name`, or a request_id was used for another request."""


class FailedPrecondition(RelaisError):
    """The lifecycle does not allow it now; `preconditions` says what is missing."""


class Aborted(RelaisError):
    """The resource changed since its etag was read."""


class OutOfRange(RelaisError):
    """A feed token of another history."""


class ResourceExhausted(RelaisError):
    """Too much at once; `retry_after` says when again."""


class Unavailable(RelaisError):
    """The server or its storage is away, and stayed away until the deadline."""


class DeadlineExceeded(RelaisError):
    """No answer in time. A write may have happened: repeat it with the same request_id."""


class Unauthenticated(RelaisError):
    """The server does not admit this caller."""


class PermissionDenied(RelaisError):
    """The caller's role does not reach that far."""


class Internal(RelaisError):
    """A fault of the server; `call_id` finds it in the log."""


class Cancelled(RelaisError):
    """The caller gave up."""


class Unimplemented(RelaisError):
    """The server does not know the call: it is older than this client."""


_CLASSES: dict[grpc.StatusCode, type[RelaisError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def from_status(status: status_pb2.Status) -> RelaisError:
    """The error that a google.rpc.Status means, such as that of one item of a batch."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    error = _CLASSES.get(code, RelaisError)(code, status.message)
    for detail in status.details:
        _read(detail, error)
    return error


def from_rpc(
    code: grpc.StatusCode,
    message_text: str,
    trailers: dict[str, str | bytes],
) -> RelaisError:
    """The error of a call that ended with this code, text and trailing metadata."""
    status = status_pb2.Status()
    details = trailers.get("grpc-status-details-bin")
    if isinstance(details, bytes):
        try:
            status.ParseFromString(details)
        except message.DecodeError:
            status.Clear()
    status.code = code.value[0]
    status.message = status.message or message_text
    error = from_status(status)
    call_id = trailers.get("relais-call-id", "")
    error.call_id = call_id if isinstance(call_id, str) else call_id.decode("latin-1")
    return error


def _read(detail: any_pb2.Any, error: RelaisError) -> None:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    precondition = error_details_pb2.PreconditionFailure()
    resource = error_details_pb2.ResourceInfo()
    retry = error_details_pb2.RetryInfo()
    if detail.Unpack(info):
        error.reason = info.reason
        error.metadata = dict(info.metadata)
    elif detail.Unpack(bad):
        error.fields = [FieldViolation(v.field, v.description) for v in bad.field_violations]
    elif detail.Unpack(precondition):
        error.preconditions = [
            Precondition(v.type, v.subject, v.description) for v in precondition.violations
        ]
    elif detail.Unpack(resource):
        error.resource_type, error.resource_name = resource.resource_type, resource.resource_name
    elif detail.Unpack(retry):
        error.retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
