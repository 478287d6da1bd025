// The conformance runner of the TypeScript client; clients/README.md describes what it is asked to do.
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";

import { createRegistry, fromJson, toJson, type DescMethod, type DescService, type JsonValue, type Message } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { connect, RelaisError, rpc, v1, VERSION, type CallOptions, type Client } from "@relais/client";
import { judge, load, Mismatch, Scope, stepsOf, type Json, type Step } from "./vectors.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string" }, vectors: { type: "string" }, report: { type: "string" },
    captures: { type: "string", default: "2000" },
  },
});

const descriptions = new Map<string, DescService>(Object.entries(v1)
  .filter(([name]) => name.endsWith("Service")).map(([name, service]) => [name, service as DescService]));
// The details of an item's status are Any; JSON needs to know their types.
const registry = createRegistry(rpc.file_google_rpc_error_details);

type AnyCall = (request: unknown, options?: CallOptions) => Promise<Message> & AsyncIterable<Message>;

/** A method by its name, as JSON in and JSON out, through the client's own layer. */
class Caller {
  constructor(readonly client: Client) {}

  #find(name: string): { method: DescMethod; call: AnyCall } {
    const [service, rpc] = name.split("/") as [string, string];
    const method = descriptions.get(service)?.methods.find((each) => each.name === rpc);
    if (!method) throw new Error(`${name}: no such call`);
    for (const group of Object.values(this.client) as unknown[]) {
      const call = (group as Record<string, AnyCall>)[method.localName];
      if (typeof group === "object" && call && belongs(group, service)) return { method, call };
    }
    throw new Error(`${name}: the client has no such call`);
  }

  async call(name: string, requests: Json[], timeoutMs?: number): Promise<Record<string, Json>> {
    const { method, call } = this.#find(name);
    const messages = requests.map((request) => fromJson(method.input, request as JsonValue));
    const trailers: Record<string, string> = {};
    const callOptions: CallOptions = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onTrailer: (all) => all.forEach((value, key) => { trailers[key] = value; }),
    };
    const json = (message: Message): Json => toJson(method.output, message, { registry }) as Json;
    try {
      if (method.methodKind === "unary") {
        return { code: "OK", answer: json(await call(messages[0], callOptions)), trailers };
      }
      const input = method.methodKind === "server_streaming" ? messages[0] : each(messages);
      const answers: Json[] = [];
      for await (const answer of call(input, { timeoutMs: 20_000 })) answers.push(json(answer));
      return { code: "OK", answer: answers, trailers };
    } catch (error) {
      if (!(error instanceof RelaisError)) throw error;
      return {
        code: error.codeName, message: error.message, reason: error.reason, metadata: { ...error.metadata },
        fields: error.fields.map((field) => field.field),
        preconditions: error.preconditions.map((missing) => missing.subject),
        resource: { type: error.resourceType, name: error.resourceName },
      };
    }
  }
}

/** Whether a group of calls is that service's: it has all of its methods. */
function belongs(group: unknown, service: string): boolean {
  return descriptions.get(service)!.methods.every((method) => method.localName in (group as object));
}

