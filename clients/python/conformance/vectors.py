"""Reads the stories of clients/vectors and tells whether an answer is the expected one.

The language of the files is described in clients/vectors/README.md."""

from __future__ import annotations

import datetime
import json
import pathlib
import random
import re
import string
import uuid
from typing import Any

Json = Any


class Mismatch(Exception):
    """What was answered is not what the story expects."""


def load(folder: pathlib.Path) -> tuple[dict[str, Json], list[Json]]:
    """Fixtures by name, and every story."""
    fixtures: dict[str, Json] = {}
    stories: list[Json] = []
    for path in sorted(folder.glob("*.json")):
        if path.name == "schema.json":
            continue
        data = json.loads(path.read_text(encoding="utf-8"))
        fixtures.update(data.get("fixtures", {}))
        stories += data.get("stories", [])
    return fixtures, stories


def steps_of(story: Json, fixtures: dict[str, Json]) -> list[Json]:
    """The steps of its fixtures, each once, then its own."""
    done: set[str] = set()
    steps: list[Json] = []

    def give(name: str) -> None:
        if name in done:
            return
        done.add(name)
        fixture = fixtures[name]
        for other in fixture.get("given", []):
            give(other)
        steps.extend(fixture["steps"])

    for name in story.get("given", []):
        give(name)
    return steps + list(story["steps"])


class Scope:
    """The values of one run of one story."""

    def __init__(self) -> None:
        first = random.choice(string.ascii_lowercase)
        rest = "".join(random.choices(string.ascii_lowercase + string.digits, k=11))
        self.values: dict[str, Json] = {
            "tag": first + rest,
            "digits": "".join(random.choices("123456789", k=8)),
        }

    def _value(self, name: str) -> Json:
        if name in self.values:
            return self.values[name]
        if name.startswith("uuid:"):
            return self.values.setdefault(name, str(uuid.uuid4()))
        if found := re.fullmatch(r"now([+-]\d+)s", name):
            moment = datetime.datetime.now(datetime.timezone.utc)
            moment += datetime.timedelta(seconds=int(found.group(1)))
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if found := re.fullmatch(r"(.)\*(\d+)", name):
            return found.group(1) * int(found.group(2))
        raise Mismatch(f"nothing is called ${{{name}}}")

    def fill(self, value: Json) -> Json:
        if isinstance(value, str):
            whole = re.fullmatch(r"\$\{([^}]+)\}", value)
            if whole:
                return self._value(whole.group(1))
            return re.sub(r"\$\{([^}]+)\}", lambda m: str(self._value(m.group(1))), value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        return value

    def capture(self, names: dict[str, str], answer: Json) -> None:
        for name, path in names.items():
            value = answer
            for part in path.split("."):
                try:
                    value = value[int(part)] if isinstance(value, list) else value[part]
                except (LookupError, ValueError):
                    raise Mismatch(f"{path}: nothing to capture as {name}") from None
            self.values[name] = value


ABSENT = object()


def match(pattern: Json, value: Json, path: str) -> None:
    """Raises Mismatch, with the path, where `value` does not fit `pattern`."""
    if isinstance(pattern, dict) and len(pattern) == 1 and next(iter(pattern)).startswith("$"):
        _match_operator(*next(iter(pattern.items())), value, path)
    elif value is ABSENT:
        raise Mismatch(f"{path}: is absent, expected {pattern!r}")
    elif isinstance(pattern, dict):
        if not isinstance(value, dict):
            raise Mismatch(f"{path}: expected an object, got {value!r}")
        for key, item in pattern.items():
            match(item, value.get(key, ABSENT), f"{path}.{key}")
    elif isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise Mismatch(f"{path}: expected {len(pattern)} items, got {value!r}")
        for index, item in enumerate(pattern):
            match(item, value[index], f"{path}[{index}]")
    elif isinstance(pattern, bool) or isinstance(value, bool):
        if pattern is not value:
            raise Mismatch(f"{path}: expected {pattern!r}, got {value!r}")
    elif pattern != value:
        raise Mismatch(f"{path}: expected {pattern!r}, got {value!r}")


def fits(pattern: Json, value: Json) -> bool:
    try:
        match(pattern, value, "")
        return True
    except Mismatch:
        return False


def _match_operator(operator: str, operand: Json, value: Json, path: str) -> None:
    if operator == "$present":
        if (value is not ABSENT) != operand:
            raise Mismatch(f"{path}: is {'absent' if operand else 'present'}")
    elif operator == "$not":
        if fits(operand, value):
            raise Mismatch(f"{path}: is {value!r}, which it should not be")
    elif operator == "$starts":
        if not isinstance(value, str) or not value.startswith(operand):
            raise Mismatch(f"{path}: expected {operand!r}..., got {value!r}")
    elif operator == "$length":
        if not isinstance(value, list) or len(value) != operand:
            raise Mismatch(f"{path}: expected {operand} items, got {value!r}")
    elif operator == "$contains":
        for item in operand:
            if not isinstance(value, list) or not any(fits(item, each) for each in value):
                raise Mismatch(f"{path}: nothing in it fits {item!r}: {str(value)[:800]}")
    else:
        raise Mismatch(f"{path}: no operator {operator}")


def judge(expect: Json, seen: Json) -> None:
    """`seen`: code, and answer and trailers, or reason, fields, preconditions, resource, metadata."""
    code = expect.get("code", "OK")
    if seen["code"] != code:
        raise Mismatch(f"expected {code}, got {seen['code']} {seen.get('reason', '')}: "
                       f"{seen.get('message', '')}")
    for key, pattern in expect.items():
        if key in ("fields", "preconditions"):
            if sorted(seen.get(key, [])) != sorted(pattern):
                raise Mismatch(f"{key}: expected {sorted(pattern)}, got {sorted(seen.get(key, []))}")
        elif key != "code":
            match(pattern, seen.get(key, ABSENT), key)
