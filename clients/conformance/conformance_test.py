#!/usr/bin/env python3
"""One client, as its users get it: installed into an empty project outside the repository, then

  - its example, from the first capture to the signature,
  - every story of clients/vectors, against SQLite and PostgreSQL servers,
  - its retries, against a server whose failures are written down beforehand,
  - 2,000 captures while the server is killed and restarted 20 times: 2,000 leads, no more, no fewer,
    and a Watch that misses nothing and repeats nothing.

    conformance_test.py --language L --relaisd PROGRAM --relais PROGRAM --report FILE [--engine E]

clients/README.md says what a runner is asked. The report feeds the support table there.
"""

import json
import pathlib
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from harness import (ROOT, Failure, Server, Suite, arguments, check, check_equal, clean_environment,
                     die_with_parent, engine_of, run)
from languages import LANGUAGES, BuildFailed, Python

VECTORS = ROOT / "clients" / "vectors"
KILLS = 20
CAPTURES = 2000
# Between the captures that a kill waits for and the next; chosen so that the twenty kills are spread
# over the two thousand captures.
CAPTURES_A_KILL = CAPTURES // (KILLS + 1)
TOKEN = "token-of-the-test"


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def check_vectors(language, variant, extra, server, folder):
    report = folder / "vectors.json"
    done = run(language.runner("vectors", "--server", server.address, "--vectors", VECTORS,
                               "--report", report, *extra), timeout=300)
    check_equal(done.code, 0, f"{language.name}{variant}: {done.out[-3000:]}{done.err[-3000:]}")
    return json.loads(report.read_text())


