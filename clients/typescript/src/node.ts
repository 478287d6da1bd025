// Relais for Node: gRPC over HTTP/2, straight to the server.
import { readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";

import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import type { Interceptor } from "@connectrpc/connect";

import { clientOver, DEFAULT_TIMEOUT_MS, type Client as AnyClient } from "./client.js";
import { VERSION } from "./version.js";

export * from "./errors.js";
export { items, pages, CHUNK_ROWS } from "./client.js";
export type { ImportOptions, ImportReport, ItemOf } from "./client.js";
export { VERSION } from "./version.js";
export type { CallOptions } from "@connectrpc/connect";
export * as v1 from "./gen/v1.js";
/** The kinds of details that a google.rpc.Status holds. */
export * as rpc from "./gen/google/rpc/error_details_pb.js";

export const DEFAULT_SERVER = "127.0.0.1:50061";
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Where to connect, and as whom. What is left out comes from the environment. */
export interface ConnectOptions {
  /** host:port or unix:/path; RELAIS_SERVER, else 127.0.0.1:50061. */
  readonly server?: string;
  /** Bearer token; RELAIS_TOKEN. */
  readonly token?: string;
  /** PEM file of the certificates to trust; RELAIS_CA. */
  readonly ca?: string;
  /** No TLS to another machine; RELAIS_PLAINTEXT. Refused together with a token. */
  readonly plaintext?: boolean;
  /** Default deadline of a call, retries included; RELAIS_TIMEOUT (seconds), else 30,000. Streams have
      none. */
  readonly timeoutMs?: number;
}

/** Every service of one connection. */
export type Client = AnyClient & {
  /** Closes the connection; calls under way end. */
  close(): void;
};

/** Whether an address cannot leave this machine. */
export function isLocal(server: string): boolean {
  return /^(unix:|127\.|localhost(:|$)|\[::1\])/.test(server.replace(/^(dns:\/\/\/|ipv4:|ipv6:)/, ""));
}

/** Connects when the first call is made. TLS is used with `ca` and to every address that is not this
    machine. Throws when `ca` cannot be read or a token would go out in the clear. */
export function connect(options: ConnectOptions = {}): Client {
  const env = process.env;
  const server = options.server || env["RELAIS_SERVER"] || DEFAULT_SERVER;
  const token = options.token ?? env["RELAIS_TOKEN"] ?? "";
  const ca = options.ca || env["RELAIS_CA"] || undefined;
  const plaintext = options.plaintext ?? /^(1|true|yes|on)$/i.test(env["RELAIS_PLAINTEXT"] ?? "");
  const timeoutMs = options.timeoutMs ??
    (env["RELAIS_TIMEOUT"] ? Number(env["RELAIS_TIMEOUT"]) * 1000 : DEFAULT_TIMEOUT_MS);
  if (!(timeoutMs > 0)) throw new RangeError("timeoutMs must be above 0");
  const local = isLocal(server);
  if (plaintext && token && !local) {
    throw new Error("plaintext would send the token in the clear to another machine");
  }
  const tls = !plaintext && (ca !== undefined || !local);
  const path = server.startsWith("unix:") ? server.slice("unix:".length) : undefined;
  const address = path === undefined ? server.replace(/^(dns:\/\/\/|ipv4:|ipv6:)/, "") : "localhost";
  const baseUrl = `${tls ? "https" : "http"}://${address}`;
  const identify: Interceptor = (next) => (request) => {
    request.header.set("user-agent", `relais-node/${VERSION}`);
    if (token) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const sessionManager = new Http2SessionManager(
    baseUrl,
    // A dead peer of a silent stream is noticed; the server accepts a ping every 30 seconds.
    { pingIntervalMs: 60_000, pingTimeoutMs: 10_000 },
    {
      ...(tls && ca !== undefined ? { ca: readFileSync(ca) } : {}),
      ...(path !== undefined ? { createConnection: () => connectSocket(path) } : {}),
    },
  );
  const transport = createGrpcTransport({
    baseUrl, sessionManager, interceptors: [identify], readMaxBytes: MAX_MESSAGE_BYTES,
  });
  return { ...clientOver(transport, timeoutMs), close: () => sessionManager.abort() };
}