async function* each<T>(all: T[]): AsyncGenerator<T> {
  yield* all;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function runStory(caller: Caller, steps: Step[]): Promise<void> {
  const scope = new Scope();
  for (const [index, step] of steps.entries()) {
    const end = performance.now() + (step.within_seconds ?? 0) * 1000;
    for (;;) {
      try {
        const requests = scope.fill(step.requests ?? [step.request ?? {}]) as Json[];
        const seen = await caller.call(step.call, requests);
        judge(scope.fill(step.expect ?? {}) as Record<string, Json>, seen);
        scope.capture(step.capture ?? {}, seen["answer"]);
        break;
      } catch (error) {
        if (!(error instanceof Mismatch)) throw error;
        if (performance.now() >= end) throw new Mismatch(`step ${index + 1}, ${step.call}: ${error.message}`);
        await sleep(100);
      }
    }
  }
}

async function runVectors(client: Client): Promise<number> {
  const caller = new Caller(client);
  const { fixtures, stories } = load(options.vectors!);
  const failed: Record<string, string> = {};
  for (const story of stories) {
    try {
      await runStory(caller, stepsOf(story, fixtures));
    } catch (error) {
      failed[story.name] = String(error);
      console.log(`FAILED: ${story.name}: ${String(error)}`);
    }
  }
  const bad = Object.keys(failed).length;
  console.log(`${stories.length - bad} of ${stories.length} stories passed`);
  if (options.report) {
    writeFileSync(options.report, JSON.stringify(
      { client: "typescript", version: VERSION, passed: stories.length - bad, failed }));
  }
  return bad === 0 ? 0 : 1;
}

async function runRetries(client: Client): Promise<number> {
  const caller = new Caller(client);
  const once = { lead: { person: { emails: [{ address: "once@example.com" }] } } };
  const results = [];
  for (const [name, request, timeoutMs] of [
    ["LeadService/GetLead", { name: "leads/unavailable-twice" }],
    ["LeadService/CaptureLead", once],
    ["LeadService/BatchCaptureLeads", { requests: [once, once] }],
    ["LeadService/GetLead", { name: "leads/exhausted-for-300ms" }],
    ["LeadService/GetLead", { name: "leads/exhausted-without-advice" }],
    ["LeadService/GetLead", { name: "leads/internal" }],
    ["LeadService/GetLead", { name: "leads/unavailable-for-ever" }, 1000],
    ["LeadService/GetLead", { name: "leads/silent" }, 500],
    ["ImportService/ImportRows", { name: `imports/${randomUUID()}`, complete: true }],
  ] as [string, Json, number?][]) {
    const result = await caller.call(name, [request], timeoutMs);
    results.push({ code: result["code"], reason: result["reason"] ?? "" });
  }
  console.log(JSON.stringify(results));
  return 0;
}

/** Captures while the server dies and comes back; prints what was captured and watched. */
async function runRestarts(client: Client): Promise<number> {
  const total = Number(options.captures);
  const tag = randomUUID().slice(0, 8);
  const watched: v1.Event[] = [];
  let created = 0;
  async function watch(): Promise<void> {
    for await (const event of client.watch()) {
      watched.push(event);
      if (event.type === v1.EventType.LEAD_CREATED && ++created === total) return;
    }
  }
  const watching = watch();
  let next = 0;
  const names = new Set<string>();
  async function work(): Promise<void> {
    while (next < total) {
      const address = `r${next++}.${tag}@example.com`;
      const answer = await client.leads.captureLead(
        { lead: { person: { emails: [{ address }] } } }, { timeoutMs: 120_000 });
      names.add(answer.lead!.name);
    }
  }
  await Promise.all(Array.from({ length: 8 }, work));
  await Promise.race([watching, sleep(60_000)]);
  console.log(JSON.stringify({ captured: names.size, created, numbers: watched.map((event) => Number(event.number)) }));
  return 0;
}

/** CPU microseconds of a call with and without the layer, medians of 5 alternating runs. */
async function runCost(client: Client): Promise<number> {
  const bare = createClient(v1.LeadService, createGrpcTransport({ baseUrl: `http://${options.server!}` }));
  const { lead } = await client.leads.captureLead({ lead: { person: { emails: [{ address: `${randomUUID()}@example.com` }] } } });
  async function cost(call: (request: { name: string }) => Promise<unknown>): Promise<number> {
    const start = process.cpuUsage();
    for (let i = 0; i < 2000; ++i) await call({ name: lead!.name });
    const used = process.cpuUsage(start);
    return (used.user + used.system) / 2000;
  }
  const pairs: [number, number][] = [];
  for (let i = 0; i < 6; ++i) {
    pairs.push([await cost((request) => bare.getLead(request)), await cost((request) => client.leads.getLead(request))]);
  }
  const median = (at: 0 | 1): number => Math.round(pairs.slice(1).map((pair) => pair[at]).sort((a, b) => a - b)[2]! * 10) / 10;
  console.log(JSON.stringify({ bare_us: median(0), layer_us: median(1) }));
  return 0;
}

const client = connect({ server: options.server! });
const commands = { vectors: runVectors, retries: runRetries, restarts: runRestarts, cost: runCost };
const code = await commands[positionals[0] as keyof typeof commands](client);
client.close();
process.exit(code);
