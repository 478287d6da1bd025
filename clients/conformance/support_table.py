#!/usr/bin/env python3
"""Writes the support table of clients/README.md from the reports of the last `deploy/dev test clients`.

    support_table.py REPORT...
"""

import json
import pathlib
import sys

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"
VECTORS = README.parent / "vectors"
BEGIN, END = "<!-- support table: begin -->\n", "<!-- support table: end -->\n"
TITLES = {"python": "Python", "typescript": "TypeScript", "go": "Go", "java": "Java", "rust": "Rust",
          "cpp": "C++"}


def stories():
    return sum(len(json.loads(path.read_text(encoding="utf-8")).get("stories", []))
               for path in VECTORS.glob("*.json"))


def table(reports):
    total = stories()
    lines = ["| client | version | stories, SQLite | stories, PostgreSQL | retries | 20 restarts, 2,000 captures, Watch | example |",
             "|---|---|---|---|---|---|---|"]
    for name, row in reports:
        language, _, variant = name.partition(" ")
        title = TITLES[language] + (f" {variant}" if variant else "")
        restarts = ", ".join({"sqlite": "SQLite", "postgres": "PostgreSQL"}[engine]
                             for engine in row.get("restarts", []))
        cells = [title, row.get("version", "-")]
        cells += [f"{row[engine]} of {total}" if engine in row else "-" for engine in ("sqlite", "postgres")]
        cells += ["passed" if row.get("retries") else "-", restarts or "-",
                  "passed" if row.get("example") else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    order = list(TITLES)
    reports = sorted(((name, row) for path in sys.argv[1:]
                      for name, row in json.loads(pathlib.Path(path).read_text()).items()),
                     key=lambda item: (order.index(item[0].split(" ")[0]), item[0]))
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(before + BEGIN + table(reports) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
