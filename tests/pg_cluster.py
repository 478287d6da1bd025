"""A private PostgreSQL cluster for tests in Python: made with initdb in a temporary folder, reached
through a Unix socket in it, durable settings on. The server is a child of the test and dies with it,
however the test ends. The C++ twin is tests/storage/pg_cluster.h.

RELAIS_PG_BIN names the folder of initdb; without it the newest of /usr/lib/postgresql/*/bin is taken.
"""

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _programs():
    if folder := os.environ.get("RELAIS_PG_BIN"):
        return pathlib.Path(folder)
    found = sorted(
        (int(path.parents[1].name), path.parent)
        for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    )
    if not found:
        raise RuntimeError("no PostgreSQL server programs: install them or set RELAIS_PG_BIN")
    return found[-1][1]


class PgCluster:
    def __init__(self):
        self.bin = _programs()
        # A socket's path may have 107 bytes, so the folder is near the root whatever TMPDIR says.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="relais-pg-", dir="/tmp"))
        self.databases = 0
        self.process = None
        self.prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            # Changing the user clears the death signal, so setpriv sets it again after that.
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        subprocess.run(
            [*self._as_user(), self.bin / "initdb", "-D", self.folder / "data", "-U", "postgres",
             "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu",
             "--icu-locale=en-US", "--no-sync"],
            check=True, cwd="/", stdout=subprocess.DEVNULL,
        )
        self.start()

    def _as_user(self, *options):
        return [*self.prefix, *options, "--"] if self.prefix else []

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self._as_user("--pdeathsig=QUIT"), self.bin / "postgres", "-D", self.folder / "data",
                 "-k", self.folder, "-p", "5432", "-c", "listen_addresses=", "-c", "fsync=on",
                 "-c", "synchronous_commit=on", "-c", "full_page_writes=on",
                 "-c", "max_connections=100", "-c", "log_min_messages=warning"],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=None if self.prefix else _die_with_parent,
            )
        deadline = time.monotonic() + 60
        while subprocess.run(
            [self.bin / "pg_isready", "-q", "-h", self.folder, "-U", "postgres"], check=False
        ).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        """An orderly stop that cuts the sessions."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def dsn(self, database):
        return f"host={self.folder} port=5432 dbname={database} user=postgres"

    def create_database(self):
        self.databases += 1
        name = f"relais_{self.databases}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        return name

    def execute(self, database, sql):
        """Runs SQL as the superuser; returns rows as lists of texts."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d",
             self.dsn(database), "-c", sql],
            check=True, capture_output=True, text=True,
        )
        return [line.split("\t") for line in done.stdout.splitlines()]

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
