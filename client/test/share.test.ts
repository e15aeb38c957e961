import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHub } from '../src/hub';
import { createShare, share } from '../src/share';
import { bootOf, type ToHub, type ToPage } from '../src/wire';
import { at } from './cursors';
import { FakeSource, fakeTimers, settled } from './fakes';

/** The locks and channels of one browser, and one server. */
const browser = () => {
  const sources: FakeSource[] = [];
  const channels = new Set<FakeChannel>();
  type Request = {
    held: () => Promise<void> | void;
    done: (value?: unknown) => void;
    fail: (reason: unknown) => void;
  };
  let holder: Request | undefined;
  let queue: Request[] = [];
  let steals = 0;
  const grant = (request: Request): void => {
    holder = request;
    void Promise.resolve()
      .then(request.held)
      .then(() => {
        if (holder !== request) return;
        holder = undefined;
        request.done();
        if (queue.length) grant(queue.shift()!);
      });
  };
  const abort = () => new DOMException('', 'AbortError');
  const lock = ({ signal, steal }: LockOptions, held: Request['held']): Promise<unknown> =>
    new Promise((done, fail) => {
      const request = { held, done, fail };
      if (steal) {
        steals++;
        const old = holder;
        grant(request);
        // As browsers do it: the new one leads before the old one knows.
        const later = (ticks: number): void =>
          ticks ? queueMicrotask(() => later(ticks - 1)) : old?.fail(abort());
        later(9);
      } else if (holder) {
        queue.push(request);
        signal!.addEventListener('abort', () => {
          queue = queue.filter((other) => other !== request);
          fail(abort());
        });
      } else grant(request);
    });
  class FakeChannel {
    onmessage: BroadcastChannel['onmessage'] = null;
    constructor() {
      channels.add(this);
    }
    postMessage(data: unknown): void {
      for (const channel of channels)
        if (channel !== this)
          queueMicrotask(() => channel.onmessage?.call(channel as never, { data } as MessageEvent));
    }
    close(): void {
      channels.delete(this);
      this.onmessage = null;
    }
  }
  let pages = 0;
  const page = (sequence: number, given: Partial<Parameters<typeof createShare>[0]> = {}) => {
    const name = `p${pages++}`;
    const heard: string[] = [];
    const state = { cursor: at('a', sequence) };
    const way = createShare({
      hub: () =>
        createHub({
          source(cursor) {
            const source = new FakeSource(cursor);
            sources.push(source);
            return source;
          },
          timer: fakeTimers().timer,
          clock: () => 0,
          random: () => 0,
        }),
      channel: () => new FakeChannel(),
      lock,
      seen: () => false,
      name,
      ...given,
    });
    const join = () => {
      const send = way((message: ToPage) => {
        if (message[0] === 'who') send(['open', state.cursor]);
        if (message[0] === 'hello') heard.push(`hello${message[1].reload ? ' reload' : ''}`);
        if (message[0] !== 'update') return;
        if (message[2] <= state.cursor) return;
        state.cursor = message[2];
        heard.push(`${message[1].files}`);
      }, assert.fail);
      return send;
    };
    let send: (message: ToHub) => void;
    return {
      heard,
      state,
      open() {
        send = join();
        send(['open', state.cursor]);
      },
      wake: () => send(['wake']),
      close: () => send(['close']),
    };
  };
  const live = () => sources.filter(({ closed }) => !closed);
  const only = (): FakeSource => {
    assert.equal(live().length, 1, 'one stream');
    return live()[0]!;
  };
  return {
    page,
    live,
    only,
    sources,
    hello: (cursor = at('a', 5)) =>
      only().greet(JSON.stringify({ boot: bootOf(cursor), cursor, reload: false })),
    send: (file: string, sequence: number) =>
      only().send(JSON.stringify({ type: 'css', files: [file], changes: [] }), at('a', sequence)),
    channels,
    queued: () => queue.length,
    steals: () => steals,
  };
};

const several = async (count: number) => {
  const made = browser();
  const pages = Array.from({ length: count }, () => made.page(5));
  for (const page of pages) page.open();
  await settled();
  return { ...made, pages };
};

test('pages share the stream of the one that leads', async () => {
  const { pages, hello, send } = await several(4);
  hello();
  await settled();
  send('x.css', 6);
  await settled();
  for (const { heard } of pages) assert.deepEqual(heard, ['hello', 'x.css']);
});

test('a leader that goes takes nothing with it', async () => {
  const { pages, hello, send, only } = await several(3);
  hello();
  await settled();
  send('x.css', 6);
  await settled();
  pages[0]!.close();
  await settled();
  assert.equal(only().cursor, at('a', 6));
  hello();
  await settled();
  send('y.css', 7);
  await settled();
  assert.deepEqual(pages[0]!.heard, ['hello', 'x.css']);
  for (const { heard } of pages.slice(1))
    assert.deepEqual(heard, ['hello', 'x.css', 'hello', 'y.css']);
});

test('what one page lacks when the leader goes is asked for', async () => {
  const { pages, hello, send, sources } = await several(3);
  hello();
  await settled();
  send('x.css', 6);
  await settled();
  pages[2]!.state.cursor = at('a', 5);
  pages[0]!.close();
  await settled();
  hello();
  await settled();
  assert.equal(sources.at(-1)!.cursor, at('a', 5));
  hello();
  send('x.css', 6);
  await settled();
  assert.deepEqual(pages[2]!.heard.slice(-2), ['hello', 'x.css']);
  assert.equal(pages[1]!.heard.filter((word) => word === 'x.css').length, 1);
});

