import { HermesError } from "./error.ts";

/** The two streams of a connection: the room's, and what is sent to its user alone. */
export type StreamName = "room" | "user";

/** The names of both. */
export const STREAMS: readonly StreamName[] = ["room", "user"];

/** A place in a stream. */
export interface Position {
  epoch: string;
  offset: number;
}

/** A position in each stream, where it is known. */
export type Positions = { [name in StreamName]?: Position | null | undefined };

/** A notification as the server pushes it. */
export interface Notification<Data = unknown> {
  /** The sender. */
  user_id: string;
  data: Data;
  room_id: string;
  /** Unique for its sender in its stream. */
  id: string;
  /** When it was accepted, in RFC 3339. */
  sent_at: string;
  /** The one user who is meant; without it, everybody in the room. */
  to?: string;
  /** Where it stands; missing in a deployment that keeps no history. */
  stream?: StreamName;
  epoch?: string;
  offset?: number;
}

/** The answer to a message: it is in the log, and where. */
export interface Ack {
  id: string;
  /** Missing in a deployment that keeps no history. */
  stream?: StreamName;
  epoch?: string;
  offset?: number;
}

/** The answer to `recover`. */
export interface Recovered {
  epoch: string | null;
  head: number;
  complete: boolean;
  more: boolean;
  messages: Notification[];
}

/** A request, before it has its `ref`. */
export interface Request {
  action: string;
  ref?: string;
  [field: string]: unknown;
}

/** An answer, or another word of the server itself. */
export interface Answer {
  system: string;
  ref?: string;
  data?: unknown;
}

/** Reads a frame. Gives nothing where this client does not know it. */
export function read(text: unknown): Answer | Notification | undefined {
  try {
    const frame = JSON.parse(text as string);
    return typeof frame.system === "string" || "user_id" in frame ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** Where a notification stands, if there is a log. */
export function position({ stream, epoch, offset }: Notification): [StreamName, Position] | undefined {
  return STREAMS.includes(stream as StreamName) && typeof epoch === "string" && typeof offset === "number"
    ? [stream as StreamName, { epoch, offset }]
    : undefined;
}

/** The failure that an error frame tells of. */
export function refusal(data: unknown): HermesError {
  const { code, message } = (data ?? {}) as { code?: string; message?: string };
  return new HermesError(message ?? "refused by the server", { code: code ?? "internal" });
}
