#!/usr/bin/env python3
"""More calls than storage can take: what is answered is answered in time, what is not is refused at
once and told when to come again, and the server stays small.

Storage is slowed by relaisd's failpoint to about 500 units a second. Every figure is held against the
capacity measured just before, in the same run and on the same machine.
"""

import json
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from harness import (Failure, Server, Suite, arguments, check, check_equal, clean_environment,
                     die_with_parent, engine_of)

DELAY_US = 2000
DEADLINE_MS = 2000
IN_FLIGHT = 128
# Offered load, as a multiple of the capacity, and the part of the capacity that must come of it.
GOODPUT = {2: 0.90, 5: 0.90, 10: 0.80}
# Part of an earlier rate that counts as that rate being back.
BACK = 0.8
BACK_SECONDS = 5
# Part of the calls that may be let in and then be too late.
MOST_EXPIRED = 0.01
# Units a second that the failpoint leaves: DELAY_US each, and what the rest of a transaction takes.
CAPACITY = (250, 520)
MOST_MIB = 256
MOST_THREADS = 40
SLOT = 0.25
SAMPLE_SECONDS = 0.2


class Watched:
    """The largest memory and number of threads of a process while this is open."""

    def __init__(self, pid):
        self.pid = pid
        self.mib = 0.0
        self.threads = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while True:
            for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    self.mib = max(self.mib, int(line.split()[1]) / 1024)
                elif line.startswith("Threads:"):
                    self.threads = max(self.threads, int(line.split()[1]))
            if self.end.wait(SAMPLE_SECONDS):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


class Storage:
    """The failpoint of one server: how slow writing is."""

    def __init__(self, folder):
        self.path = folder / "write_delay_us"
        self.slow()

    def flags(self):
        return ["--allow_failpoints", f"--failpoint=write_delay_us=@{self.path}"]

    def _set(self, micros):
        # Renamed into place, so that no transaction reads half a number.
        new = self.path.with_suffix(".new")
        new.write_text(f"{micros}\n", encoding="ascii")
        new.rename(self.path)

    def slow(self):
        self._set(DELAY_US)

    def lift(self):
        self._set(0)


class Crowd:
    """open_load as a process."""

    def __init__(self, program, server, seconds, **options):
        words = [f"--{key}={value}" for key, value in options.items()]
        self.process = subprocess.Popen(
            [program, "--server", server.address, f"--seconds={seconds}", *words],
            stdout=subprocess.PIPE, text=True, env=clean_environment(), preexec_fn=die_with_parent)
        check_equal(self.process.stdout.readline(), "start\n", "the load's first line")

    def finish(self):
        out, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise Failure(f"the load ended with {self.process.returncode}")
        return json.loads(out.splitlines()[-1])


def rate_of(program, server, seconds):
    """Answers a second with many callers who each wait for the answer before they call again."""
    done = Crowd(program, server, seconds, in_flight=IN_FLIGHT, deadline_ms=20_000).finish()
    check_equal((done["refused"], done["expired"], done["other"]), (0, 0, 0), "calls that failed")
    return done["ok_inside"] / done["seconds"], done


def best_second(done):
    """The search index catches up with what was written before, so the rate does not come back at one
    moment; whether it comes back within five seconds is the question."""
    slots = done["slots"][:int(BACK_SECONDS / SLOT)]
    width = int(1 / SLOT)
    return max(sum(slots[i:i + width]) for i in range(len(slots) - width + 1))


def said(done):
    return (f"{done['ok_inside'] / done['seconds']:.0f}/s answered (p50 {done['p50_ms']:.0f} ms, "
            f"p99 {done['p99_ms']:.0f} ms), {done['refused']} refused (retry after "
            f"{done['least_retry_ms']}-{done['most_retry_ms']} ms), {done['expired']} expired "
            f"of {done['sent']}")


def refusals_are_fair(done):
    check_equal(done["other"], 0, f"answers of another kind: {done['codes']}")
    check_equal(done["bare"], 0, "refusals without RetryInfo and grpc-retry-pushback-ms")
    if done["expired"] > MOST_EXPIRED * done["sent"]:
        raise Failure(f"{done['expired']} of {done['sent']} calls were let in and not answered in time")


