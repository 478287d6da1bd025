#!/usr/bin/env python3
"""A server whose answers are written down beforehand, to see what a client does about them.

It listens on 127.0.0.1, prints its address, and when its input ends prints what it saw, as JSON: one
entry an attempt. Needs the Python client (it is run by the interpreter of its environment).

GetLead acts by name: leads/unavailable-twice, leads/exhausted-for-300ms,
leads/exhausted-without-advice, leads/internal, leads/unavailable-for-ever, leads/silent.
CaptureLead, BatchCaptureLeads and ImportRows fail once with UNAVAILABLE, then answer."""

import json
import sys
import threading
import time
from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from relais import v1
from relais.v1 import import_service_pb2_grpc, lead_service_pb2_grpc

SILENCE_SECONDS = 2


class Script:
    """What was seen, and how often each thing was asked."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = []

    def attempt(self, call, context, key="", request_ids=()):
        """Notes an attempt and returns its number, from 1."""
        metadata = dict(context.invocation_metadata())
        with self.lock:
            self.seen.append({
                "call": call, "key": key, "request_ids": list(request_ids), "time": time.monotonic(),
                "user_agent": metadata.get("user-agent", ""),
                "authorization": metadata.get("authorization", ""),
                "seconds_left": context.time_remaining(),
            })
            return sum(1 for each in self.seen if (each["call"], each["key"]) == (call, key))


def refuse(context, code, reason, retry_millis=None):
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="relais")]
    if retry_millis is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_millis)
        details.append(retry)
    status = status_pb2.Status(code=code.value[0], message="as the script says")
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, status.message)


class Leads(lead_service_pb2_grpc.LeadServiceServicer):
    def __init__(self, script):
        self.script = script

    def GetLead(self, request, context):
        number = self.script.attempt("GetLead", context, request.name)
        act = request.name.removeprefix("leads/")
        unavailable, exhausted = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
        if act == "unavailable-for-ever" or (act == "unavailable-twice" and number <= 2):
            refuse(context, unavailable, "STORAGE_UNAVAILABLE", 10)
        if act == "exhausted-for-300ms" and number == 1:
            refuse(context, exhausted, "OVERLOADED", 300)
        if act == "exhausted-without-advice":
            refuse(context, exhausted, "QUOTA")
        if act == "internal":
            refuse(context, grpc.StatusCode.INTERNAL, "INTERNAL")
        if act == "silent":
            time.sleep(SILENCE_SECONDS)
        return v1.Lead(name=request.name)

    def CaptureLead(self, request, context):
        if self.script.attempt("CaptureLead", context, request_ids=[request.request_id]) == 1:
            refuse(context, grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", 20)
        return v1.CaptureLeadResponse(lead=v1.Lead(name="leads/captured"))

    def BatchCaptureLeads(self, request, context):
        ids = [item.request_id for item in request.requests]
        if self.script.attempt("BatchCaptureLeads", context, request_ids=ids) == 1:
            refuse(context, grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", 20)
        return v1.BatchCaptureLeadsResponse()


class Imports(import_service_pb2_grpc.ImportServiceServicer):
    def __init__(self, script):
        self.script = script

    def ImportRows(self, request, context):
        if self.script.attempt("ImportRows", context) == 1:
            refuse(context, grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", 20)
        return v1.ImportRowsResponse(**{"import": v1.Import(name=request.name)})


def main():
    script = Script()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    lead_service_pb2_grpc.add_LeadServiceServicer_to_server(Leads(script), server)
    import_service_pb2_grpc.add_ImportServiceServicer_to_server(Imports(script), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0).wait()
    print(json.dumps(script.seen), flush=True)


if __name__ == "__main__":
    main()
