#!/usr/bin/env python3
"""Two servers on one PostgreSQL capture the same 1,000 people at once, each in an order of its own:
1,000 leads come of it, not one more, and no conflict or deadlock reaches a caller.
"""

import collections
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from harness import Relais, Server, Suite, arguments, check, check_equal, engine_of
from history import Load, feed_is_gapless, read_journal

PEOPLE = 1000
PASSES = 2


def main():
    options = arguments(__doc__, load={"type": pathlib.Path, "required": True})
    suite = Suite()
    with engine_of("postgres") as engine:
        database = engine.database()
        with Server(options.relaisd, database) as first, Server(options.relaisd, database) as second:
            relais = Relais(options.relais, first)
            loads, journals = [], []
            for number, server in enumerate([first, second]):
                journals.append(database.folder / f"journal-{number}")
                loads.append(Load(options.load, server, journals[-1], "same", "--identities", PEOPLE,
                                  "--passes", PASSES, "--seed", number + 1,
                                  "--first-op", 1_000_000 * number + 1))
            summaries = [load.finish() for load in loads]
            operations = {**read_journal(journals[0]), **read_journal(journals[1])}
            events, leads = relais.events(), relais.leads()
            with suite.case("no conflict and no deadlock reaches a caller"):
                for summary in summaries:
                    check_equal((summary["failed"], summary["unknown"], summary["acked"]),
                                (0, 0, PEOPLE * PASSES), "calls")
                print(f"  {summaries[0]['rate']:.0f}/s and {summaries[1]['rate']:.0f}/s")
            with suite.case("one lead a person"):
                check_equal(len(leads), PEOPLE, "leads")
                names = collections.defaultdict(set)
                for operation in operations.values():
                    names[operation.target].add(operation.resource)
                check_equal(len(names), PEOPLE, "people")
                check(all(len(found) == 1 for found in names.values()), "all callers got the same lead")
                check_equal({next(iter(found)) for found in names.values()}, set(leads), "names")
            with suite.case("every capture left its touchpoint"):
                check_equal({lead["counters"]["touchpoints"] for lead in leads.values()},
                            {str(2 * PASSES)}, "touchpoints of each lead")
                kinds = collections.Counter(event["type"] for event in events)
                check_equal(kinds["EVENT_TYPE_LEAD_CREATED"], PEOPLE, "leads made")
                check_equal(kinds["EVENT_TYPE_TOUCHPOINT_RECORDED"], 2 * PASSES * PEOPLE, "touchpoints")
            with suite.case("both identities of each person have the one owner"):
                for lead in leads.values():
                    address = lead["person"]["emails"][0]["address"]
                    check_equal(f"{lead['external_ids'][0]['id']}@example.com", address, lead["name"])
            with suite.case("the feed has no gap, and both servers show the same"):
                feed_is_gapless(events)
                check_equal(Relais(options.relais, second).leads(), leads, "leads at the second server")
            with suite.case("both servers stop in good order"):
                check_equal((first.stop(), second.stop()), (0, 0), "exit codes")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
