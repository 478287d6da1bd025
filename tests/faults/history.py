"""Holds what a server recorded against what a load saw: the journal of relais_load on one side, the
feed and an export on the other.

The model is simple on purpose. Every operation is written down before it is sent. In the end:
  acknowledged   exactly one event of its kind carries its mark, at or before the acknowledged position
  refused        none does
  left open      there are none: they were sent again with the same request id until they were settled
  sent twice     the second call of a capture leaves nothing, and both were given the same lead
and nothing is recorded that no operation asked for.
"""

import collections
import json
import re
import subprocess

from harness import Failure, check, check_equal, clean_environment, die_with_parent, run

MIN_ACKED_PER_SECOND = 100

# The event that shows an operation, and what made it.
SHOWN_BY = {
    "CaptureLead": "TOUCHPOINT_RECORDED",
    "RecordTouchpoint": "TOUCHPOINT_RECORDED",
    "UpdateLead": "LEAD_UPDATED",
    "AssessLead": "LEAD_ASSESSED",
    "QualifyLead": "LEAD_TRANSITIONED",
    "CreateOpportunity": "OPPORTUNITY_CREATED",
    "CloseOpportunity": "OPPORTUNITY_CLOSED",
}
MARK = re.compile(r"\bop-(\d+)\b")


class Operation:
    def __init__(self, method, request_id, target):
        self.method = method
        self.request_id = request_id
        self.target = target
        self.ending = None  # ok, failed; None while open
        self.resource = None
        self.position = None
        self.replayed = False
        self.unknown = 0  # how often it ended without an answer
        self.message = ""


def read_journal(path):
    operations = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            kind, number, *rest = line.rstrip("\n").split("\t")
            if kind == "begun":
                method, request_id, target = rest
                known = operations.get(int(number))
                if known is None:
                    operations[int(number)] = Operation(method, request_id, target)
                else:
                    check_equal((known.method, known.request_id, known.target),
                                (method, request_id, target), f"retry of op {number}")
                continue
            operation = operations[int(number)]
            check(operation.ending is None, f"op {number} ended twice: {line!r}")
            if kind == "ok":
                operation.ending = "ok"
                operation.resource, position, replayed = rest
                operation.position = int(position)
                operation.replayed = replayed == "1"
            elif kind == "failed":
                operation.ending = "failed"
                operation.message = " ".join(rest)
            else:
                operation.unknown += 1
    return operations


def recorded(events):
    """op number -> [(event type, event number)], of the events that show operations."""
    found = collections.defaultdict(list)
    triggers = {(trigger, f"EVENT_TYPE_{kind}") for trigger, kind in SHOWN_BY.items()}
    for event in events:
        if (event.get("trigger"), event["type"]) not in triggers:
            continue
        new = [change.get("new_value") for change in event.get("changes", [])]
        marks = set(MARK.findall(json.dumps([new, event.get("reason", "")])))
        check(len(marks) == 1, f"event {event['number']} carries the marks {sorted(marks)}")
        found[int(marks.pop())].append((event["type"], int(event["number"])))
    return found


def feed_is_gapless(events):
    check_equal([int(event["number"]) for event in events], list(range(1, len(events) + 1)),
                "numbers of the feed")
    # RFC 3339 texts of unequal length do not order by byte; the feed writes 0, 3 or 6 decimals.
    times = [re.sub(r"Z$", "", event["record_time"]) for event in events]
    times = [(t.split(".")[0], (t.split(".") + [""])[1].ljust(9, "0")) for t in times]
    check(all(a < b for a, b in zip(times, times[1:])), "record_time rises strictly")


def repeats_have_no_effect(operations):
    """A call that was sent twice happened once, and both calls were told the same."""
    calls = collections.defaultdict(list)
    for operation in operations.values():
        if operation.method in ("CaptureLead", "RepeatCapture"):
            calls[operation.request_id].append(operation)
    for request_id, same in calls.items():
        text = f"capture with request id {request_id}, sent {len(same)} times"
        check_equal({o.ending for o in same}, {"ok"}, text)
        check_equal(len({o.resource for o in same}), 1, f"{text}: leads")
        check(sum(not o.replayed for o in same) <= 1, f"{text}: two were told that they were the first")


def verify(operations, events, leads):
    """Raises Failure at the first thing that is lost, doubled or from nowhere."""
    feed_is_gapless(events)
    found = recorded(events)
    for number, operation in operations.items():
        if operation.method == "RepeatCapture":
            continue
        shown = found.pop(number, [])
        text = f"op {number} {operation.method} ({operation.ending}, unknown {operation.unknown} times)"
        check(operation.ending is not None, f"{text} was never settled")
        if operation.ending == "failed":
            check(not shown, f"{text} was refused and is recorded: {shown}")
            continue
        check_equal(len(shown), 1, f"{text}: events {shown}")
        kind, event = shown[0]
        check_equal(kind, f"EVENT_TYPE_{SHOWN_BY[operation.method]}", text)
        check(event <= operation.position, f"{text}: event {event}, acknowledged at {operation.position}")
    check_equal(dict(found), {}, "recorded and never asked for")

    repeats_have_no_effect(operations)
    made = [o for o in operations.values() if o.ending == "ok" and o.method == "CaptureLead"]
    check_equal(sorted(leads), sorted({o.resource for o in made}), "leads are those that were captured")
    created = [e["subject"] for e in events if e["type"] == "EVENT_TYPE_LEAD_CREATED"]
    check_equal(sorted(created), sorted(leads), "each lead was made once")
    people = collections.defaultdict(set)
    for operation in made:
        if operation.target:
            people[operation.target].add(operation.resource)
    check(all(len(names) == 1 for names in people.values()), "a person has several leads")
    check_equal(len({o.resource for o in made}),
                len(people) + sum(not o.target for o in made), "two people share a lead")
    touched = collections.Counter(o.target for o in operations.values()
                                  if o.ending == "ok" and o.method == "RecordTouchpoint")
    touched.update(o.resource for o in made)
    for name, lead in leads.items():
        check_equal(int(lead["counters"]["touchpoints"]), touched[name], f"touchpoints of {name}")


class Load:
    """relais_load as a process whose progress can be waited for."""

    def __init__(self, program, server, journal, *arguments):
        self.process = subprocess.Popen(
            [program, "--server", server.address, "--journal", journal, *map(str, arguments)],
            stdout=subprocess.PIPE, text=True, env=clean_environment(), preexec_fn=die_with_parent)
        self.acked = 0
        self.summary = None

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"the load ended early with {self.process.wait()}")
        if line.startswith("acked "):
            self.acked = int(line.split()[1])
        elif line.startswith("{"):
            self.summary = json.loads(line)

    def wait_for(self, acked):
        while self.acked < acked:
            self._line()
            if self.summary is not None:
                raise Failure(f"the load ended before {acked} were acknowledged: {self.summary}")

    def finish(self):
        while self.summary is None:
            self._line()
        # Whatever is still printed must not block it.
        self.process.communicate()
        return self.summary

    def kill(self):
        self.process.kill()
        self.process.communicate()


def settle(program, server, journal):
    """Sends again what is open until nothing is."""
    done = run([program, "--server", server.address, "--journal", journal, "retry"])
    check_equal(done.code, 0, f"open operations cannot be settled: {done.out[-500:]} {done.err[-500:]}")


def real_load(summary):
    check(summary["rate"] >= MIN_ACKED_PER_SECOND,
          f"only {summary['rate']} acknowledged writes a second, {MIN_ACKED_PER_SECOND} are the least "
          "that counts")
