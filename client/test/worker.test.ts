import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { bootOf, type ToHub, type ToPage } from '../src/wire';
import { at } from './cursors';
import { FakeSource, settled } from './fakes';

const scope = new EventTarget();
const sources: FakeSource[] = [];

const connect = () => {
  const heard: ToPage[] = [];
  const port = Object.assign(new EventTarget(), {
    onmessage: (_: { data: ToHub }): void => undefined,
    postMessage: (message: ToPage) => heard.push(message),
  });
  scope.dispatchEvent(Object.assign(new Event('connect'), { ports: [port] }));
  const say = (message: ToHub): void => port.onmessage({ data: message });
  return { heard, say, vanish: () => port.dispatchEvent(new Event('close')) };
};

before(async () => {
  Object.assign(globalThis, {
    addEventListener: scope.addEventListener.bind(scope),
    location: { href: 'http://localhost/sub/events/worker.js?build' },
    EventSource: class extends FakeSource {
      constructor(url: string) {
        super(url);
        sources.push(this);
      }
    },
  });
  await import('../src/worker');
});

test('pages that connect share a stream below the address of the worker', () => {
  const pages = [connect(), connect()];
  for (const { say } of pages) say(['open', at('a', 5)]);
  assert.deepEqual(
    sources.map(({ cursor }) => cursor),
    [`http://localhost/sub/events?cursor=${at('a', 5)}`],
  );
  const hello = { boot: bootOf(at('a', 5)), cursor: at('a', 5), reload: false };
  sources[0]!.greet(JSON.stringify(hello));
  for (const { heard } of pages) assert.deepEqual(heard, [['here'], ['hello', hello]]);
});

test('a stream that ends is opened again', async () => {
  sources[0]!.fail();
  const end = Date.now() + 5000;
  while (sources.length < 2) {
    assert.ok(Date.now() < end);
    await new Promise((done) => setTimeout(done, 5));
  }
});

test('a network that is back makes a new stream', () => {
  scope.dispatchEvent(new Event('online'));
  assert.equal(sources.length, 3);
  assert.equal(sources.filter(({ closed }) => !closed).length, 1);
  sources[2]!.fail();
});

test('the server is told of the pages when it asks, at the address of the streams', async () => {
  const posts: { url: string; init: RequestInit }[] = [];
  Object.assign(globalThis, {
    fetch: async (url: string, init: RequestInit) => {
      posts.push({ url, init });
      return { status: 204 };
    },
  });
  connect().say(['open', at('a', 5), '/page']);
  sources.at(-1)!.tell('who', '"name"');
  await settled();
  assert.equal(posts[0]!.url, 'http://localhost/sub/events');
  assert.equal(posts[0]!.init.method, 'POST');
  assert.deepEqual(posts[0]!.init.headers, { 'content-type': 'application/json' });
  const { stream, pages } = JSON.parse(posts[0]!.init.body as string);
  assert.equal(stream, 'name');
  assert.ok(pages.includes('/page'));
});

test('a page that goes without a word is not there any more', async () => {
  const told: string[][] = [];
  Object.assign(globalThis, {
    fetch: async (_: string, { body }: RequestInit) => {
      told.push(JSON.parse(body as string).pages);
      return { status: 204 };
    },
  });
  const page = connect();
  page.say(['open', at('a', 5), '/gone']);
  page.vanish();
  sources.at(-1)!.tell('who', '"name"');
  await settled();
  assert.equal(told.length, 1);
  assert.ok(!told[0]!.includes('/gone'));
});
