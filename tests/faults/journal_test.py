#!/usr/bin/env python3
"""The fault tests are themselves tested: a history in which something was lost, doubled, made up,
acknowledged too early or left open must be caught, and a true one must pass.
"""

import copy
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from harness import Failure, Relais, Server, Suite, arguments, check, engine_of
from history import Load, read_journal, verify


def seeds(operations, events, leads):
    """(name, operations, events, leads) of histories that are wrong."""
    captured = next(n for n, o in operations.items() if o.method == "CaptureLead")
    touched = next(n for n, o in operations.items() if o.method == "RecordTouchpoint")
    name = operations[captured].resource

    def event_of(number, kind):
        return next(i for i, e in enumerate(events)
                    if e["type"] == f"EVENT_TYPE_{kind}" and f'op-{number}"' in str(e).replace("'", '"'))

    def numbered(changed):
        return [{**event, "number": str(i + 1)} for i, event in enumerate(changed)]

    lost = event_of(touched, "TOUCHPOINT_RECORDED")
    yield "an acknowledged write is lost", operations, numbered(events[:lost] + events[lost + 1:]), leads
    twice = {**events[lost], "record_time": "2099-01-01T00:00:00Z"}
    yield "a write is doubled", operations, numbered(events + [twice]), leads
    yield "an event is missing", operations, events[:lost] + events[lost + 1:], leads
    yield "two events change places", operations, [events[1], events[0], *events[2:]], leads

    changed = copy.deepcopy(operations)
    del changed[touched]
    yield "a write comes from nowhere", changed, events, leads
    changed = copy.deepcopy(operations)
    changed[touched].ending = "failed"
    yield "a refused write is recorded", changed, events, leads
    changed = copy.deepcopy(operations)
    changed[touched].ending = None
    yield "a write is left open", changed, events, leads
    changed = copy.deepcopy(operations)
    changed[touched].position = 0
    yield "a write is acknowledged before it is there", changed, events, leads

    yield "a lead is lost", operations, events, {k: v for k, v in leads.items() if k != name}
    doubled = copy.deepcopy(leads)
    doubled["leads/00000000-0000-7000-8000-000000000000"] = copy.deepcopy(leads[name])
    yield "a lead is doubled", operations, events, doubled
    counted = copy.deepcopy(leads)
    counted[name]["counters"]["touchpoints"] = str(int(counted[name]["counters"]["touchpoints"]) + 1)
    yield "a touchpoint is counted twice", operations, events, counted

    repeat = next(n for n, o in operations.items() if o.method == "RepeatCapture")
    changed = copy.deepcopy(operations)
    changed[repeat].resource = "leads/00000000-0000-7000-8000-000000000000"
    yield "a repeated call made another lead", changed, events, leads
    changed = copy.deepcopy(operations)
    for operation in changed.values():
        if operation.request_id == changed[repeat].request_id:
            operation.replayed = False
    yield "a repeated call happened twice", changed, events, leads
    changed = copy.deepcopy(operations)
    people = [o for o in changed.values() if o.method == "CaptureLead" and o.target]
    next(o for o in people if sum(o.target == other.target for other in people) > 1).target = ""
    yield "a person was found by nothing", changed, events, leads


def main():
    options = arguments(__doc__, load={"type": pathlib.Path, "required": True})
    suite = Suite()
    with engine_of("sqlite") as engine, Server(options.relaisd, engine.database()) as server:
        relais = Relais(options.relais, server)
        journal = server.database.folder / "journal"
        Load(options.load, server, journal, "run", "--operations", 300).finish()
        operations, events, leads = read_journal(journal), relais.events(), relais.leads()
        with suite.case("a true history passes"):
            verify(operations, events, leads)
        for name, *history in seeds(operations, events, leads):
            with suite.case(f"caught: {name}"):
                try:
                    verify(*history)
                except Failure:
                    continue
                check(False, "it passed")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
