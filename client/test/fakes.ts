// What a browser brings, as far as the transport needs it.
import assert from 'node:assert/strict';
import type { Source } from '../src/connection';

export class FakeSource implements Source {
  onerror: Source['onerror'] = null;
  onmessage: Source['onmessage'] = null;
  closed = false;
  #listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(readonly cursor = '') {}

  addEventListener(name: string, listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(name, listener);
  }
  close(): void {
    this.closed = true;
  }
  greet(data: string): void {
    this.tell('hello', data);
  }
  tell(name: string, data: string): void {
    this.#listeners.get(name)?.({ data } as MessageEvent<string>);
  }
  send(data: string, lastEventId: string): void {
    this.onmessage?.({ data, lastEventId } as MessageEvent<string>);
  }
  fail(): void {
    this.onerror?.({} as Event);
  }
}

/** Timers that run when they are told to. */
export const fakeTimers = () => {
  const timers: { task: () => void; delay: number; live: boolean }[] = [];
  const live = () => timers.filter(({ live }) => live);
  return {
    timer(task: () => void, delay: number): () => void {
      const timer = { task, delay, live: true };
      timers.push(timer);
      return () => (timer.live = false);
    },
    live,
    /** Runs the oldest of those that `wanted` accepts; returns its delay. */
    fire(wanted: (delay: number) => boolean = () => true): number {
      const timer = live().find(({ delay }) => wanted(delay));
      assert.ok(timer, 'a timer runs');
      timer.live = false;
      timer.task();
      return timer.delay;
    },
  };
};

export const settled = (): Promise<void> => new Promise((done) => setImmediate(done));
