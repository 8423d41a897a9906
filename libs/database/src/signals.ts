/**
 * Hints between the processes on one database: "look again". One may be lost (a connection that broke) and one may come
 * twice, so whoever listens also looks by itself now and then.
 */
export interface Signals {
  /** Tells every listener, in this process at once and in the others soon. Never throws. At most 1,000 characters. */
  send(message: string): void;
  /** `undefined`: the connection was lost for a while, anything may have been missed. Answers how to end it. */
  listen(listener: (message: string | undefined) => void): () => void;
}

/** What carries messages between processes; without one, signals stay in the process. */
export interface SignalTransport {
  send(messages: readonly string[]): Promise<void>;
  /** Begins to listen. */
  open(onMessage: (message: string | undefined) => void): void;
  close(): Promise<void>;
}

/** Messages of one moment travel together, each once. */
const GATHER_MS = 5;

export function createSignals(transport?: SignalTransport): Signals & { close(): Promise<void> } {
  const listeners = new Set<(message: string | undefined) => void>();
  let gathered = new Set<string>();
  let sending: Promise<void> = Promise.resolve();
  let opened = false;
  const tell = (message: string | undefined) => {
    for (const listener of [...listeners]) listener(message);
  };
  function sendGathered(): void {
    const messages = [...gathered];
    gathered = new Set();
    // Lost with the connection: the others find out by themselves.
    sending = sending.then(() => transport!.send(messages)).catch(() => {});
  }
  return {
    send(message) {
      tell(message);
      if (transport === undefined) return;
      if (gathered.size === 0) setTimeout(sendGathered, GATHER_MS).unref();
      gathered.add(message);
    },
    listen(listener) {
      listeners.add(listener);
      if (!opened) transport?.open(tell);
      opened = true;
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      if (gathered.size > 0) sendGathered();
      await sending;
      await transport?.close();
    },
  };
}
