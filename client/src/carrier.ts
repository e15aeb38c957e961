import { backoff } from './connection';
import type { Hello, ToHub, ToPage, Update } from './wire';

/** A way to a hub. `fail` says that there is none; throwing says so too. */
export type Way = (
  deliver: (message: ToPage) => void,
  fail: () => void,
) => (message: ToHub) => void;

export interface CarrierDeps {
  /** By a SharedWorker. */
  worker: Way;
  /** Loads the way that does without one. */
  share(): Promise<Way>;
  /** Of the page, at this moment. */
  cursor(): string;
  /** Of the page, for a person who looks at the status. */
  address: string;
  /** Returns whether the page wants to begin again, at the cursor that it has then. */
  hello(hello: Hello): boolean | undefined;
  update(update: Update, cursor: string): void;
  /** The server has been out of reach for a while. */
  away(): void;
  /** Runs `task` after `milliseconds`; returns what cancels it. */
  timer(task: () => void, milliseconds: number): () => void;
  /** In [0, 1). */
  random(): number;
}

export interface Carrier {
  open(): void;
  close(): void;
  /** Connects now, after `close` or in place of a wait. */
  wake(): void;
}

/** A worker that has said nothing for so long will not, in milliseconds. */
const SILENCE = 3000;

/** The page's end: one way to a hub after another, for ever. */
export const createCarrier = (deps: CarrierDeps): Carrier => {
  let way = deps.worker;
  let send: ((message: ToHub) => void) | undefined;
  let cancel: (() => void) | undefined;
  let isOpen = false;
  let failures = 0;
  /** Names the attempt under way: what an earlier one brings is not heard. */
  let attempt = 0;

  const say = (): void => send?.(['open', deps.cursor(), deps.address]);

  const close = (): void => {
    attempt++;
    cancel?.();
    send?.(['close']);
    cancel = send = undefined;
    isOpen = false;
  };

  const wait = (): void => {
    deps.away();
    cancel = deps.timer(open, backoff(failures++, deps.random()));
  };

  const fallBack = (): void => {
    close();
    isOpen = true;
    const current = attempt;
    deps.share().then(
      (share) => {
        if (attempt !== current) return;
        way = share;
        open();
      },
      // No answer: the worker's script may have failed for that too.
      () => attempt === current && wait(),
    );
  };

  const hear = (message: ToPage): void => {
    cancel?.();
    cancel = undefined;
    failures = 0;
    if (message[0] === 'away') deps.away();
    if (message[0] === 'update') deps.update(message[1], message[2]);
    if (message[0] === 'who' || (message[0] === 'hello' && deps.hello(message[1])))
      say();
  };

  const open = (): void => {
    close();
    isOpen = true;
    const current = attempt;
    const fail = (): void => {
      if (attempt === current) fallBack();
    };
    cancel = deps.timer(fail, SILENCE);
    try {
      send = way((message) => attempt === current && hear(message), fail);
      say();
    } catch {
      fail();
    }
  };

  return {
    open,
    close,
    wake() {
      if (!isOpen || (cancel && !send)) open();
      else send?.(['wake']);
    },
  };
};
