import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { bootOf, type Change, type ToHub, type ToPage } from '../src/wire';
import { at } from './cursors';

// A page with a tag, whose parts are files of a directory.
const directory = mkdtempSync(join(tmpdir(), 'hot-reload-parts-'));
const events = pathToFileURL(directory).href;
const page = new EventTarget();
const document = Object.assign(new EventTarget(), {
  hidden: false,
  currentScript: {
    isThere: true,
    dataset: { cursor: at('a', 5) } as Record<string, string>,
    getAttribute: () => `${events}/client.js?0123abcd`,
    remove() {
      this.isThere = false;
    },
  },
});
const did: string[] = [];
const said: string[] = [];
const stored = new Map<string, string>();
const workers: FakeWorker[] = [];

class FakeWorker {
  said: ToHub[] = [];
  isClosed = false;
  onerror: (() => void) | undefined;
  port = {
    onmessage: (_: { data: ToPage }): void => undefined,
    postMessage: (message: ToHub) => this.said.push(message),
    close: () => (this.isClosed = true),
  };
  constructor(readonly url: string) {
    workers.push(this);
  }
}

const globals = {
  window: globalThis,
  document,
  location: {
    pathname: '/page',
    search: '?x',
    hostname: 'localhost',
    reload: () => did.push('reload'),
  },
  origin: 'http://localhost',
  navigator: {},
  SharedWorker: FakeWorker,
  sessionStorage: {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
  },
  addEventListener: page.addEventListener.bind(page),
  fetch: (url: string) => {
    did.push(`fetch ${url}`);
    return Promise.resolve(new Response('x'));
  },
  told: did,
};

const until = async (what: () => boolean): Promise<void> => {
  const end = Date.now() + 5000;
  while (!what()) {
    assert.ok(Date.now() < end, `${what}: ${JSON.stringify({ did, said })}`);
    await pause(5);
  }
};

const last = () => workers.at(-1)!;
const tell = (message: ToPage): void => last().port.onmessage({ data: message });
const hello = (more = {}): void =>
  tell(['hello', { boot: bootOf(at('a', 5)), cursor: at('a', 5), reload: false, ...more }]);
const change = (path: string, kind: Change['kind']): Change => ({
  path,
  url: `/${path}`,
  kind,
  op: 'modified',
});
let sequence = 6;
const save = (...changes: Change[]): void =>
  tell([
    'update',
    { type: 'reload', files: changes.map(({ path }) => path), changes },
    at('a', sequence++),
  ]);

before(async () => {
  // Those of the client run longer than the tests.
  const { setTimeout } = globalThis;
  const unheld = (...given: Parameters<typeof setTimeout>) => setTimeout(...given).unref();
  Object.assign(globalThis, { setTimeout: unheld });
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  Object.defineProperty(performance, 'getEntriesByType', {
    value: () => [
      { name: 'http://localhost/app.js?v=1' },
      { name: 'http://localhost/app.js?v=1' },
      { name: 'http://localhost/other.js' },
      { name: 'https://elsewhere.example/app.js' },
    ],
  });
  console.debug = (...words: unknown[]) => void said.push(words.join(' '));
  console.warn = (...words: unknown[]) => void said.push(`warning: ${words.join(' ')}`);
  await import('../src/main');
});
after(() => rmSync(directory, { recursive: true }));

test('the tag goes, and the worker of this very version is told where the page is', () => {
  assert.equal(document.currentScript.isThere, false);
  assert.equal(last().url, `${events}/worker.js?build`);
  assert.deepEqual(last().said, [['open', at('a', 5), '/page?x']]);
});

test('nothing is left that a page would meet', () => {
  assert.deepEqual(
    Object.keys(globalThis).filter((name) => /reload/i.test(name)),
    [],
  );
});

/** A reload waits for the server to greet the page once more. */
const whenGreeted = async (cause: () => void): Promise<void> => {
  const before = workers.length;
  const reloads = did.filter((line) => line === 'reload').length;
  cause();
  await until(() => workers.length > before);
  assert.equal(did.filter((line) => line === 'reload').length, reloads);
  hello();
  assert.equal(did.filter((line) => line === 'reload').length, reloads + 1);
};

