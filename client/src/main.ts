import { createClient } from './client';
import { createConnection } from './connection';
import { recall, remember, unremembered, type Memory } from './memory';
import { createStyles, pathOf, unmarked } from './stylesheets';
import type { Change } from './wire';

/** A reload does not wait longer for the cache, in milliseconds. */
const PATIENCE = 1000;

const debug = (text: string): void => console.debug('[hot reload]', text);
const warn = (text: unknown): void => console.warn('[hot reload]', text);

const timer = (task: () => void, milliseconds: number): (() => void) => {
  const id = setTimeout(task, milliseconds);
  return () => clearTimeout(id);
};

/** Nothing of ours is thrown into the page. */
const guarded =
  <Arguments extends unknown[]>(task: (...given: Arguments) => void) =>
  (...given: Arguments): void => {
    try {
      task(...given);
    } catch (error) {
      warn(error);
    }
  };

let refusals = 0;

const refresh = (urls: readonly string[]): Promise<unknown> =>
  Promise.all(
    // A page's policy may refuse it; it is not asked, and its report not sent, each time.
    (refusals ? [] : urls).map((url) =>
      fetch(url, { cache: 'reload' })
        .then((response) => response.blob())
        .catch(() => refusals++),
    ),
  );

/** A reload asks for the document, but may take the rest from the cache if that guesses it fresh. */
const refreshUsed = (changes: readonly Change[]): Promise<unknown> => {
  const changed = new Set(changes.map(({ op, url }) => op !== 'removed' && url));
  const used = performance
    .getEntriesByType('resource')
    .map(({ name }) => unmarked(name))
    .filter((name) => changed.has(pathOf(name, location.hostname)));
  return Promise.race([
    refresh([...new Set(used)]),
    new Promise<void>((done) => timer(done, PATIENCE)),
  ]);
};

const recalled = (address: string): Memory => {
  try {
    return recall(sessionStorage, address);
  } catch {
    const [navigation] = performance.getEntriesByType('navigation');
    return unremembered(
      (navigation as PerformanceNavigationTiming | undefined)?.type === 'reload',
      Date.now(),
    );
  }
};

const start = (script: HTMLScriptElement): void => {
  const address = location.pathname + location.search;

  const client = createClient({
    page: {
      styles: createStyles(document, refresh),
      refresh: refreshUsed,
      reload(cursor, streak) {
        try {
          remember(sessionStorage, address, cursor, Date.now(), streak);
        } catch {
          // The next document will be careful.
        }
        location.reload();
      },
      active: () => !!navigator.userActivation?.hasBeenActive,
      debug,
      warn,
    },
    tag: script.dataset.cursor!,
    memory: recalled(address),
    clock: Date.now,
    timer,
  });

  // Not `script.src`, which a <base> parsed since would bend.
  const events = new URL(script.getAttribute('src')!, origin).href.replace(/\/client\.js$/, '');
  const { open, close, wake } = createConnection({
    source: () => new EventSource(`${events}?cursor=${client.cursor()}`),
    hello: guarded((data) => client.hello(JSON.parse(data)) && open()),
    message: guarded((data, cursor) => client.update(JSON.parse(data), cursor)),
    timer,
    clock: Date.now,
    random: Math.random,
  });

  const seen = (): void => {
    if (!document.hidden) wake();
  };
  addEventListener('pageshow', seen);
  addEventListener('focus', seen);
  addEventListener('visibilitychange', seen);
  addEventListener('online', open);
  // An open stream would keep the page out of the back/forward cache, or on the server.
  addEventListener('pagehide', close);
  open();
};

const script = document.currentScript as HTMLScriptElement | null;
const started = Symbol.for('starlette-hot-reload');
if (script) {
  script.remove();
  if (!(started in window)) {
    Object.defineProperty(window, started, {});
    guarded(start)(script);
  }
}
