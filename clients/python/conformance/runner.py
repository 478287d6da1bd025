"""The conformance runner of the Python client; clients/README.md describes what it is asked to do.

    runner.py vectors  --server S --vectors FOLDER --report FILE [--asyncio]
    runner.py retries  --server S [--asyncio]
    runner.py restarts --server S --captures N [--asyncio]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import pathlib
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from google.protobuf import json_format
from google.rpc import error_details_pb2  # noqa: F401  Known to json_format for the details of items.

import relais
import vectors
from relais._services import METHODS
from relais import v1


class Caller:
    """One call by its name, as JSON in and JSON out, through the client's own layer."""

    def __init__(self, client: relais.Client | relais.AsyncClient, loop: asyncio.Runner | None) -> None:
        self.client: Any = client
        self.loop = loop

    def __call__(self, name: str, requests: list[Any], timeout: float | None = None) -> dict[str, Any]:
        method = METHODS[name]
        messages = [json_format.ParseDict(request, method.request()) for request in requests]
        trailers: relais.Trailers = {}
        caller = next(iter(vars(self.client.leads).values()))
        try:
            answer: Any
            if not method.streams:
                done = caller.unary(method, messages[0], timeout, trailers)
                answer = to_json(self.loop.run(done) if self.loop else done)
            else:
                stream = (caller.stream_stream(method, messages, 20.0)
                          if name == "ImportService/ImportLeads"
                          else caller.unary_stream(method, messages[0], 20.0))
                answer = [to_json(message) for message in
                          (self.loop.run(collected(stream)) if self.loop else stream)]
        except relais.RelaisError as error:
            return {
                "code": error.code.name, "message": error.message, "reason": error.reason,
                "metadata": error.metadata, "fields": [f.field for f in error.fields],
                "preconditions": [p.subject for p in error.preconditions],
                "resource": {"type": error.resource_type, "name": error.resource_name},
            }
        return {"code": "OK", "answer": answer, "trailers": trailers}


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [message async for message in stream]


def to_json(message: Any) -> Any:
    return json_format.MessageToDict(message)


def run_story(call: Caller, steps: list[Any]) -> None:
    scope = vectors.Scope()
    for number, step in enumerate(steps, 1):
        end = time.monotonic() + step.get("within_seconds", 0)
        while True:
            try:
                requests = scope.fill(step.get("requests", [step.get("request", {})]))
                seen = call(step["call"], requests)
                vectors.judge(scope.fill(step.get("expect", {})), seen)
                scope.capture(step.get("capture", {}), seen.get("answer"))
                break
            except vectors.Mismatch as mismatch:
                if time.monotonic() >= end:
                    raise vectors.Mismatch(f"step {number}, {step['call']}: {mismatch}") from None
                time.sleep(0.1)


def run_vectors(call: Caller, options: argparse.Namespace) -> int:
    fixtures, stories = vectors.load(options.vectors)
    failed: dict[str, str] = {}
    calls: set[str] = set()
    for story in stories:
        steps = vectors.steps_of(story, fixtures)
        calls |= {step["call"] for step in steps}
        try:
            run_story(call, steps)
        except Exception as error:  # noqa: BLE001  Whatever it is, the other stories still run.
            failed[story["name"]] = f"{type(error).__name__}: {error}"
            print(f"FAILED: {story['name']}: {failed[story['name']]}", flush=True)
    print(f"{len(stories) - len(failed)} of {len(stories)} stories passed", flush=True)
    if options.report:
        options.report.write_text(json.dumps({
            "client": "python" + (" (asyncio)" if call.loop else ""), "version": relais.__version__,
            "passed": len(stories) - len(failed), "failed": failed, "calls": sorted(calls)}))
    return 1 if failed else 0


def run_retries(call: Caller, options: argparse.Namespace) -> int:
    """The calls that the scripted server of clients/conformance judges, in this order."""
    once = {"lead": {"person": {"emails": [{"address": "once@example.com"}]}}}
    results = [
        call("LeadService/GetLead", [{"name": "leads/unavailable-twice"}]),
        call("LeadService/CaptureLead", [once]),
        call("LeadService/BatchCaptureLeads", [{"requests": [once, once]}]),
        call("LeadService/GetLead", [{"name": "leads/exhausted-for-300ms"}]),
        call("LeadService/GetLead", [{"name": "leads/exhausted-without-advice"}]),
        call("LeadService/GetLead", [{"name": "leads/internal"}]),
        call("LeadService/GetLead", [{"name": "leads/unavailable-for-ever"}], 1.0),
        call("LeadService/GetLead", [{"name": "leads/silent"}], 0.5),
        call("ImportService/ImportRows", [{"name": "imports/" + str(uuid.uuid4()), "complete": True}]),
    ]
    print(json.dumps([{"code": r["code"], "reason": r.get("reason", "")} for r in results]))
    return 0


