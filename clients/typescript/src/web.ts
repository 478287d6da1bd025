// Relais for browsers: gRPC-Web through the gateway. Streams of requests do not reach there, so
// imports go by importRows.
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Interceptor } from "@connectrpc/connect";

import { clientOver, DEFAULT_TIMEOUT_MS, type Client } from "./client.js";

export * from "./errors.js";
export { items, pages, CHUNK_ROWS } from "./client.js";
export type { Client, ImportOptions, ImportReport, ItemOf } from "./client.js";
export { VERSION } from "./version.js";
export type { CallOptions } from "@connectrpc/connect";
export * as v1 from "./gen/v1.js";
/** The kinds of details that a google.rpc.Status holds. */
export * as rpc from "./gen/google/rpc/error_details_pb.js";

import { VERSION } from "./version.js";

/** Where the gateway is, and as whom to call it. */
export interface ConnectOptions {
  /** Address of the gateway, such as "https://relais.example.com"; default: where the page came from. */
  readonly baseUrl?: string;
  /** Bearer token. */
  readonly token?: string;
  /** Default deadline of a call, retries included; default 30,000. Streams have none. */
  readonly timeoutMs?: number;
}

/** Connects when the first call is made. */
export function connect(options: ConnectOptions = {}): Client {
  const identify: Interceptor = (next) => (request) => {
    // Browsers keep user-agent for themselves.
    request.header.set("x-user-agent", `relais-web/${VERSION}`);
    if (options.token) request.header.set("authorization", `Bearer ${options.token}`);
    return next(request);
  };
  const transport = createGrpcWebTransport({
    baseUrl: options.baseUrl ?? globalThis.location.origin,
    interceptors: [identify],
  });
  return clientOver(transport, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
}
