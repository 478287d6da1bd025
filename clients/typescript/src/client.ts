// The thin layer itself, over any transport of Connect: deadlines, retries and typed errors.
import {
  create, type DescMethodUnary, type DescService, type Message, type MessageInitShape,

} from "@bufbuild/protobuf";
import { Code, createClient, type CallOptions, type Client as Stub, type Transport } from "@connectrpc/connect";

import { fromConnect, RelaisError } from "./errors.js";
import { services } from "./gen/services.js";
import { EventService } from "./gen/relais/v1/event_service_pb.js";
import { type Event } from "./gen/relais/v1/event_pb.js";
import { WatchRequestSchema } from "./gen/relais/v1/event_service_pb.js";
import { ImportSchema, ImportState, ImportRowOutcome, type Import, type ImportRow, type ImportRowResult } from "./gen/relais/v1/import_pb.js";
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, isCut, madeRepeatable, sleep, waitBefore } from "./retry.js";

export const DEFAULT_TIMEOUT_MS = 30_000;
/** Far under the message limit with ordinary rows; the server takes 1000. */
export const CHUNK_ROWS = 500;

type Services = typeof services;

/** How an import ended. */
export interface ImportReport {
  /** The import, with its counts. */
  readonly state: Import;
  /** The rows of this run that were refused, with the reason of each. */
  readonly refused: readonly ImportRowResult[];
}

/** What importRows may be told. */
export interface ImportOptions {
  /** What is imported, such as the file's name. */
  readonly displayName?: string;
  /** Rows expected in all. */
  readonly rowsTotal?: bigint;
  /** Rows of one call; default 500, at most 1000. */
  readonly chunkRows?: number;
  /** Told after every chunk. */
  readonly progress?: (state: Import) => void;
  readonly call?: CallOptions;
}

type ServiceClients = { readonly [K in keyof Services]: Stub<Services[K]> };

/** Every service of one connection: client.leads.captureLead(...) and its like, and what spans calls. */
export type Client = ServiceClients & {
  /** Every event that `request` asks for, in order, each once, also across restarts of the server.
      Ends only with `untilNow`, with `signal`, or with an error that time does not mend, such as
      OUT_OF_RANGE reason HISTORY_CHANGED. */
  watch(request?: MessageInitShape<typeof WatchRequestSchema>, options?: { signal?: AbortSignal }): AsyncGenerator<Event, void, undefined>;
  /** Imports `rows` (numbered upwards from 1) as `imports/{uuid}` and completes it. Called again with
      the name of an import that was interrupted it goes on where that stopped: rows that are
      committed are not sent again. */
  importRows(name: string, rows: Iterable<ImportRow> | AsyncIterable<ImportRow>, options?: ImportOptions): Promise<ImportReport>;
};

async function* translated<T>(answers: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* answers;
  } catch (thrown) {
    throw fromConnect(thrown);
  }
}

type UnaryCall = (request: Message, options?: CallOptions) => Promise<Message>;

function unary(method: DescMethodUnary, call: UnaryCall, timeoutMs: number) {
  return async (init: MessageInitShape<typeof method.input>, options?: CallOptions): Promise<Message> => {
    const [request, repeatable] = madeRepeatable(method.input, create(method.input, init));
    const end = performance.now() + (options?.timeoutMs ?? timeoutMs);
    for (let attempt = 1; ; ++attempt) {
      try {
        return await call(request, { ...options, timeoutMs: Math.max(1, Math.ceil(end - performance.now())) });
      } catch (thrown) {
        const error = fromConnect(thrown);
        const wait = repeatable && !options?.signal?.aborted ? waitBefore(attempt, error) : undefined;
        if (wait === undefined || performance.now() + wait >= end) throw error;
        await sleep(wait, options?.signal);
      }
    }
  };
}

function layered<S extends DescService>(service: S, transport: Transport, timeoutMs: number): Stub<S> {
  const stub = createClient(service, transport) as unknown as Record<string, (...a: never[]) => unknown>;
  const layer: Record<string, unknown> = {};
  for (const method of service.methods) {
    const bare = stub[method.localName]!;
    layer[method.localName] = method.methodKind === "unary"
      ? unary(method as DescMethodUnary, bare as unknown as UnaryCall, timeoutMs)
      : (...all: Parameters<typeof bare>) => translated(bare(...all) as AsyncIterable<unknown>);
  }
  return layer as Stub<S>;
}