test('a reload refreshes the cache first, keeps the scroll last, and is remembered', async () => {
  writeFileSync(
    join(directory, 'leave.js'),
    `export const refreshUsed = async (changes) => told.push('refresh ' + changes[0].path);
     export const keepScroll = (store, document, address) => told.push('keep ' + address);
     export const restoreScroll = (store, document, address) => told.push('restore ' + address);`,
  );
  hello();
  await whenGreeted(() => save(change('app.js', 'script')));
  assert.deepEqual(did, ['refresh app.js', 'keep /page?x', 'reload']);
  assert.match([...stored.values()].join(), new RegExp(`${at('a', 6)}$`));
});

test('a part that is not there is done without', async () => {
  save(change('site.css', 'css'));
  await until(() => said.includes('[hot reload] reload: site.css'));
});

test('a part is loaded when it is needed, and once', async () => {
  writeFileSync(
    join(directory, 'swap.js'),
    `told.push('loaded swap');
     export const createSwap = (document, refresh) => async (changes, mark) => {
       told.push('swap ' + changes.map(({ path }) => path) + ' ' + mark.slice(-1));
       return 'swapped';
     };`,
  );
  const events: object[] = [];
  document.addEventListener('hot-reload:updated', (event) =>
    events.push((event as CustomEvent).detail),
  );
  save(change('site.css', 'css'));
  await until(() => did.includes('swap site.css 8'));
  save(change('a.png', 'image'));
  await until(() => did.includes('swap a.png 9'));
  assert.equal(did.filter((line) => line === 'loaded swap').length, 1);
  await until(() => events.length === 2);
  assert.deepEqual(events[0], { kind: 'swap', changes: [change('site.css', 'css')] });
});

test('a morph can be forbidden, and is made otherwise', async () => {
  writeFileSync(
    join(directory, 'morph.js'),
    `export const createMorph = () => async () => (told.push('morph'), 'morphed');`,
  );
  hello({ morph: true });
  let forbids = true;
  document.addEventListener('hot-reload:before-morph', (event) => {
    did.push(`asked for ${(event as CustomEvent).detail.changes[0].path}`);
    if (forbids) event.preventDefault();
  });
  save(change('index.html', 'other'));
  await until(() => did.includes('asked for index.html'));
  forbids = false;
  save(change('second.html', 'other'));
  await until(() => did.includes('morph'));
  assert.equal(did.filter((line) => line === 'morph').length, 1);
  hello();
});

test('what is wrong is shown, and goes', async () => {
  writeFileSync(
    join(directory, 'notice.js'),
    `export const createNotice = () => ({
       show: (text) => told.push('show ' + text),
       hide: () => told.push('hide'),
     });`,
  );
  tell(['away']);
  await until(() => did.some((line) => line.startsWith('show the server')));
  hello();
  await until(() => did.includes('hide'));
});

test('a page that is looked at says so, a hidden one does not', () => {
  const count = last().said.length;
  document.hidden = true;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(last().said.length, count);
  document.hidden = false;
  for (const name of ['visibilitychange', 'focus', 'pageshow', 'online'])
    page.dispatchEvent(new Event(name));
  assert.deepEqual(
    last().said.slice(count),
    Array.from({ length: 4 }, () => ['wake']),
  );
});

test('what goes wrong in the client is not thrown into the page', () => {
  tell(['update', null as never, at('a', 99)]);
  assert.match(said.at(-1)!, /^warning: \[hot reload\] TypeError/);
});

test('a page that goes lets go of the worker, and comes back where it was', () => {
  page.dispatchEvent(new Event('pagehide'));
  assert.deepEqual(last().said.at(-1), ['close']);
  assert.ok(last().isClosed);
  const before = workers.length;
  page.dispatchEvent(new Event('pageshow'));
  assert.equal(workers.length, before + 1);
  assert.deepEqual(last().said, [['open', at('a', sequence - 1), '/page?x']]);
});

test('without a worker the page does without', async () => {
  writeFileSync(
    join(directory, 'share.js'),
    `export const share = (events, build) => (deliver) => (message) =>
       told.push(['share', build, events, ...message].join(' '));`,
  );
  last().onerror!();
  await until(() => did.some((line) => line.startsWith('share build')));
  assert.ok(did.includes(`share build ${events} open ${at('a', sequence - 1)} /page?x`));
  page.dispatchEvent(new Event('pagehide'));
});