def run_restarts(client: relais.Client, options: argparse.Namespace) -> int:
    """Captures while the server dies and comes back; prints what was captured and watched."""
    tag = uuid.uuid4().hex[:12]
    watched: list[v1.Event] = []

    def watch() -> None:
        created = 0
        for event in client.watch(v1.WatchRequest()):
            watched.append(event)
            created += event.type == v1.EVENT_TYPE_LEAD_CREATED
            if created == options.captures:
                return

    def capture(number: int) -> str:
        lead = v1.Lead(person=v1.Person(emails=[v1.Email(address=f"r{number}.{tag}@example.com")]))
        return client.leads.capture_lead(v1.CaptureLeadRequest(lead=lead), timeout=120).lead.name

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(capture, range(options.captures)))
    watcher.join(60)
    report(names, watched)
    return 0


async def run_restarts_async(client: relais.AsyncClient, options: argparse.Namespace) -> int:
    tag = uuid.uuid4().hex[:12]
    watched: list[v1.Event] = []

    async def watch() -> None:
        created = 0
        async with contextlib.aclosing(client.watch(v1.WatchRequest())) as feed:
            async for event in feed:
                watched.append(event)
                created += event.type == v1.EVENT_TYPE_LEAD_CREATED
                if created == options.captures:
                    return

    numbers = iter(range(options.captures))
    names: list[str] = []

    async def work() -> None:
        for number in numbers:
            lead = v1.Lead(person=v1.Person(emails=[v1.Email(address=f"r{number}.{tag}@example.com")]))
            answer = await client.leads.capture_lead(v1.CaptureLeadRequest(lead=lead), timeout=120)
            names.append(answer.lead.name)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(work() for _ in range(8)))
    await asyncio.wait_for(watcher, 60)
    report(names, watched)
    return 0


def report(names: list[str], watched: list[v1.Event]) -> None:
    print(json.dumps({"captured": len(set(names)), "numbers": [event.number for event in watched],
                      "created": sum(e.type == v1.EVENT_TYPE_LEAD_CREATED for e in watched)}))


def run_cost(client: relais.Client, options: argparse.Namespace) -> int:
    """CPU microseconds of a call with and without the layer, medians of 5 alternating runs."""
    import grpc
    from relais.v1 import lead_service_pb2_grpc

    name = client.leads.capture_lead(v1.CaptureLeadRequest(lead=v1.Lead(
        person=v1.Person(emails=[v1.Email(address=f"{uuid.uuid4()}@example.com")])))).lead.name
    request = v1.GetLeadRequest(name=name)
    with grpc.insecure_channel(options.server) as channel:
        stub: Any = lead_service_pb2_grpc.LeadServiceStub(channel)

        def cost(call: Any) -> float:
            start = time.process_time()
            for _ in range(2000):
                call(request, timeout=30)
            return (time.process_time() - start) / 2000 * 1e6

        pairs = [(cost(stub.GetLead), cost(client.leads.get_lead)) for _ in range(6)][1:]
    bare, layer = (sorted(values)[2] for values in zip(*pairs))
    print(json.dumps({"bare_us": round(bare, 1), "layer_us": round(layer, 1)}))
    return 0


@contextlib.contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Any, asyncio.Runner | None]]:
    if not options.asyncio:
        with relais.connect(options.server) as client:
            yield client, None
        return
    with asyncio.Runner() as loop:
        async def make() -> relais.AsyncClient:
            return relais.connect_async(options.server)

        asynchronous = loop.run(make())
        try:
            yield asynchronous, loop
        finally:
            loop.run(asynchronous.close())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["vectors", "retries", "restarts", "cost"])
    parser.add_argument("--server", required=True)
    parser.add_argument("--vectors", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--captures", type=int, default=2000)
    parser.add_argument("--asyncio", action="store_true")
    options = parser.parse_args()
    with opened(options) as (client, loop):
        if options.command == "restarts":
            if loop is not None:
                return loop.run(run_restarts_async(client, options))
            return run_restarts(client, options)
        if options.command == "cost":
            return run_cost(client, options)
        call = Caller(client, loop)
        return (run_vectors if options.command == "vectors" else run_retries)(call, options)


if __name__ == "__main__":
    sys.exit(main())
