#!/usr/bin/env python3
"""kill -9 of the server under load, again and again: every acknowledged write is there once, none is
doubled, none comes from nowhere. Calls that ended without an answer are sent again with the same
request id after the restart, as a client would.
"""

import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from harness import Relais, Server, Suite, arguments, check, check_equal, engine_of
from history import Load, read_journal, real_load, settle, verify

# Operations of one round are numbered from a multiple of this.
ROUND = 1_000_000
IN_FLIGHT = 256


def one_round(options, server, journal, round_number, random_source):
    load = Load(options.load, server, journal, "run", "--first-op", ROUND * round_number + 1,
                "--seed", round_number + 1, "--concurrency", IN_FLIGHT, "--stop-on-loss")
    load.wait_for(random_source.randrange(2 * IN_FLIGHT, 8 * IN_FLIGHT))
    server.kill()
    summary = load.finish()
    # Batches answer many at a time, so the kill may come just after one.
    check(summary["unknown"] >= IN_FLIGHT // 2, f"the kill cut too few calls: {summary}")
    real_load(summary)
    server.start()
    settle(options.load, server, journal)
    return summary


def main():
    options = arguments(__doc__, load={"type": pathlib.Path, "required": True},
                        kills={"type": int, "default": 3}, seed={"type": int, "default": 1})
    suite = Suite()
    for name in options.engine:
        random_source = random.Random(options.seed)
        with engine_of(name) as engine, Server(options.relaisd, engine.database()) as server:
            relais = Relais(options.relais, server)
            journal = server.database.folder / "journal"
            for number in range(options.kills):
                with suite.case(f"{name}: kill {number + 1}"):
                    summary = one_round(options, server, journal, number, random_source)
                    operations = read_journal(journal)
                    verify(operations, relais.events(), relais.leads())
                    settled = [o for o in operations.values() if o.unknown]
                    print(f"  {summary['acked']} acknowledged at {summary['rate']:.0f}/s, "
                          f"{summary['unknown']} cut; so far {len(operations)} operations, "
                          f"{len(settled)} were left open, of which "
                          f"{sum(o.replayed for o in settled)} had happened", flush=True)
            with suite.case(f"{name}: every kind of write was under way"):
                counts = {}
                for operation in read_journal(journal).values():
                    if operation.ending == "ok":
                        counts[operation.method] = counts.get(operation.method, 0) + 1
                check_equal(len(counts), 8, f"kinds: {counts}")
            with suite.case(f"{name}: the server stops in good order"):
                check_equal(server.stop(), 0, "exit code")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
