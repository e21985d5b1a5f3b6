/** A way to reach the other instances: opens one connection, and says when it is lost. */
export interface Channel {
  readonly kind: 'postgresql' | 'redis';
  /** @throws when it cannot be opened within about two seconds */
  open(onMessage: (payload: string) => void, onLost: (error?: unknown) => void): Promise<OpenChannel>;
}

export interface OpenChannel {
  /** Sends to every instance, this one included. */
  send(payload: string): Promise<void>;
  close(): Promise<void>;
}
