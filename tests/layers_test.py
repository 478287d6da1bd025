#!/usr/bin/env python3
"""Reads every #include of the tree and refuses those that cross a layer the wrong way.

    layers_test.py ROOT        checks the tree; prints file:line, the include and the rule
    layers_test.py --self-test seeds one violation of each rule in a temporary tree and demands that
                               exactly that rule reports it, and that a lawful tree reports nothing

A project header is itself checked, so looking at direct includes is enough to keep a layer clean.
tests/ are outside the product: they may see everything, and are read only for the rule on quoted
paths.
"""

import pathlib
import re
import sys
import tempfile

SUFFIXES = {".cc", ".h", ".cpp", ".hpp"}
PRODUCT = ("server", "storage", "clients")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^c?[a-z_0-9]+$")

SOCI = re.compile(r"^soci/|^soci-|^soci\.h$")
SQLITE = re.compile(r"(^|/)sqlite3(ext)?\.h$|^soci/sqlite3/|soci-sqlite3\.h$")
POSTGRES = re.compile(r"(^|/)libpq|^postgresql/|^soci/postgresql/|soci-postgresql\.h$")
GRPC = re.compile(r"^grpcpp/|^grpc\+\+/|^grpc/|\.grpc\.pb\.h$")
PROTOBUF = re.compile(r"^google/protobuf/|\.pb\.h$")
STORAGE_INSIDE = re.compile(r"^storage/(sql|sqlite|postgres|engine)/")


def under(path, *folders):
    return any(path.startswith(folder + "/") for folder in folders)


def in_server_top(path):
    return re.match(r"^server/[^/]+$", path) is not None


def rules():
    """(name, does the rule look at this file, is this include refused, what holds)."""
    return [
        (
            "domain-is-pure",
            lambda f: under(f, "server/domain"),
            lambda inc, quoted: not (
                inc.startswith(("absl/", "server/domain/"))
                or (not quoted and STANDARD.match(inc))
            ),
            "server/domain sees the standard library, absl and itself",
        ),
        (
            "soci-in-storage",
            lambda f: under(f, *PRODUCT) and not under(f, "storage"),
            lambda inc, quoted: SOCI.search(inc),
            "only storage sees SOCI",
        ),
        (
            "sqlite-in-its-folder",
            lambda f: under(f, *PRODUCT) and not under(f, "storage/sqlite"),
            lambda inc, quoted: SQLITE.search(inc),
            "only storage/sqlite sees SQLite",
        ),
        (
            "postgres-in-its-folder",
            lambda f: under(f, *PRODUCT) and not under(f, "storage/postgres"),
            lambda inc, quoted: POSTGRES.search(inc),
            "only storage/postgres sees libpq",
        ),
        (
            "grpc-at-the-edge",
            lambda f: under(f, *PRODUCT)
            and not under(f, "server/services", "clients")
            and not in_server_top(f),
            lambda inc, quoted: GRPC.search(inc),
            "only server/services, the files directly under server and the clients see gRPC",
        ),
        (
            "storage-knows-the-domain-only",
            lambda f: under(f, "storage"),
            lambda inc, quoted: PROTOBUF.search(inc)
            or (inc.startswith("server/") and not inc.startswith("server/domain/"))
            or inc.startswith("clients/"),
            "storage sees server/domain and nothing else of the server, and no protobuf",
        ),
        (
            "convert-is-a-translation",
            lambda f: under(f, "server/convert"),
            lambda inc, quoted: inc.startswith(
                ("storage/", "server/services/", "server/workers/", "server/runtime/", "clients/")
            ),
            "server/convert sees protobuf and the domain, neither storage nor services",
        ),
        (
            "storage-behind-its-interface",
            lambda f: under(f, *PRODUCT) and not under(f, "storage") and not in_server_top(f),
            lambda inc, quoted: STORAGE_INSIDE.search(inc),
            "the folders inside storage are seen by storage and by the composition root only",
        ),
        (
            "store-interface-without-sql",
            lambda f: f == "storage/store.h",
            lambda inc, quoted: SOCI.search(inc) or STORAGE_INSIDE.search(inc),
            "storage/store.h knows no SQL",
        ),
        (
            "services-below-the-root",
            lambda f: under(f, "server/services", "server/workers", "server/runtime"),
            lambda inc, quoted: re.match(r"^server/[^/]+$", inc) or inc.startswith("clients/"),
            "the layers of the server do not see its composition root or the clients",
        ),
        (
            "paths-from-the-root",
            lambda f: under(f, *PRODUCT, "tests"),
            lambda inc, quoted: quoted and ("/" not in inc or inc.startswith(".")),
            "a quoted include is written from the root of the repository",
        ),
    ]


def sources(root):
    for folder in PRODUCT + ("tests",):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "node_modules" not in path.parts:
                yield path


def violations(root):
    found = []
    table = rules()
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        active = [rule for rule in table if rule[1](name)]
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, inc = match.group(1) == '"', match.group(2)
            for rule, _, refused, holds in active:
                if refused(inc, quoted):
                    found.append((rule, f"{name}:{number}: {line.strip()}: {holds} [{rule}]"))
    return found