/** A client over a transport. */
export function clientOver(transport: Transport, timeoutMs: number): Client {
  const all = Object.fromEntries(Object.entries(services).map(
    ([name, service]) => [name, layered(service, transport, timeoutMs)])) as unknown as ServiceClients;
  return {
    ...all,
    watch: (request, options) => watch(all.events, request ?? {}, options?.signal),
    importRows: (name, rows, options) => importRows(all.imports, name, rows, options ?? {}),
  };
}

async function* watch(
  events: Stub<typeof EventService>, init: MessageInitShape<typeof WatchRequestSchema>, signal?: AbortSignal,
): AsyncGenerator<Event, void, undefined> {
  const request = create(WatchRequestSchema, init);
  for (let attempt = 1; ; ) {
    let wait = FIRST_WAIT_MS; // The server said goodbye in good order.
    try {
      for await (const message of events.watch(request, signal ? { signal } : {})) {
        attempt = 1;
        const token = message.event?.resumeToken || message.resumeToken;
        if (token) {
          request.resumeToken = token;
          request.afterNumber = 0n;
        }
        if (message.event) yield message.event;
      }
      if (request.untilNow) return;
    } catch (thrown) {
      const error = fromConnect(thrown);
      if (signal?.aborted || !(isCut(error) || error.code === Code.ResourceExhausted)) throw error;
      const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt++ - 1, 10));
      wait = (error.retryAfterMs ?? 0) + ceiling / 2 + (Math.random() * ceiling) / 2;
    }
    await sleep(wait, signal);
  }
}

async function importRows(
  imports: ServiceClients["imports"], name: string, rows: Iterable<ImportRow> | AsyncIterable<ImportRow>,
  options: ImportOptions,
): Promise<ImportReport> {
  const size = options.chunkRows ?? CHUNK_ROWS;
  const refused: ImportRowResult[] = [];
  let state = create(ImportSchema, { name });
  try {
    state = await imports.getImport({ name }, options.call);
  } catch (thrown) {
    if (!(thrown instanceof RelaisError) || thrown.code !== Code.NotFound) throw thrown;
  }
  if (state.state === ImportState.COMPLETED) return { state, refused };
  const after = state.committedRow;
  async function send(chunk: ImportRow[], complete: boolean): Promise<void> {
    const answer = await imports.importRows({
      name, rows: chunk, complete, displayName: options.displayName ?? "", rowsTotal: options.rowsTotal ?? 0n,
    }, options.call);
    if (answer.import) state = answer.import;
    refused.push(...answer.results.filter((each) => each.outcome === ImportRowOutcome.FAILED));
    options.progress?.(state);
  }
  let chunk: ImportRow[] = [];
  for await (const row of rows) {
    if (row.row <= after) continue;
    chunk.push(row);
    if (chunk.length === size) {
      await send(chunk, false);
      chunk = [];
    }
  }
  await send(chunk, true);
  return { state, refused };
}

interface Page {
  readonly nextPageToken: string;
}
type Lists<Response> = {
  [K in keyof Response as K extends `$${string}` ? never : K]: Response[K] extends (infer Item)[] ? Item : never;
};
/** What the items of a page are. */
export type ItemOf<Response> = Lists<Response>[keyof Lists<Response>];

/** Every page of a list, from `request.pageToken` on:
    `for await (const page of pages(client.leads.listLeads, {filter}))`. */
export async function* pages<Request extends object, Response extends Page>(
  list: (request: Request, options?: CallOptions) => Promise<Response>, request: Request, options?: CallOptions,
): AsyncGenerator<Response, void, undefined> {
  let ask = request;
  for (;;) {
    const page = await list(ask, options);
    yield page;
    if (page.nextPageToken === "") return;
    ask = { ...ask, pageToken: page.nextPageToken };
  }
}

/** Every item of every page of a list. */
export async function* items<Request extends object, Response extends Page>(
  list: (request: Request, options?: CallOptions) => Promise<Response>, request: Request, options?: CallOptions,
): AsyncGenerator<ItemOf<Response>, void, undefined> {
  for await (const page of pages(list, request, options)) {
    for (const [key, value] of Object.entries(page)) {
      if (!key.startsWith("$") && Array.isArray(value)) yield* value as ItemOf<Response>[];
    }
  }
}

