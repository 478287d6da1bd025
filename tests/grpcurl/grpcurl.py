"""grpcurl as a function: the shipped server is described by its own reflection, so these calls need no
generated code and see exactly what a stranger's tool sees."""

import json
import re
import shutil

from harness import Failure, check, check_equal, run

CALLED = set()


class Refusal:
    """A refused call: canonical code, reason, field paths and the violations of preconditions."""

    def __init__(self, status):
        self.code = status["code"]
        self.message = status.get("message", "")
        self.reason = None
        self.fields = []
        self.violations = []
        self.resource = None
        for detail in status.get("details", []):
            kind = detail["@type"].rsplit(".", 1)[-1]
            if kind == "ErrorInfo":
                check_equal(detail["domain"], "relais", "domain of an ErrorInfo")
                self.reason = detail["reason"]
                self.metadata = detail.get("metadata", {})
            elif kind == "BadRequest":
                self.fields = [violation["field"] for violation in detail["fieldViolations"]]
            elif kind == "PreconditionFailure":
                self.violations = detail["violations"]
            elif kind == "ResourceInfo":
                self.resource = (detail["resourceType"], detail.get("resourceName", ""))


class Answer:
    """What a call answered: messages, and the trailing metadata."""

    def __init__(self, messages, trailers):
        self.messages = messages
        self.trailers = trailers


class Grpcurl:
    CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
             "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
             "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
             "UNAUTHENTICATED"]

    def __init__(self, server):
        self.server = server
        self.program = shutil.which("grpcurl")
        check(self.program, "grpcurl is not installed; deploy/dev setup does it")

    def raw(self, *words, stdin=None):
        return run([self.program, "-plaintext", *words], stdin=stdin, timeout=60)

    def _run(self, method, requests, *flags):
        CALLED.add(method)
        name = method if method.startswith("grpc.") else f"relais.v1.{method}"
        stdin = "\n".join(json.dumps(renamed(request, snake_case)) for request in requests)
        done = self.raw("-max-time", "30", "-d", "@", *flags, self.server.address, name, stdin=stdin)
        if "Failed to" in done.err or "error invoking" in done.err.lower():
            raise Failure(f"{method}: grpcurl itself failed: {done.err}")
        return done

    def call(self, method, *requests):
        """The answer of a unary call, or the answers of a stream, as messages."""
        done = self._run(method, requests)
        check_equal(done.code, 0, f"{method}: exit code\n{done.err}")
        return list(decode_all(done.out))

    def one(self, method, request=None):
        messages = self.call(method, request or {})
        check_equal(len(messages), 1, f"{method}: messages")
        return messages[0]

    def verbose(self, method, request):
        """With the trailing metadata."""
        done = self._run(method, [request], "-v")
        check_equal(done.code, 0, f"{method}: exit code\n{done.err}")
        contents = done.out.split("Response contents:\n", 1)[1].split("Response trailers received:", 1)
        trailers = dict(re.findall(r"^([a-z-]+): (.*)$", contents[1], re.MULTILINE))
        return Answer(list(decode_all(contents[0])), trailers)

    def refused(self, method, request, code, reason=None, fields=None):
        """Demands a refusal with this code, reason and, in any order, these field paths."""
        done = self._run(method, [request], "-format-error")
        check(done.code != 0, f"{method} was not refused; it answered {done.out[:500]}")
        refusal = Refusal(renamed(json.loads(done.err), camel_case))
        text = f"{method} {json.dumps(request)[:200]}"
        check_equal(self.CODES[refusal.code], code, f"{text}: code ({refusal.message})")
        if reason is not None:
            check_equal(refusal.reason, reason, f"{text}: reason ({refusal.message})")
        if fields is not None:
            check_equal(sorted(refusal.fields), sorted(fields), f"{text}: fields")
        return refusal


def decode_all(text):
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        message, at = decoder.raw_decode(text, at)
        yield renamed(message, camel_case)


# Versions of grpcurl differ in how they write the names of fields, and all take those of the protos.
def camel_case(name):
    if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name):
        return name
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake_case(name):
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def renamed(value, rename):
    if isinstance(value, list):
        return [renamed(item, rename) for item in value]
    if isinstance(value, dict):
        return {rename(name): renamed(item, rename) for name, item in value.items()}
    return value
