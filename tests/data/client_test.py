#!/usr/bin/env python3
"""The command-line client against a server, on data made here: what it refuses and how it says so,
that a refused or dry import leaves no trace, that an import survives its own death and the server's,
what an export and the feed look like, and the exit codes.
"""

import csv
import io
import json
import pathlib
import re
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import (Relais, Server, Suite, arguments, check, check_equal, clean_environment,
                     die_with_parent, engine_of, run)

LEADS_MAP = """
unique: "${id}"
rows:
  - row: capture
    fields:
      lead:
        market: B2B
        person:
          given_name: "${name}"
          emails: [{address: "${mail}"}]
        acquisition: {channel: EVENT, source: fair}
        external_ids: [{system: fair, id: "${id}"}]
        labels: {note: "${note}"}
      touchpoint:
        kind: EVENT_ATTENDED
        occur_time: "${day}"
        source: fair
        external_id: "${id}"
  - row: qualification
    when: "deal == yes"
    fields:
      lead: {external_id: {system: fair, id: "${id}"}}
      assessment:
        answers:
          - {criterion: budget, state: MET}
          - {criterion: need, state: MET}
          - {criterion: authority, state: "${authority|default:UNKNOWN}"}
          - {criterion: timeline, state: MET}
        source: IMPORT
        occur_time: "${day}"
      qualify: true
"""
HEADER = "id,name,mail,day,note,deal,authority\n"


