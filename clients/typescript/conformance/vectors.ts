// Reads the stories of clients/vectors and tells whether an answer is the expected one. The language
// of the files is described in clients/vectors/README.md.
import { randomInt, randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

export interface Step {
  call: string;
  request?: Json;
  requests?: Json[];
  expect?: JsonObject;
  capture?: Record<string, string>;
  within_seconds?: number;
}
interface Part {
  given?: string[];
  steps: Step[];
}
export interface Story extends Part {
  name: string;
}

/** What was answered is not what the story expects. */
export class Mismatch extends Error {}

export function load(folder: string): { fixtures: Record<string, Part>; stories: Story[] } {
  const fixtures: Record<string, Part> = {};
  const stories: Story[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".json") || file === "schema.json") continue;
    const data = JSON.parse(readFileSync(join(folder, file), "utf8")) as
      { fixtures?: Record<string, Part>; stories?: Story[] };
    Object.assign(fixtures, data.fixtures);
    stories.push(...(data.stories ?? []));
  }
  return { fixtures, stories };
}

/** The steps of its fixtures, each once, then its own. */
export function stepsOf(story: Story, fixtures: Record<string, Part>): Step[] {
  const done = new Set<string>();
  const steps: Step[] = [];
  function tell(part: Part): void {
    for (const name of part.given ?? []) {
      if (done.has(name)) continue;
      done.add(name);
      const fixture = fixtures[name];
      if (!fixture) throw new Error(`${name}: no such fixture`);
      tell(fixture);
    }
    steps.push(...part.steps);
  }
  tell(story);
  return steps;
}

function word(letters: string, length: number): string {
  return Array.from({ length }, () => letters[randomInt(letters.length)]).join("");
}

/** The values of one run of one story. */
export class Scope {
  readonly #values = new Map<string, Json>([
    ["tag", word("abcdefghijklmnopqrstuvwxyz", 1) + word("abcdefghijklmnopqrstuvwxyz0123456789", 11)],
    ["digits", word("123456789", 8)],
  ]);

  #value(name: string): Json {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    if (name.startsWith("uuid:")) {
      const made = randomUUID();
      this.#values.set(name, made);
      return made;
    }
    const moment = /^now([+-]\d+)s$/.exec(name);
    if (moment) {
      return new Date(Date.now() + Number(moment[1]) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
    }
    const repeated = /^(.)\*(\d+)$/.exec(name);
    if (repeated) return repeated[1]!.repeat(Number(repeated[2]));
    throw new Mismatch(`nothing is called \${${name}}`);
  }

  fill<T extends Json>(value: T): Json {
    if (typeof value === "string") {
      const whole = /^\$\{([^}]+)\}$/.exec(value);
      if (whole) return this.#value(whole[1]!);
      return value.replace(/\$\{([^}]+)\}/g, (_, name: string) => String(this.#value(name)));
    }
    if (Array.isArray(value)) return value.map((item) => this.fill(item));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.fill(item)]));
    }
    return value;
  }

  capture(paths: Record<string, string>, answer: Json | undefined): void {
    for (const [name, path] of Object.entries(paths)) {
      const value = path.split(".").reduce<Json | undefined>(
        (at, part) => (at as JsonObject | undefined)?.[part], answer);
      if (value === undefined) throw new Mismatch(`${path}: nothing to capture as ${name}`);
      this.#values.set(name, value);
    }
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Throws Mismatch, with the path, where `value` does not fit `pattern`. */
function match(pattern: Json, value: Json | undefined, path: string): void {
  if (isObject(pattern)) {
    const [first, ...others] = Object.entries(pattern);
    if (first && others.length === 0 && first[0].startsWith("$")) {
      if (!fitsOperator(first[0], first[1], value)) {
        throw new Mismatch(`${path}: ${JSON.stringify(pattern)} does not fit ${JSON.stringify(value)?.slice(0, 800)}`);
      }
      return;
    }
  }
  if (value === undefined) throw new Mismatch(`${path}: is absent, expected ${JSON.stringify(pattern)}`);
  if (isObject(pattern) && isObject(value)) {
    for (const [key, item] of Object.entries(pattern)) match(item, value[key], `${path}.${key}`);
  } else if (Array.isArray(pattern) && Array.isArray(value) && pattern.length === value.length) {
    pattern.forEach((item, index) => { match(item, value[index], `${path}[${index}]`); });
  } else if (pattern !== value) {
    throw new Mismatch(`${path}: expected ${JSON.stringify(pattern)}, got ${JSON.stringify(value)}`);
  }
}

function fits(pattern: Json, value: Json | undefined): boolean {
  try {
    match(pattern, value, "");
    return true;
  } catch (error) {
    if (error instanceof Mismatch) return false;
    throw error;
  }
}

function fitsOperator(operator: string, operand: Json, value: Json | undefined): boolean {
  switch (operator) {
    case "$present": return (value !== undefined) === operand;
    case "$not": return !fits(operand, value);
    case "$starts": return typeof value === "string" && value.startsWith(operand as string);
    case "$length": return Array.isArray(value) && value.length === operand;
    case "$contains":
      return Array.isArray(value) && (operand as Json[]).every((item) => value.some((each) => fits(item, each)));
    default: throw new Error(`no operator ${operator}`);
  }
}

/** `seen`: code, and answer and trailers, or reason, fields, preconditions, resource, metadata. */
export function judge(expect: JsonObject, seen: JsonObject): void {
  const code = expect["code"] ?? "OK";
  if (seen["code"] !== code) throw new Mismatch(`expected ${String(code)}, got ${JSON.stringify(seen)}`);
  for (const [key, pattern] of Object.entries(expect)) {
    if (key === "code") continue;
    if (key === "fields" || key === "preconditions") {
      match([...(pattern as string[])].sort(), [...((seen[key] ?? []) as string[])].sort(), key);
    } else {
      match(pattern, seen[key], key);
    }
  }
}
