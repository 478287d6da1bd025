"""What the tests in Python share: servers that die with the test, databases of both engines, the
programs under test, and a count of what was checked.

Every process is started with a death signal, so that a test that is killed leaves nothing running.
"""

import argparse
import collections
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from pg_cluster import PgCluster

PR_SET_PDEATHSIG = 1
START_SECONDS = 60
ROOT = pathlib.Path(__file__).resolve().parent.parent


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environment():
    """Nothing that the caller's shell says about Relais reaches the programs under test."""
    return {key: value for key, value in os.environ.items() if not key.startswith("RELAIS_")}


class Failure(Exception):
    """A check that did not hold; the text says which."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def check_equal(actual, expected, text):
    check(actual == expected, f"{text}: expected {expected!r}, got {actual!r}")


class Database:
    """A fresh database of one engine, with its own key file."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.key_file = folder / "relais.key"


class Engine:
    """Hands out fresh databases of SQLite or of a private PostgreSQL cluster."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.made = 0
        self.cluster = PgCluster() if name == "postgres" else None

    def database(self):
        self.made += 1
        folder = self.folder / f"database-{self.made}"
        folder.mkdir()
        if self.cluster is None:
            return Database(f"sqlite:{folder}/relais.db", folder)
        return Database(self.cluster.dsn(self.cluster.create_database()), folder)

    def close(self):
        if self.cluster is not None:
            self.cluster.close()


@contextlib.contextmanager
def engine_of(name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"relais-{name}-"))
    engine = None
    try:
        engine = Engine(name, folder)
        yield engine
    finally:
        if engine is not None:
            engine.close()
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """One relaisd. After kill() or stop(), start() serves the same database at the same port."""

    def __init__(self, binary, database, *flags, port=0):
        self.binary = binary
        self.database = database
        self.flags = flags
        self.port = port
        self.process = None
        self.log = database.folder / "server.log"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        log = open(self.log, "ab")
        with log:
            self.process = subprocess.Popen(
                [self.binary, f"--listen=127.0.0.1:{self.port}", f"--database={self.database.url}",
                 f"--key_file={self.database.key_file}", "--log_level=warn", *self.flags],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                cwd=self.database.folder, env=clean_environment(), preexec_fn=die_with_parent,
            )
        # A server that says nothing is ended, which ends its output.
        limit = threading.Timer(START_SECONDS, self.process.kill)
        limit.start()
        for line in self.process.stdout:
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self.port = int(found.group(1))
                break
        else:
            self.process.wait()
            raise Failure(f"the server did not start: {self.tail()}")
        limit.cancel()
        # The pipe is read to its end, or a talkative server would block.
        threading.Thread(target=self._drain, args=(self.process.stdout,), daemon=True).start()
        return self

    @staticmethod
    def _drain(pipe):
        for _ in pipe:
            pass

    def tail(self):
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """A graceful stop; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"the server did not stop within a minute of SIGTERM: {self.tail()}")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()


Done = collections.namedtuple("Done", "code out err")


def run(command, *, timeout=600, stdin=None):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout,
        input=stdin, env=clean_environment(), preexec_fn=die_with_parent, check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Relais:
    """The command-line client against one server."""

    def __init__(self, binary, server):
        self.binary = binary
        self.server = server

    def command(self, *arguments):
        return [str(self.binary), "--server", self.server.address, *map(str, arguments)]

    def __call__(self, *arguments, code=0):
        done = run(self.command(*arguments))
        check_equal(done.code, code, f"relais {' '.join(map(str, arguments))}: exit code\n{done.err}")
        return done

    def json(self, *arguments):
        return json.loads(self(*arguments).out)

    def events(self, after=0):
        return [json.loads(line) for line in
                self("watch", "--after", after, "--until-now", "--json").out.splitlines()]

    def leads(self):
        """Every lead, by name."""
        lines = self("export", "--json").out.splitlines()
        leads = {lead["name"]: lead for lead in map(json.loads, lines)}
        check_equal(len(leads), len(lines), "an export gives each lead once")
        return leads


class Suite:
    """Runs named checks one after the other and says how many held."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    @contextlib.contextmanager
    def case(self, name):
        try:
            yield
        except (Failure, LookupError, ValueError, AttributeError, subprocess.TimeoutExpired) as error:
            self.failed.append(name)
            print(f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok: {name}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0


def arguments(description, **extra):
    """--relaisd and --relais, the programs under test, and --engine."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--relaisd", required=True, type=pathlib.Path)
    parser.add_argument("--relais", required=True, type=pathlib.Path)
    parser.add_argument("--engine", choices=["sqlite", "postgres"], action="append")
    for name, options in extra.items():
        parser.add_argument(f"--{name}", **options)
    parsed = parser.parse_args()
    parsed.engine = parsed.engine or ["sqlite", "postgres"]
    return parsed