def overload(options, suite, server, capacity):
    for factor, least in GOODPUT.items():
        with suite.case(f"{server.engine}: {factor} times the capacity"):
            with Watched(server.process.pid) as watched:
                done = Crowd(options.crowd, server, options.seconds, rate=factor * capacity,
                             deadline_ms=DEADLINE_MS).finish()
            goodput = done["ok_inside"] / done["seconds"] / capacity
            print(f"  {said(done)}: goodput {100 * goodput:.0f} %; at most {watched.mib:.0f} MiB, "
                  f"{watched.threads} threads", flush=True)
            check(done["sent"] / done["seconds"] >= 0.9 * factor * capacity,
                  f"only {done['sent']} calls were offered in {done['seconds']} s")
            refusals_are_fair(done)
            check(done["refused"] > 0, "nothing was refused")
            check(done["most_retry_ms"] > done["least_retry_ms"],
                  "the delay told does not follow the backlog")
            check(goodput >= least - options.slack,
                  f"goodput is {goodput:.2f} of the capacity, {least - options.slack} is the least")
            check(watched.mib < MOST_MIB, f"memory: {watched.mib:.0f} MiB")
            check(watched.threads < MOST_THREADS, f"threads: {watched.threads}")


def recovery(options, suite, server, storage, capacity, full):
    seconds = options.recovery
    with suite.case(f"{server.engine}: the capacity is back when the load falls"):
        rate, done = rate_of(options.crowd, server, seconds)
        print(f"  {said(done)}: {100 * rate / capacity:.0f} % of the capacity", flush=True)
        check(rate >= (BACK - options.slack) * capacity, f"{rate:.0f}/s of {capacity:.0f}/s")
    with suite.case(f"{server.engine}: under load, what storage can take again is answered"):
        offered = 2 * capacity
        load = Crowd(options.crowd, server, 2 * seconds, rate=offered, deadline_ms=DEADLINE_MS)
        threading.Event().wait(seconds)
        storage.lift()
        done = load.finish()
        refusals_are_fair(done)
        slots = done["slots"][int(1.5 * seconds / SLOT):int(2 * seconds / SLOT)]
        rate = sum(slots) / (len(slots) * SLOT)
        print(f"  {said(done)}; {100 * rate / offered:.0f} % of what was offered, from "
              f"{seconds / 2} s after the failpoint was lifted", flush=True)
        check(rate >= (BACK - options.slack) * min(offered, full),
              f"{rate:.0f}/s of {offered:.0f}/s offered")
    with suite.case(f"{server.engine}: the full rate is back"):
        _, done = rate_of(options.crowd, server, seconds)
        rate = best_second(done)
        print(f"  {said(done)}: its best second had {100 * rate / full:.0f} % of the rate before",
              flush=True)
        check(rate >= (BACK - options.slack) * full, f"{rate:.0f}/s of {full:.0f}/s")


def main():
    options = arguments(__doc__, load={"type": pathlib.Path},
                        crowd={"type": pathlib.Path, "required": True},
                        seconds={"type": float, "default": 5},
                        recovery={"type": float, "default": 4}, slack={"type": float, "default": 0})
    suite = Suite()
    for name in options.engine:
        with engine_of(name) as engine:
            database = engine.database()
            storage = Storage(database.folder)
            with Server(options.relaisd, database, *storage.flags()) as server:
                server.engine = name
                capacity = full = None
                with suite.case(f"{name}: the capacity is known"):
                    storage.lift()
                    rate_of(options.crowd, server, 1)  # plans and caches are made
                    full, done = rate_of(options.crowd, server, options.seconds)
                    print(f"  at full rate {said(done)}", flush=True)
                    storage.slow()
                    slow, done = rate_of(options.crowd, server, options.seconds)
                    print(f"  slowed {said(done)}", flush=True)
                    check(CAPACITY[0] <= slow <= CAPACITY[1],
                          f"the failpoint leaves {slow:.0f}/s instead of {CAPACITY}")
                    capacity = slow
                if capacity is not None:
                    overload(options, suite, server, capacity)
                    recovery(options, suite, server, storage, capacity, full)
                with suite.case(f"{name}: the server stops in good order"):
                    check_equal(server.stop(), 0, "exit code")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
