#!/usr/bin/env python3
"""The stories of clients/vectors against the shipped server, told by relais_vectors; and that they
name every reason of refusal that the server's sources know."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import ROOT, Server, Suite, arguments, check, check_equal, engine_of, run

VECTORS = ROOT / "clients" / "vectors"
# Reasons that no request alone can bring about, and where each is shown instead.
ELSEWHERE = {
    "OVERLOADED": "tests/services/server_test.cc, tests/faults/overload_test.py",
    "STORAGE_UNAVAILABLE": "tests/services/server_test.cc",
    "OUTCOME_UNKNOWN": "tests/convert/edge_test.cc",
    "DEADLINE_EXCEEDED": "tests/services/server_test.cc",
    "INTERNAL": "tests/domain/faults_test.cc",
    "OPERATION_MOVED": "tests/storage/scores_test.cc: between servers, not by a call",
    "REVISION_ARCHIVED": "tests/storage/configuration_test.cc: nothing archives models or policies yet",
    "UNAUTHENTICATED": "tests/services/runtime_test.cc",
    "SHUTTING_DOWN": "tests/services/server_test.cc",
    "MALFORMED_MESSAGE": "tests/services/refusal_test.cc: no client can send it",
    "TOO_MANY_MERGED": "tests/storage/merge_test.cc: a hundred merges",
    "ERASED": "no call erases a person yet",
    "SCHEMA_NEWER": "tests/storage/session_test.cc: at a start, not by a call",
    "SCHEMA_DIFFERS": "tests/storage/session_test.cc: at a start, not by a call",
}


def reasons_of_the_sources():
    """Every reason that is written out as one, whatever the layer."""
    found = set()
    made = re.compile(r'(?:PreconditionFailed\(\s*|\.reason = )"([A-Z][A-Z_]+)"')
    chosen = re.compile(r'PreconditionFailed\(\s*\w+ \? "([A-Z_]+)" : "([A-Z_]+)"')
    for folder in ("server", "storage"):
        for path in (ROOT / folder).rglob("*.cc"):
            text = path.read_text(encoding="utf-8")
            found |= set(made.findall(text))
            found |= {reason for pair in chosen.findall(text) for reason in pair}
    return found


def reasons_of_the_stories():
    stories = [story for path in VECTORS.glob("*.json")
               for story in json.loads(path.read_text(encoding="utf-8")).get("stories", [])]
    return {step["expect"]["reason"] for story in stories for step in story["steps"]
            if "reason" in step.get("expect", {})}


def main():
    options = arguments(__doc__, runner={"required": True, "type": pathlib.Path})
    suite = Suite()
    with suite.case("every reason of refusal is told in a story"):
        known = reasons_of_the_sources()
        check(len(known) > 10, f"the sources were read: {known}")
        check_equal(sorted(known - reasons_of_the_stories() - set(ELSEWHERE)), [],
                    "reasons without a story")
    for name in options.engine:
        with engine_of(name) as engine, Server(options.relaisd, engine.database()) as server:
            with suite.case(f"{name}: every story"):
                done = run([options.runner, server.address, VECTORS])
                print(done.out, done.err, flush=True)
                check_equal(done.code, 0, "exit code")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
