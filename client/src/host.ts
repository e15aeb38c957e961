import { createHub, type Hub } from './hub';

/** The hub of this browsing or worker context. `events` is the address of the streams. */
export const hostHub = (events: string): Hub => {
  const hub = createHub({
    source: (cursor) => new EventSource(`${events}?cursor=${cursor}`),
    timer(task, milliseconds) {
      const id = setTimeout(task, milliseconds);
      return () => clearTimeout(id);
    },
    clock: Date.now,
    random: Math.random,
  });
  addEventListener('online', hub.renew);
  return hub;
};
