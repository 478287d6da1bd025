// When a call may be made again, and how long to wait before.
//
// A call is repeatable when doing it twice cannot have a second effect: reads, checks, and writes that
// carry a request_id. The id is made here, once per logical call.
import { clone, type DescMessage, type Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import type { RelaisError } from "./errors.js";

export const FIRST_WAIT_MS = 50;
export const LONGEST_WAIT_MS = 2000;
// Sent with a row number each, so that the server skips what it has already committed.
const NUMBERED = "relais.v1.ImportRowsRequest";

interface Guarded {
  validateOnly?: boolean;
  requestId?: string;
  requests?: { requestId?: string }[];
}

function has(schema: DescMessage, field: string): boolean {
  return schema.fields.some((each) => each.name === field);
}

function uuid(): string {
  return globalThis.crypto.randomUUID();
}

/** The request to send, with its request_id, and whether it may be sent again. The caller's own
    message is never changed. */
export function madeRepeatable<M extends Message>(schema: DescMessage, request: M): [M, boolean] {
  const guarded = request as Guarded;
  if (!has(schema, "validate_only")) return [request, true]; // A read.
  if (guarded.validateOnly || schema.typeName === NUMBERED) return [request, true];
  if (has(schema, "request_id")) {
    if (guarded.requestId) return [request, true];
    const sent = clone(schema, request) as M;
    (sent as Guarded).requestId = uuid();
    return [sent, true];
  }
  const items = schema.fields.find((each) => each.name === "requests");
  if (items?.fieldKind === "list" && items.listKind === "message" && has(items.message, "request_id")) {
    if (guarded.requests?.every((item) => item.requestId)) return [request, true];
    const sent = clone(schema, request) as M;
    for (const item of (sent as Guarded).requests ?? []) item.requestId ||= uuid();
    return [sent, true];
  }
  return [request, false];
}

/** The connection broke, or the server is away. A server that dies in the middle of a call is told of
    in several ways by Node and by browsers, none of which carries a reason of ours. */
export function isCut(error: RelaisError): boolean {
  if (error.code === Code.Unavailable) return true;
  return error.reason === "" && (error.code === Code.Aborted || error.code === Code.Unknown ||
    error.code === Code.Internal || error.code === Code.Canceled);
}

/** Milliseconds to wait before attempt number `attempt` (the first repetition is 1), or undefined when
    the error is final. What the server asks for is honoured in full, with a little spread. */
export function waitBefore(attempt: number, error: RelaisError): number | undefined {
  if (error.code === Code.ResourceExhausted) {
    if (error.retryAfterMs === undefined) return undefined;
  } else if (!isCut(error)) {
    return undefined;
  }
  const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt - 1, 10));
  const spread = ceiling / 2 + (Math.random() * ceiling) / 2;
  return error.retryAfterMs === undefined ? spread : error.retryAfterMs + spread / 4;
}

/** Rejects with the signal's reason when it fires first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    function stop(): void {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
