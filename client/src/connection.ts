/** What is needed of an EventSource. */
export interface Source {
  onerror: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent<string>) => unknown) | null;
  addEventListener(type: 'hello', listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface ConnectionDeps {
  /** Opens the stream at the cursor that is right at this moment. */
  source(): Source;
  hello(data: string): void;
  message(data: string, cursor: string): void;
  /** The stream has ended, or could not be had. */
  lost(): void;
  /** Runs `task` after `milliseconds`; returns what cancels it. */
  timer(task: () => void, milliseconds: number): () => void;
  /** Milliseconds. */
  clock(): number;
  /** In [0, 1). */
  random(): number;
}

export interface Connection {
  /** Drops the stream there may be, and connects now. */
  open(): void;
  close(): void;
  /** Connects now, after `close` or in place of a wait; leaves an attempt under way alone. */
  wake(): void;
}

/** How long a stream must have lived for its end not to count as one more failure, in milliseconds. */
const STEADY = 1000;
/** A server that greets is there: whatever was before, not more failures than these count. */
const GREETED = 3;

/** 50 to 100 ms, doubling up to 2.5 to 5 s: never all tabs at once. */
export const backoff = (failures: number, random: number): number =>
  Math.min(2500, 50 * 2 ** failures) * (1 + random);

/**
 * One stream after another, for ever. The native reconnect is not relied upon: a proxy's 502, and in
 * Firefox some network errors, end it for good.
 */
export const createConnection = (deps: ConnectionDeps): Connection => {
  let source: Source | undefined;
  let cancel: (() => void) | undefined;
  let failures = 0;

  const close = (): void => {
    cancel?.();
    source?.close();
    cancel = source = undefined;
  };

  const open = (): void => {
    close();
    let since = Infinity;
    const current = (source = deps.source());
    current.addEventListener('hello', ({ data }) => {
      since = deps.clock();
      failures = Math.min(failures, GREETED);
      if (source === current) deps.hello(data);
    });
    current.onmessage = ({ data, lastEventId }) => {
      if (source === current) deps.message(data, lastEventId);
    };
    current.onerror = () => {
      if (source !== current) return;
      if (deps.clock() - since > STEADY) failures = 0;
      close();
      deps.lost();
      cancel = deps.timer(open, backoff(failures++, deps.random()));
    };
  };

  return { open, close, wake: () => source || open() };
};
