import { createCarrier, type Way } from './carrier';
import { createClient } from './client';
import { isWebKit } from './engine';
import { isScrolled, recall, remember, unremembered, type Memory } from './memory';

/** Names this version of all parts; put in by the build. */
declare const BUILD: string;

/** A reload does not wait longer for what it needs besides, in milliseconds. */
const PATIENCE = 1000;

const debug = (text: string): void => console.debug('[hot reload]', text);
const warn = (text: unknown): void => console.warn('[hot reload]', text);

const timer = (task: () => void, milliseconds: number): (() => void) => {
  const id = setTimeout(task, milliseconds);
  return () => clearTimeout(id);
};

/** Nothing of ours is thrown into the page. */
const guarded =
  <Arguments extends unknown[], Result>(task: (...given: Arguments) => Result) =>
  (...given: Arguments): Result | undefined => {
    try {
      return task(...given);
    } catch (error) {
      warn(error);
      return undefined;
    }
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
  // What a morph starts from: the page before deferred scripts, its root before any. Only a tag that
  // the parser waits for comes in time.
  const original = { address, markup: '' };
  if (!script.async && document.readyState === 'loading') {
    const root = document.documentElement;
    const { outerHTML } = root.cloneNode() as Element;
    document.addEventListener(
      'readystatechange',
      () => (original.markup = outerHTML.slice(0, -7) + root.innerHTML),
      { once: true },
    );
  }
  // Not `script.src`, which a <base> parsed since would bend.
  const events = new URL(script.getAttribute('src')!, origin).href.replace(/\/[^/]*$/, '');

  /** A part of the client; one that could not be had is asked for again the next time. */
  const parts = new Map<string, Promise<any>>();
  let attempts = 0;
  const part = <Made>(name: string, make: (exported: any) => Made): Promise<Made> => {
    const known = parts.get(name);
    if (known) return known;
    // Some browsers remember that an address failed.
    const made = import(`${events}/${name}.js?${BUILD}${attempts || ''}`).then(make);
    parts.set(name, made);
    made.catch(() => {
      attempts++;
      parts.delete(name);
    });
    return made;
  };

  const leaving = (): Promise<typeof import('./leave')> => part('leave', (exported) => exported);

  const dispatch = (name: string, detail: object, cancelable = false): boolean =>
    document.dispatchEvent(new CustomEvent(`hot-reload:${name}`, { detail, cancelable }));

  const worker: Way = (deliver, fail) => {
    // The page's policy would refuse it, and report that. WebKit ends it with the page whose process
    // runs it, and does not connect all others to the next.
    if ('share' in script.dataset || isWebKit()) throw new Error();
    const shared = new SharedWorker(`${events}/worker.js?${BUILD}`);
    shared.onerror = fail;
    shared.port.onmessage = ({ data }) => deliver(data);
    return (message) => {
      shared.port.postMessage(message);
      // What stays open may keep the page out of the back/forward cache.
      if (message[0] === 'close') shared.port.close();
    };
  };

  /**
   * Reloads, once the server has greeted: a document that is asked for in vain becomes the browser's
   * error page, or a proxy's, where there is no client.
   */
  let leave: (() => void) | undefined;
  let keep = (): void => undefined;

  const client = createClient({
    page: {
      swap: async (changes, mark) =>
        (await part('swap', ({ createSwap }) => createSwap(document)))(changes, mark),
      morph: async (before) =>
        (await part('morph', ({ createMorph }) => createMorph(document, original)))(before),
      mayMorph: (changes) => dispatch('before-morph', { changes }, true),
      updated: (kind, changes) => dispatch('updated', { kind, changes }),
      refresh: (changes) =>
        Promise.race([
          leaving().then(({ keepScroll, refreshUsed }) => {
            keep = () => keepScroll(sessionStorage, document, address);
            return refreshUsed(changes);
          }),
          new Promise<void>((done) => timer(done, PATIENCE)),
        ]).catch(() => 0),
      reload(cursor, streak) {
        leave = () => {
          try {
            remember(sessionStorage, address, cursor, Date.now(), streak);
            keep();
          } catch {
            // The next document will be careful.
          }
          location.reload();
        };
        open();
      },
      active: () => !!navigator.userActivation?.hasBeenActive,
      debug,
      warn,
      notice(text) {
        // Once connected it is fetched ahead, since it is needed when there is no server.
        part('notice', ({ createNotice }) => createNotice(document)).then(
          guarded((notice) => (text ? notice.show(text) : notice.hide())),
          () => 0,
        );
      },
    },
    tag: script.dataset.cursor!,
    memory: recalled(address),
    clock: Date.now,
    timer,
  });

  const { open, close, wake } = createCarrier({
    worker,
    share: () => part('share', ({ share }) => share(events, BUILD)),
    cursor: client.cursor,
    address,
    hello: guarded((hello) => {
      if (!leave) return client.hello(hello);
      leave();
      return (leave = undefined);
    }),
    update: guarded(client.update),
    away: client.away,
    timer,
    random: Math.random,
  });

  const restore = async (): Promise<unknown> =>
    isScrolled(sessionStorage, address) &&
    (await leaving()).restoreScroll(sessionStorage, document, address);

  const seen = (): void => {
    if (document.hidden) return;
    wake();
    client.seen();
  };
  addEventListener('pageshow', wake);
  addEventListener('focus', seen);
  addEventListener('visibilitychange', seen);
  addEventListener('online', seen);
  // An open stream would keep the page out of the back/forward cache, or on the server.
  addEventListener('pagehide', close);
  open();
  restore().catch(() => 0);
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