class Scripted:
    """The server of scripted_server.py, for one run."""

    def __init__(self, interpreter):
        self.process = subprocess.Popen(
            [interpreter, HERE / "scripted_server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=clean_environment(), preexec_fn=die_with_parent)
        self.address = self.process.stdout.readline().strip()

    def finish(self):
        out, _ = self.process.communicate(timeout=30)
        return json.loads(out)


def check_retries(language, extra, interpreter):
    server = Scripted(interpreter)
    environment = {**clean_environment(), "RELAIS_TOKEN": TOKEN}
    done = subprocess.run([str(word) for word in language.runner(
        "retries", "--server", server.address, *extra)], env=environment, text=True, timeout=120,
        capture_output=True, check=False, preexec_fn=die_with_parent)
    seen = server.finish()
    check_equal(done.returncode, 0, f"exit code: {done.stdout}{done.stderr}")
    codes = [result["code"] for result in last_json(done.stdout)]
    check_equal(codes, ["OK", "OK", "OK", "OK", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE",
                        "DEADLINE_EXCEEDED", "OK"], "codes of the nine calls")

    def of(call, key=""):
        return [each for each in seen if (each["call"], each["key"]) == (call, key)]

    check_equal(len(of("GetLead", "leads/unavailable-twice")), 3, "a read is repeated until it is answered")
    captures = of("CaptureLead")
    check_equal(len(captures), 2, "a capture is repeated")
    ids = captures[0]["request_ids"]
    check(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ids[0]), f"a UUID: {ids}")
    check_equal(captures[1]["request_ids"], ids, "the repetition carries the same request id")
    batches = of("BatchCaptureLeads")
    check_equal(len(batches), 2, "a batch is repeated")
    check_equal(len({*batches[0]["request_ids"], *ids, ""}), 4, "each item and call has its own request id")
    check_equal(batches[1]["request_ids"], batches[0]["request_ids"], "request ids of the repeated batch")
    first, second = of("GetLead", "leads/exhausted-for-300ms")
    check(second["time"] - first["time"] >= 0.3, "RetryInfo is honoured")
    check_equal(len(of("GetLead", "leads/exhausted-without-advice")), 1,
                "exhausted without RetryInfo is final")
    check_equal(len(of("GetLead", "leads/internal")), 1, "INTERNAL is final")
    endless = of("GetLead", "leads/unavailable-for-ever")
    check(3 <= len(endless) <= 30, f"attempts within a second: {len(endless)}")
    check(endless[-1]["time"] - endless[0]["time"] < 1.0, "no attempt after the deadline")
    check_equal(len(of("GetLead", "leads/silent")), 1, "a passed deadline is final")
    check_equal(len(of("ImportRows")), 2, "a chunk of an import is repeated")
    left = seen[0]["seconds_left"]
    check(left is not None and 25 < left <= 30.5, f"the default deadline is 30 s: {left}")
    for each in seen:
        check_equal(each["authorization"], f"Bearer {TOKEN}", "the token of the environment")
        check(re.match(r"relais-\w+/\d+\.\d+\.\d+", each["user_agent"]),
              f"user agent: {each['user_agent']}")


def check_restarts(language, extra, relais, server):
    """Kills the server, and starts it again, each time so many captures more are done."""
    process = subprocess.Popen(
        [str(word) for word in language.runner("restarts", "--server", server.address, "--captures",
                                               CAPTURES, *extra)],
        env=clean_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=die_with_parent)
    outputs = []
    reader = threading.Thread(target=lambda: outputs.extend(process.communicate()), daemon=True)
    reader.start()
    kills = 0
    try:
        counter = Counter(relais, server)
        while kills < KILLS and process.poll() is None:
            counter.wait_for(CAPTURES_A_KILL * (kills + 1), process)
            server.kill()
            kills += 1
            server.start()
        reader.join(180)
        check(not reader.is_alive(), "the runner did not end")
    finally:
        if process.poll() is None:
            process.kill()
    check_equal(process.returncode, 0, f"exit code: {outputs}")
    check_equal(kills, KILLS, "kills while captures ran")
    done = last_json(outputs[0])
    check_equal(done["captured"], CAPTURES, "distinct leads that the client was told of")
    check_equal(done["created"], CAPTURES, "leads that Watch told of")
    numbers = [int(number) for number in done["numbers"]]
    check_equal(numbers, list(range(1, len(numbers) + 1)), "Watch missed or repeated something")


class Counter:
    """How many leads there are, asked through the command-line client's funnel."""

    def __init__(self, relais, server):
        self.relais = relais
        self.server = server

    def wait_for(self, leads, process):
        while process.poll() is None:
            if self.leads() >= leads:
                return
            time.sleep(0.02)

    def leads(self):
        done = run([self.relais, "--server", self.server.address, "funnel", "--json"])
        if done.code != 0:
            return 0
        return int(json.loads(done.out)["total"].get("leads", 0))


def check_schema(interpreter):
    program = ("import json, jsonschema, pathlib, sys\n"
               "folder = pathlib.Path(sys.argv[1])\n"
               "schema = json.loads((folder / 'schema.json').read_text())\n"
               "judge = jsonschema.Draft202012Validator(schema)\n"
               "judge.check_schema(schema)\n"
               "for path in folder.glob('*.json'):\n"
               "    if path.name != 'schema.json':\n"
               "        judge.validate(json.loads(path.read_text()))\n")
    done = run([interpreter, "-c", program, VECTORS])
    check_equal(done.code, 0, done.err[-2000:])


def main():
    options = arguments(__doc__, language={"required": True, "choices": sorted(LANGUAGES)},
                        report={"type": pathlib.Path})
    suite = Suite()
    language, scripted = LANGUAGES[options.language](), Python()
    rows = {language.name + variant: {} for variant in language.variants}
    with suite.case("the package installs into an empty project"):
        check_equal(language.missing(), [], "programs that are not installed")
        try:
            scripted.prepare()
            language.prepare()
        except BuildFailed as failure:
            raise Failure(str(failure)) from None
    if suite.failed:
        return suite.finish()
    if language.name == "python":
        with suite.case("the stories follow their schema"):
            check_schema(scripted.interpreter)
    for variant, extra in language.variants.items():
        row = rows[language.name + variant]
        with suite.case(f"{language.name}{variant}: retries"):
            check_retries(language, extra, scripted.interpreter)
            row["retries"] = True
    for name in options.engine:
        with engine_of(name) as engine:
            with Server(options.relaisd, engine.database()) as server:
                with suite.case(f"{name}: the example"):
                    done = run(language.example(server.address), timeout=120)
                    check_equal(done.code, 0, done.out + done.err)
                    check("CUSTOMER" in done.out, f"the example ends with a customer: {done.out}")
                    for row in rows.values():
                        row["example"] = True
                for variant, extra in language.variants.items():
                    row = rows[language.name + variant]
                    with suite.case(f"{name}{variant}: every story"):
                        report = check_vectors(language, variant, extra, server, engine.folder)
                        row[name] = report["passed"]
                        row["version"] = report["version"]
            for variant, extra in language.variants.items():
                with Server(options.relaisd, engine.database()) as server:
                    with suite.case(f"{name}{variant}: {KILLS} kills during {CAPTURES} captures"):
                        start = time.monotonic()
                        check_restarts(language, extra, options.relais, server)
                        print(f"  in {time.monotonic() - start:.1f} s", flush=True)
                        rows[language.name + variant].setdefault("restarts", []).append(name)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(rows, indent=1) + "\n")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
