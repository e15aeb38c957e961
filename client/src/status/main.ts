import { createConnection } from '../connection';
import type { Facts } from './facts';
import { createView } from './view';

/** Until the next look, while the first one at the files is under way, in milliseconds. */
const SOON = 300;

const timer = (task: () => void, milliseconds: number): (() => void) => {
  const id = setTimeout(task, milliseconds);
  return () => clearTimeout(id);
};

const events = (document.currentScript as HTMLScriptElement).src.replace(/\/[^/]*$/, '');
const view = createView(document);

let me: string | undefined;
let isAsking = false;
let isStale = false;

const refresh = async (): Promise<void> => {
  isStale = isAsking;
  if (isAsking) return;
  isAsking = true;
  try {
    const facts: Facts = await (await fetch(`${events}/status.json`)).json();
    view.show(facts, me);
    if (!facts.ready && facts.state !== 'off') timer(refresh, SOON);
  } catch {
    // The stream will say when the server is back.
  }
  isAsking = false;
  if (isStale) void refresh();
};

const connection = createConnection({
  source() {
    const source = new EventSource(`${events}?status`);
    source.addEventListener('status', ({ data }) => {
      me = JSON.parse(data);
      void refresh();
    });
    return source;
  },
  hello: () => void refresh(),
  message: () => void refresh(),
  lost: view.away,
  timer,
  clock: Date.now,
  random: Math.random,
});

addEventListener('pageshow', connection.wake);
addEventListener('online', connection.wake);
// An open stream would keep the page out of the back/forward cache.
addEventListener('pagehide', connection.close);
connection.open();
void refresh();
