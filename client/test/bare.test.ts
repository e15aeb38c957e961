// A page that has neither a storage nor a worker, and knows that its policy refuses one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { bootOf, type ToHub, type ToPage } from '../src/wire';
import { at } from './cursors';

const directory = mkdtempSync(join(tmpdir(), 'hot-reload-bare-'));
after(() => rmSync(directory, { recursive: true }));

test('it shares, reloads, and is careful after a reload', async () => {
  const did: string[] = [];
  const page = new EventTarget();
  let deliver: ((message: ToPage) => void) | undefined;
  const said: ToHub[] = [];
  const { setTimeout } = globalThis;
  const globals = {
    setTimeout: (...given: Parameters<typeof setTimeout>) => setTimeout(...given).unref(),
    window: globalThis,
    document: Object.assign(new EventTarget(), {
      hidden: false,
      currentScript: {
        dataset: { cursor: at('a', 5), share: '' },
        getAttribute: () => `${pathToFileURL(directory).href}/client.js`,
        remove: () => undefined,
      },
    }),
    location: {
      pathname: '/',
      search: '',
      hostname: 'localhost',
      reload: () => did.push('reload'),
    },
    origin: 'http://localhost',
    navigator: {},
    SharedWorker: class {
      constructor() {
        did.push('worker');
      }
    },
    addEventListener: page.addEventListener.bind(page),
    joined(given: typeof deliver) {
      deliver = given;
      return (message: ToHub) => said.push(message);
    },
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  Object.defineProperty(globalThis, 'sessionStorage', {
    get() {
      throw new DOMException('denied', 'SecurityError');
    },
  });
  Object.defineProperty(performance, 'getEntriesByType', {
    value: (type: string) => (type === 'navigation' ? [{ type: 'navigate' }] : []),
  });
  console.debug = console.warn = () => undefined;
  writeFileSync(join(directory, 'share.js'), 'export const share = () => joined;');
  await import('../src/main');

  const end = Date.now() + 5000;
  while (!said.length && Date.now() < end) await pause(5);
  assert.deepEqual(said, [['open', at('a', 5), '/']]);
  deliver!(['hello', { boot: bootOf(at('b', 1)), cursor: at('b', 1), reload: true }]);
  while (said.length < 3 && Date.now() < end) await pause(5);
  assert.deepEqual(did, [], 'the server has not greeted the page once more');
  deliver!(['hello', { boot: bootOf(at('b', 1)), cursor: at('b', 1), reload: false }]);
  assert.deepEqual(did, ['reload'], 'and no worker was tried');
  page.dispatchEvent(new Event('pagehide'));
});
