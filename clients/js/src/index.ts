export { HermesError, type HermesErrorOptions } from "./error.ts";
export type { Ack, Notification, Position, StreamName } from "./frames.ts";
export { Hermes, type Listener } from "./hermes.ts";
export type { Observable } from "./observable.ts";
export type { HermesOptions, SendOptions } from "./options.ts";
export type { PositionStorage } from "./positions.ts";
export type { State } from "./state.ts";
export type { Timing } from "./timing.ts";
export type { TokenContext, TokenSource } from "./tokens.ts";
