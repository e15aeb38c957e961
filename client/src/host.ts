import { createHub, type Hub } from './hub';
import { createTeller } from './tell';

const timer = (task: () => void, milliseconds: number): (() => void) => {
  const id = setTimeout(task, milliseconds);
  return () => clearTimeout(id);
};

/** The hub of this browsing or worker context. `events` is the address of the streams. */
export const hostHub = (events: string): Hub => {
  const teller = createTeller({
    pages: () => hub.pages(),
    // To the address of the streams: a page's policy that allows one allows the other.
    post: async (body) => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(events, { method: 'POST', headers, body })).status;
    },
    timer,
  });
  const hub = createHub({
    source(cursor) {
      const source = new EventSource(`${events}?cursor=${cursor}`);
      source.addEventListener('who', ({ data }) => teller.ask(JSON.parse(data)));
      return source;
    },
    changed: teller.changed,
    timer,
    clock: Date.now,
    random: Math.random,
  });
  addEventListener('online', hub.renew);
  return hub;
};
