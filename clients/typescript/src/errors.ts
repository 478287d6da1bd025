// What a refused call throws. Branch on `code` and `reason`, never on the text.
import { Code, ConnectError } from "@connectrpc/connect";

import {
  BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema, ResourceInfoSchema, RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import type { Status } from "./gen/google/rpc/status_pb.js";
import { anyUnpack, type AnyDesc } from "./unpack.js";

export { Code };

/** One field that a request filled wrongly. */
export interface FieldViolation {
  /** Path in the request, as in the proto: "lead.person.emails[1].address". */
  readonly field: string;
  readonly description: string;
}

/** One thing that is missing: an unmet criterion, a field, a stage. */
export interface Precondition {
  /** "STAGE", "CRITERION", "FIELD", "STATE"... */
  readonly type: string;
  /** Name of a resource, of a criterion or of a field. */
  readonly subject: string;
  readonly description: string;
}

/** A refused call. */
export class RelaisError extends Error {
  override readonly name = "RelaisError";
  /** UPPER_SNAKE, such as "CRITERIA_NOT_MET"; empty when the refusal is not the server's own. */
  readonly reason: string = "";
  /** Facts beside the reason, such as the etag that is expected. */
  readonly metadata: Readonly<Record<string, string>> = {};
  /** Every violation of an INVALID_ARGUMENT. */
  readonly fields: readonly FieldViolation[] = [];
  /** Everything that a FAILED_PRECONDITION found missing. */
  readonly preconditions: readonly Precondition[] = [];
  /** Kind of the resource that was not found, or that holds what was asked for. */
  readonly resourceType: string = "";
  /** Its name. */
  readonly resourceName: string = "";
  /** Milliseconds after which the server wants to be asked again. */
  readonly retryAfterMs: number | undefined = undefined;
  /** Id of the call in the server's log. */
  readonly callId: string = "";

  /** `find` answers the first detail of a kind. */
  constructor(
    /** Canonical code. */
    readonly code: Code,
    message: string,
    find: <D extends AnyDesc>(schema: D) => ReturnType<typeof anyUnpack<D>> | undefined,
    callId: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    const info = find(ErrorInfoSchema);
    if (info) {
      this.reason = info.reason;
      this.metadata = info.metadata;
    }
    this.fields = find(BadRequestSchema)?.fieldViolations ?? [];
    this.preconditions = find(PreconditionFailureSchema)?.violations ?? [];
    const resource = find(ResourceInfoSchema);
    if (resource) {
      this.resourceType = resource.resourceType;
      this.resourceName = resource.resourceName;
    }
    const delay = find(RetryInfoSchema)?.retryDelay;
    if (delay) this.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    this.callId = callId;
  }

  /** The code as the contract writes it: "FAILED_PRECONDITION". */
  get codeName(): string {
    return codeName(this.code);
  }

  override toString(): string {
    return `${this.codeName}${this.reason && ` ${this.reason}`}: ${this.message}`;
  }
}

/** "FAILED_PRECONDITION" of Code.FailedPrecondition. */
export function codeName(code: Code): string {
  // Connect spells CANCELLED with one l.
  if (code === Code.Canceled) return "CANCELLED";
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** The error of whatever a call of Connect threw. */
export function fromConnect(thrown: unknown): RelaisError {
  if (thrown instanceof RelaisError) return thrown;
  const error = ConnectError.from(thrown);
  return new RelaisError(error.code, error.rawMessage, (schema) => error.findDetails(schema)[0] as never,
    error.metadata.get("relais-call-id") ?? "", error.cause ?? error);
}

/** The error that a google.rpc.Status means, such as that of one item of a batch. */
export function fromStatus(status: Status): RelaisError {
  return new RelaisError(status.code as Code, status.message, (schema) => {
    for (const detail of status.details) {
      const message = anyUnpack(detail, schema);
      if (message) return message;
    }
    return undefined;
  }, "");
}
