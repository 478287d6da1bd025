#!/usr/bin/env python3
"""A consumer of the feed that is killed and resumed again and again under load sees every event once
and in order, and can rebuild the table of leads from what it saw: every column but those that the
passing of time changes.
"""

import datetime
import json
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from harness import (Relais, Server, Suite, arguments, check, check_equal, clean_environment,
                     die_with_parent, engine_of)
from history import Load, feed_is_gapless, read_journal, real_load, verify

# Functions of time: the score, and what is made of it. next_score_time has no history either.
OF_TIME = {"score", "fit_score", "engagement_score", "intent_score", "grade", "score_band", "next_score_time"}
# Not fields of the lead's own: its name is the event's subject, its etag a number of the table.
NOT_IN_THE_LOG = {"name", "etag"}
TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$")
ENUM_PREFIXES = {"stage": "STAGE_", "market": "MARKET_", "maturity": "MATURITY_",
                 "acquisition.channel": "CHANNEL_"}


def plain(value):
    """One spelling for a value, whichever JSON it came from: whole numbers as text, times in
    microseconds, nothing for what is empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(int(value)) if int(value) == value else str(value)
    if isinstance(value, str):
        if found := TIME.match(value):
            seconds = datetime.datetime.fromisoformat(found.group(1) + "+00:00").timestamp()
            return f"time {int(seconds) * 10**6 + int((found.group(2) or '').ljust(6, '0')[:6])}"
        return value
    if isinstance(value, list):
        return [plain(item) for item in value]
    items = {key: plain(item) for key, item in value.items()}
    return {key: item for key, item in items.items() if item not in ("", "0", [], {}, None)}


def is_empty(value):
    return value in ("", "0", [], {}, None)


def rebuilt(events):
    """The leads after the feed: name -> path -> value."""
    leads = {}
    for event in events:
        subject = event["subject"]
        if not re.fullmatch(r"leads/[^/]+", subject):
            continue
        lead = leads.setdefault(subject, {})
        for change in event.get("changes", []):
            old = plain(change["old_value"]) if change.get("old_value") is not None else None
            path = change["path"]
            if path not in OF_TIME:
                check_equal(old if not is_empty(old) else None, lead.get(path),
                            f"event {event['number']}: {path} of {subject} before the change")
            new = plain(change["new_value"]) if change.get("new_value") is not None else None
            if is_empty(new):
                lead.pop(path, None)
            else:
                lead[path] = new
    return leads


def flat(lead):
    """An exported lead in the same form."""
    out = {}
    nested = {"person", "postal_address", "organization", "acquisition", "milestones", "counters"}

    def walk(prefix, message):
        for key, value in message.items():
            path = prefix + key
            if key in nested:
                walk(path + ".", value)
                continue
            if path in ENUM_PREFIXES:
                value = value.removeprefix(ENUM_PREFIXES[path])
            value = plain(value)
            if not is_empty(value):
                out[path] = value

    walk("", {key: value for key, value in lead.items() if key not in NOT_IN_THE_LOG})
    return out


def without_time(lead):
    return {path: value for path, value in lead.items() if path not in OF_TIME}


def size_of(path):
    return path.stat().st_size if path.exists() else 0


class Watcher:
    """`relais watch --append`, which has nothing but the file to remember where it was."""

    def __init__(self, relais, feed):
        self.process = subprocess.Popen(relais.command("watch", "--append", feed),
                                        stderr=subprocess.DEVNULL, env=clean_environment(),
                                        preexec_fn=die_with_parent)
        self.feed = feed

    def wait_until(self, size):
        """Until the file has grown so far; it is asked for without pause, so no moment is favoured."""
        while size_of(self.feed) < size:
            check(self.process.poll() is None, f"the watcher ended with {self.process.returncode}")

    def kill(self):
        self.process.kill()
        self.process.wait()


def main():
    options = arguments(__doc__, load={"type": pathlib.Path, "required": True},
                        kills={"type": int, "default": 10}, seed={"type": int, "default": 1})
    suite = Suite()
    for name in options.engine:
        random_source = random.Random(options.seed)
        with engine_of(name) as engine, Server(options.relaisd, engine.database()) as server:
            relais = Relais(options.relais, server)
            folder = server.database.folder
            feed, journal = folder / "feed.jsonl", folder / "journal"
            torn = 0
            with suite.case(f"{name}: killed and resumed {options.kills} times under load"):
                # Enough work that the load outlives the last kill.
                load = Load(options.load, server, journal, "run", "--concurrency", 16, "--operations",
                            400 * options.kills)
                for number in range(options.kills):
                    watcher = Watcher(relais, feed)
                    watcher.wait_until(size_of(feed) + random_source.randrange(1, 60_000))
                    if number == options.kills - 1:
                        check(load.process.poll() is None, "the load ended before the last kill")
                    watcher.kill()
                    torn += not feed.read_bytes().endswith(b"\n")
                summary = load.finish()
                real_load(summary)
                check_equal((summary["failed"], summary["unknown"]), (0, 0), "calls of the load")
                relais("watch", "--append", feed, "--until-now")
                print(f"  {summary['acked']} writes at {summary['rate']:.0f}/s, {torn} lines torn",
                      flush=True)
            events = [json.loads(line) for line in feed.read_text(encoding="utf-8").splitlines()]
            with suite.case(f"{name}: every event once, in order"):
                feed_is_gapless(events)
                check_equal(events, relais.events(), "the feed as one reader sees it")
                verify(read_journal(journal), events, relais.leads())
            with suite.case(f"{name}: the table of leads is rebuilt from the feed"):
                leads = {key: without_time(flat(lead)) for key, lead in relais.leads().items()}
                again = {key: without_time(lead) for key, lead in rebuilt(events).items()}
                check_equal(sorted(again), sorted(leads), "names")
                for key, lead in leads.items():
                    differing = {path: (again[key].get(path), lead.get(path))
                                 for path in {*again[key], *lead}
                                 if again[key].get(path) != lead.get(path)}
                    check_equal(differing, {}, f"{key}: rebuilt and exported")
                columns = {path for lead in leads.values() for path in lead}
                check({"stage", "labels", "person.job_title", "milestones.customer_time",
                       "counters.won_opportunities", "update_time"} <= columns, f"columns: {columns}")
            with suite.case(f"{name}: the server stops in good order"):
                check_equal(server.stop(), 0, "exit code")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