class Client:
    """One database, its server and the client; files live beside the database."""

    def __init__(self, options, engine):
        self.server = Server(options.relaisd, engine.database())
        self.folder = self.server.database.folder
        self.relais = Relais(options.relais, self.server)
        self.map = self.file("leads.yaml", LEADS_MAP)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def head(self):
        events = self.relais.events()
        return int(events[-1]["number"]) if events else 0

    def state(self):
        return self.relais.leads(), self.head()

    def rejects(self):
        with open(self.folder / "rejects.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def add(self, content, *flags, code=0):
        return self.relais("import", self.file("leads.csv", content), "--map", self.map, "--rejects",
                           self.folder / "rejects.csv", *flags, code=code)

    def refused_whole(self):
        """Files and mappings that are wrong as a whole: told, and nothing is sent."""
        before = self.state()
        for content, text in [
            ("id,name\n1,Ana\n", "missing: authority, day, deal, mail, note (the file has: id, name)"),
            (HEADER.encode("utf-16"), "UTF-16"),
            ("", "the file is empty"),
            (HEADER + '1,"Ana,a@example.com,2024-01-01,,,\n', "never closed"),
            (HEADER + '1,An"a,a@example.com,2024-01-01,,,\n', "a quote stands inside"),
            ("id,id,name\n", 'two columns are named "id"'),
        ]:
            done = self.add(content, code=2)
            check(text in done.err, f"{text!r} is not in {done.err!r}")
        leads = self.file("good.csv", HEADER)
        for mapping, text in [("rows: 1", "must list"), ("rows: [", "line"), ("row: []", "unknown key")]:
            done = self.relais("import", leads, "--map", self.file("bad.yaml", mapping), code=2)
            check(text in done.err, f"{text!r} is not in {done.err!r}")
        self.relais("import", self.folder / "none.csv", "--map", self.map, code=2)
        self.relais("import", leads, "--map", self.folder / "none.yaml", code=2)
        check_equal(self.state(), before, "nothing was written")

    def dry_run(self):
        before = self.state()
        done = self.add(HEADER + "1,Ana,a@example.com,2024-01-01,,,\n2,Bea,bad,2024-01-01,,,\n",
                        "--dry-run", code=3)
        check("dry run, nothing was written: 2 rows checked, 1 would be refused" in done.err, done.err)
        check_equal([(r["row"], r["field"]) for r in self.rejects()],
                    [("3", "capture.lead.person.emails[0].address")], "what would be refused")
        check_equal(self.state(), before, "nothing was written")

    def refused_rows(self):
        """Lines that are wrong by themselves: each with its line, field and rule; the others come in."""
        rows = [
            b"1,Ana,ana@example.com,2024-01-01,,yes,MET",
            b"2,Bea,not an address,2024-01-01,,,",
            b"3,Eva,eva@example.com,2099-01-01,,,",
            b"4,An\xe1,ana4@example.com,2024-01-01,,,",
            b"5,Ida,ida@example.com,2024-13-01,,,",
            b"6,Ada",
            b"1,Ana,ana@example.com,2024-01-01,,,",
            b"8,Uma,uma@example.com,2024-01-01,,yes,NOT_MET",
            b"9," + b"x" * 10_000 + b",long@example.com,2024-01-01,,,",
            b"10,\x07bell,bell@example.com,2024-01-01,,,",
            b"11,Lea,lea@example.com,2024-01-01,,yes,PERHAPS",
            b"12,Zoe,zoe@example.com,2024-01-01,=1+1,,",
        ]
        before = self.head()
        done = self.add(HEADER.encode() + b"\n".join(rows) + b"\n", code=3)
        rejects = self.rejects()
        expected = [
            ("3", "capture.lead.person.emails[0].address", "INVALID_ARGUMENT INVALID_FIELD"),
            ("4", "capture.touchpoint.occur_time", "INVALID_ARGUMENT INVALID_FIELD"),
            ("5", "name", "not valid UTF-8"),
            ("6", "capture.touchpoint.occur_time", "not a date"),
            ("7", "", "2 fields where the header has 7"),
            ("8", "", "duplicate: the same key as line 2"),
            ("9", "authority", "FAILED_PRECONDITION CRITERIA_NOT_MET"),
            ("10", "capture.lead.person.given_name", "INVALID_ARGUMENT INVALID_FIELD"),
            ("11", "capture.lead.person.given_name", "INVALID_ARGUMENT INVALID_FIELD"),
            ("12", "qualification.assessment.answers[2].state", "is no CriterionState"),
        ]
        check_equal(len(rejects), len(expected), f"refused: {rejects}")
        for got, (row, field, text) in zip(rejects, expected):
            check_equal((got["row"], got["field"]), (row, field), f"line {row}: {got}")
            check(text in got["reason"], f"{text!r} is not in {got}")
            check("not an address" not in got["reason"], "a personal value is repeated")
        check("4 rows recorded, 0 unchanged, 5 refused; 5 lines left out" in done.err, done.err)
        leads = {lead["person"]["given_name"]: lead["stage"] for lead in self.relais.leads().values()}
        check_equal(leads, {"Ana": "STAGE_PROSPECT", "Uma": "STAGE_LEAD", "Zoe": "STAGE_LEAD"},
                    "the good rows came in")
        # Of what was refused there is no trace in the log, assessments of refused rows included.
        types = [event["type"].removeprefix("EVENT_TYPE_") for event in self.relais.events(after=before)]
        check_equal([types.count(t) for t in ("LEAD_CREATED", "TOUCHPOINT_RECORDED", "LEAD_ASSESSED",
                                              "LEAD_TRANSITIONED")],
                    [3, 3, 1, 1], f"events: {types}")

    def again(self):
        """The same file once more, and a file with a line added."""
        before, head = self.state()
        content = HEADER + "1,Ana,ana@example.com,2024-01-01,,yes,MET\n"
        done = self.add(content)
        check("0 rows recorded, 2 unchanged" in done.err, done.err)
        done = self.add(content)
        check("0 rows recorded, 2 unchanged" in done.err, done.err)
        check_equal(self.relais.leads(), before, "nothing changed")
        done = self.add(content, "--resume")
        check("nothing to resume" in done.err, done.err)
        done = self.add(content + "20,Ola,ola@example.com,2024-01-02,,,\n")
        check("1 rows recorded, 2 unchanged" in done.err, done.err)
        check(self.head() > head, "the new line came in")

    def exports(self):
        table = list(csv.DictReader(io.StringIO(
            self.relais("export", "--columns", "person.given_name,labels.note,person.emails.0.address,"
                        "acquisition.channel,stage", "--filter", "person.given_name = \"Zoe\"").out)))
        check_equal(table, [{"person.given_name": "Zoe", "labels.note": "'=1+1",
                             "person.emails.0.address": "zoe@example.com",
                             "acquisition.channel": "EVENT", "stage": "LEAD"}], "formulas are guarded")
        file = self.folder / "out.csv"
        self.relais("export", "-o", file)
        lines = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
        check_equal({line["name"] for line in lines}, set(self.relais.leads()), "every lead")
        done = self.relais("export", "--columns", "nothing", code=2)
        check('no field "nothing"' in done.err, done.err)
        done = self.relais("export", "--filter", "stage = = 1", code=1)
        check("INVALID_ARGUMENT INVALID_FILTER" in done.err and "column" in done.err, done.err)
        check(not (self.folder / "out.csv.part").exists(), "no partial file stays")
        self.relais("export", "--filter", "nothing = 1", "-o", self.folder / "no.csv", code=1)
        check(not (self.folder / "no.csv").exists(), "a refused export leaves no file")

    def watches(self):
        every = self.relais.events()
        check_equal([int(e["number"]) for e in every], list(range(1, len(every) + 1)), "gapless")
        token = self.folder / "token"
        first = self.relais("watch", "--after", "0", "--until-now", "--json", "--token-file", token)
        check_equal(len(first.out.splitlines()), len(every), "the first time all")
        check_equal(self.relais("watch", "--until-now", "--json", "--token-file", token).out, "",
                    "the second time nothing")
        self.add(HEADER + "30,New,new@example.com,2024-01-03,,,\n")
        more = self.relais("watch", "--until-now", "--json", "--token-file", token).out.splitlines()
        check_equal(json.loads(more[0])["number"], str(len(every) + 1), "then what is new")
        feed = self.folder / "feed.jsonl"
        self.relais("watch", "--append", feed, "--until-now")
        # A writer that was killed in the middle of a line.
        whole = feed.read_bytes()
        lines = whole.splitlines(keepends=True)
        feed.write_bytes(b"".join(lines[:-3]) + lines[-3][: len(lines[-3]) // 2])
        self.relais("watch", "--append", feed, "--until-now")
        check_equal(feed.read_bytes(), whole, "a torn line is completed")
        filtered = self.relais("watch", "--after", "0", "--until-now", "--filter", "type = LEAD_CREATED").out
        check("LEAD_CREATED" in filtered and "TOUCHPOINT" not in filtered, filtered)
        done = self.relais("watch", "--from-token", "forged", "--until-now", code=1)
        check("INVALID_ARGUMENT" in done.err or "OUT_OF_RANGE HISTORY_CHANGED" in done.err, done.err)

    def funnels(self):
        shown = self.relais.json("funnel", "--by", "channel", "--json")
        check_equal([row["key"] for row in shown["rows"]], ["EVENT"], "channels")
        check("EVENT" in self.relais("funnel", "--by", "channel").out, "table")
        empty = self.relais.json("funnel", "--json", "--before", "2000-01-01")
        check_equal(empty["total"]["leads"], "0", "nobody came that early")
        check("value" not in empty["total"]["win_rate"], "a rate of nothing is absent")
        self.relais("funnel", "--since", "soon", code=2)
        self.relais("funnel", "--by", "mood", code=2)

    def exit_codes(self):
        check_equal(run([self.relais.binary]).code, 2, "no command")
        check_equal(run([self.relais.binary, "--help"]).code, 0, "help")
        check_equal(run([self.relais.binary, "--server", "127.0.0.1:1", "--timeout", "2", "funnel"]).code, 4,
                    "no server")
        done = run([self.relais.binary, "--server", "example.com:1", "--plaintext", "--token", "t", "funnel"])
        check_equal(done.code, 2, "a token in the clear")
        check("in the clear" in done.err and " t " not in done.err, done.err)

    def run_until(self, command, pattern, then):
        """Starts a command and, when a line of its error output matches, does something."""
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                                   env=clean_environment(), preexec_fn=die_with_parent)
        said = []
        for line in process.stderr:
            said.append(line)
            if then is not None and re.search(pattern, line):
                then(process)
                then = None
        code = process.wait()
        check(then is None, f"{pattern!r} never came: {said}")
        return code, "".join(said)

    def interruptions(self):
        """An import that dies, or whose server dies, ends with every row there once."""
        people = 3000
        rows = "".join(f"p{i},Person {i},p{i}@example.com,2024-02-01,,,\n" for i in range(people))
        file = self.file("people.csv", HEADER + rows)
        before = len(self.relais.leads())
        command = self.relais.command("import", file, "--map", self.map, "--chunk", "50", "--rejects",
                                      self.folder / "rejects.csv", "--resume")
        code, said = self.run_until(command, r"^row (3|4|5)\d\d of", lambda p: p.send_signal(signal.SIGINT))
        check_equal(code, 130, f"interrupted: {said}")
        check("--resume goes on after row" in said, said)
        code, said = self.run_until(command, r"^row 1\d\d\d of", lambda p: p.kill())
        check_equal(code, -signal.SIGKILL, "killed")

        def restart(_):
            self.server.kill()
            self.server.start()

        code, said = self.run_until(command, r"^row 2[0-5]\d\d of", restart)
        check_equal(code, 0, f"after the server's death: {said}")
        check("resuming after row" in said, said)
        counts = re.search(r"(\d+) rows recorded, (\d+) unchanged, (\d+) refused", said)
        check_equal([int(n) for n in counts.groups()], [people, 0, 0], "the import counted each row once")
        leads = self.relais.leads()
        check_equal(len(leads), before + people, "leads")
        check_equal({lead["counters"]["touchpoints"] for lead in leads.values()
                     if lead["person"]["given_name"].startswith("Person")}, {"1"}, "touchpoints")
        done = self.relais("import", file, "--map", self.map, "--resume")
        check("nothing to resume" in done.err, done.err)


def main():
    options = arguments(__doc__)
    suite = Suite()
    for name in options.engine:
        with engine_of(name) as engine:
            client = Client(options, engine)
            with client.server:
                for case in (client.refused_whole, client.dry_run, client.refused_rows, client.again,
                             client.exports, client.watches, client.funnels, client.exit_codes,
                             client.interruptions):
                    with suite.case(f"{name}: {case.__name__}"):
                        case()
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