LAWFUL = [
    ("server/domain/lead.h", "<cstdint>"),
    ("server/domain/lead.h", "<string_view>"),
    ("server/domain/lead.h", '"absl/status/statusor.h"'),
    ("server/domain/lead.h", '"server/domain/money.h"'),
    ("storage/store.h", '"server/domain/lead.h"'),
    ("storage/sql/leads.cc", "<soci/soci.h>"),
    ("storage/sqlite/session.cc", "<soci/sqlite3/soci-sqlite3.h>"),
    ("storage/postgres/session.cc", "<libpq-fe.h>"),
    ("server/convert/lead.h", '"relais/v1/lead.pb.h"'),
    ("server/convert/lead.h", '"server/domain/lead.h"'),
    ("server/convert/text.cc", "<unicode/unistr.h>"),
    ("server/services/lead.h", "<grpcpp/grpcpp.h>"),
    ("server/services/lead.h", '"storage/store.h"'),
    ("server/services/lead.h", '"server/runtime/clock.h"'),
    ("server/server.cc", '"storage/sqlite/open.h"'),
    ("server/server.cc", "<grpcpp/grpcpp.h>"),
    ("server/runtime/log.cc", "<spdlog/spdlog.h>"),
    ("clients/cli/main.cc", '"relais/v1/lead_service.grpc.pb.h"'),
    ("tests/storage/suite.cc", "<soci/soci.h>"),
    ("tests/services/lead_test.cc", "<grpcpp/grpcpp.h>"),
]

SEEDED = [
    ("domain-is-pure", "server/domain/lead.cc", "<spdlog/spdlog.h>"),
    ("domain-is-pure", "server/domain/lead.cc", "<google/protobuf/message.h>"),
    ("domain-is-pure", "server/domain/lead.cc", "<unistd.h>"),
    ("domain-is-pure", "server/domain/lead.cc", '"storage/store.h"'),
    ("domain-is-pure", "server/domain/lead.cc", '"server/runtime/clock.h"'),
    ("soci-in-storage", "server/services/lead.cc", "<soci/soci.h>"),
    ("soci-in-storage", "server/convert/lead.cc", '"soci/soci.h"'),
    ("soci-in-storage", "server/main.cc", "<soci.h>"),
    ("sqlite-in-its-folder", "storage/sql/leads.cc", "<sqlite3.h>"),
    ("sqlite-in-its-folder", "storage/postgres/open.cc", "<soci/sqlite3/soci-sqlite3.h>"),
    ("sqlite-in-its-folder", "server/server.cc", "<sqlite3.h>"),
    ("postgres-in-its-folder", "storage/engine/session.cc", "<libpq-fe.h>"),
    ("postgres-in-its-folder", "storage/sqlite/open.cc", "<postgresql/libpq-fe.h>"),
    ("postgres-in-its-folder", "clients/cli/main.cc", "<libpq-fe.h>"),
    ("grpc-at-the-edge", "server/convert/lead.cc", "<grpcpp/grpcpp.h>"),
    ("grpc-at-the-edge", "storage/engine/queue.cc", "<grpcpp/alarm.h>"),
    ("grpc-at-the-edge", "server/workers/scores.cc", '"relais/v1/lead_service.grpc.pb.h"'),
    ("grpc-at-the-edge", "server/runtime/authentication.cc", "<grpc/grpc.h>"),
    ("storage-knows-the-domain-only", "storage/sql/leads.cc", '"server/convert/lead.h"'),
    ("storage-knows-the-domain-only", "storage/engine/queue.cc", '"server/services/serve.h"'),
    ("storage-knows-the-domain-only", "storage/store.h", '"relais/v1/lead.pb.h"'),
    ("convert-is-a-translation", "server/convert/lead.cc", '"storage/store.h"'),
    ("convert-is-a-translation", "server/convert/lead.cc", '"server/services/serve.h"'),
    ("storage-behind-its-interface", "server/services/lead.cc", '"storage/sql/leads.h"'),
    ("storage-behind-its-interface", "server/workers/scores.cc", '"storage/engine/queue.h"'),
    ("store-interface-without-sql", "storage/store.h", '"storage/sql/leads.h"'),
    ("services-below-the-root", "server/services/lead.cc", '"server/server.h"'),
    ("paths-from-the-root", "server/services/lead.cc", '"lead.h"'),
    ("paths-from-the-root", "tests/domain/lead_test.cc", '"../server/domain/lead.h"'),
    ("paths-from-the-root", "tests/domain/lead_test.cc", '"./lead.h"'),
]


def plant(root, files):
    for name, include in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            out.write(f"#include {include}\n")


def self_test():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        plant(root, LAWFUL)
        wrong += [f"a lawful include was refused: {text}" for _, text in violations(root)]
    for rule, name, include in SEEDED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            plant(root, LAWFUL + [(name, include)])
            reported = [r for r, _ in violations(root)]
            if reported != [rule]:
                wrong.append(f"{name} with {include}: expected {rule}, reported {reported}")
    unseeded = {rule[0] for rule in rules()} - {seed[0] for seed in SEEDED}
    wrong += [f"no seeded violation for {rule}" for rule in sorted(unseeded)]
    return wrong


def main(arguments):
    if arguments == ["--self-test"]:
        wrong = self_test()
    elif len(arguments) == 1 and pathlib.Path(arguments[0], "server").is_dir():
        wrong = [text for _, text in violations(pathlib.Path(arguments[0]))]
    else:
        print(__doc__, file=sys.stderr)
        return 2
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