test('a page that is looked at takes the lead, and the stream with it', async () => {
  const { pages, hello, send, only, steals } = await several(3);
  hello();
  const first = only();
  pages[2]!.wake();
  pages[2]!.wake();
  await settled();
  assert.equal(steals(), 1);
  assert.notEqual(only(), first);
  hello();
  await settled();
  send('x.css', 6);
  await settled();
  for (const { heard } of pages) assert.equal(heard.at(-1), 'x.css');
});

test('a leader that is looked at stays the leader', async () => {
  const { pages, hello, sources } = await several(2);
  hello();
  pages[0]!.wake();
  await settled();
  assert.equal(sources.length, 1);
});

test('the lead can change hands again and again, and nobody waits for it twice', async () => {
  const { pages, only, hello, queued } = await several(3);
  hello();
  for (let n = 0; n < 9; n++) {
    pages[(n + 1) % 3]!.wake();
    await settled();
    only();
    hello();
    await settled();
  }
  assert.ok(queued() <= 3);
  pages[0]!.close();
  pages[1]!.close();
  await settled();
  only();
});

test('the last page that goes ends the stream, and leaves nothing behind', async () => {
  const { pages, live, channels, queued } = await several(3);
  for (const page of pages) page.close();
  await settled();
  assert.deepEqual([live().length, channels.size, queued()], [0, 0, 0]);
});

test('a page that comes back takes part again', async () => {
  const { pages, hello, send } = await several(2);
  hello();
  pages[0]!.close();
  await settled();
  hello();
  pages[0]!.open();
  await settled();
  send('x.css', 6);
  await settled();
  assert.equal(pages[0]!.heard.at(-1), 'x.css');
});

test('a page that goes before it leads does not lead', async () => {
  const made = browser();
  const page = made.page(5);
  page.open();
  page.close();
  await settled();
  assert.equal(made.live().length, 0);
});

test('a page that goes as it takes the lead does not lead', async () => {
  const { pages, only } = await several(2);
  const first = only();
  pages[1]!.wake();
  pages[1]!.close();
  await settled();
  await settled();
  assert.notEqual(only(), undefined);
  assert.ok(only() === first || first.closed);
});

test('a page that comes back and is looked at at once leads, although it asks twice', async () => {
  const made = browser();
  const page = made.page(5);
  page.open();
  page.wake();
  await settled();
  made.only();
  made.hello();
  made.send('x.css', 6);
  await settled();
  assert.equal(page.heard.at(-1), 'x.css');
});

test('a page that is looked at when it comes leads at once, with one stream', async () => {
  const { page, only, sources, steals } = browser();
  page(5).open();
  await settled();
  const seen = page(5, { seen: () => true });
  seen.open();
  seen.wake();
  await settled();
  assert.equal(only(), sources[1]);
  assert.equal(sources.length, 2);
  assert.equal(steals(), 1);
});

test('a page that is looked at and refused every lock has a stream of its own', async () => {
  const { page, only } = browser();
  page(5, { seen: () => true, lock: () => Promise.reject(new Error()) }).open();
  await settled();
  only();
});

test('a lock that is taken away before it is given leads nobody, and is asked for again', async () => {
  const { page, live, only } = browser();
  const requests: { held: () => unknown; fail: (reason: unknown) => void }[] = [];
  const robbed = page(5, {
    seen: () => true,
    lock: (_, held) => new Promise((_, fail) => requests.push({ held, fail })),
  });
  robbed.open();
  for (let n = 0; n < 3; n++) {
    await settled();
    assert.equal(requests.length, n + 1);
    requests[n]!.fail(new DOMException('', 'AbortError'));
    await settled();
    requests[n]!.held();
    await settled();
    assert.equal(live().length, 0);
  }
  requests[3]!.held();
  await settled();
  only();
});

for (const [what, given] of Object.entries({
  'without a channel': {
    channel: () => {
      throw new Error();
    },
  },
  'without locks': {
    lock: () => {
      throw new Error();
    },
  },
  'where locks are refused': { lock: () => Promise.reject(new Error()) },
}))
  test(`${what} a page has a stream of its own`, async () => {
    const { page, hello, send, live } = browser();
    const one = page(5, given);
    one.open();
    await settled();
    hello();
    send('x.css', 6);
    await settled();
    assert.deepEqual([...new Set(one.heard)], ['hello', 'x.css']);
    one.wake();
    one.close();
    await settled();
    assert.equal(live().length, 0);
  });

test('in a page it takes the browser’s own lock, and streams', async () => {
  const { sources } = browser();
  const locks: string[] = [];
  const request = async (name: string, _: LockOptions, held: () => Promise<void> | void) => {
    locks.push(name);
    await held();
  };
  Object.defineProperty(globalThis, 'navigator', {
    value: { locks: { request } },
    configurable: true,
  });
  Object.assign(globalThis, {
    document: { hidden: true },
    addEventListener: () => undefined,
    EventSource: class extends FakeSource {
      constructor(url: string) {
        super(url);
        sources.push(this);
      }
    },
  });
  const heard: string[] = [];
  const send = share('http://localhost/events', 'build')(([word]) => {
    heard.push(word);
    if (word === 'who') send(['open', at('a', 5)]);
  }, assert.fail);
  send(['open', at('a', 5)]);
  assert.match(locks.join(), /events build$/);
  assert.equal(sources[0]!.cursor, `http://localhost/events?cursor=${at('a', 5)}`);
  assert.ok(heard.includes('here'));
  send(['close']);
  assert.ok(sources[0]!.closed);
});
