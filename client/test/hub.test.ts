import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHub } from '../src/hub';
import { bootOf, type Change, type ToHub, type ToPage, type Update } from '../src/wire';
import { at } from './cursors';
import { FakeSource, fakeTimers } from './fakes';

const update = (name: string, type: Update['type'] = 'reload'): Update => ({
  type,
  files: [name],
  changes: [{ path: name, url: null, kind: 'other', op: 'modified' } satisfies Change],
});

const shown = (message: ToPage): string => {
  if (message[0] === 'hello')
    return `hello ${name(message[1].cursor)}${message[1].reload ? ' reload' : ''}`;
  if (message[0] === 'update') return `${message[1].files} ${name(message[2])}`;
  return message[0];
};

const name = (cursor: string): string =>
  `${cursor[0]}${Number.parseInt(cursor.split('.')[1]!, 16)}`;

const setup = () => {
  const sources: FakeSource[] = [];
  const { timer, live, fire } = fakeTimers();
  const hub = createHub({
    source(cursor) {
      const source = new FakeSource(cursor);
      sources.push(source);
      return source;
    },
    timer,
    clock: () => 0,
    random: () => 0,
  });
  const page = () => {
    const heard: string[] = [];
    const receive = hub.join((message) => heard.push(shown(message)));
    return {
      say: (...message: [word: 'close' | 'wake'] | [word: 'open', cursor: string]) =>
        receive(message as ToHub),
      /** What was heard since the last look, apart from the signs of life. */
      heard: () => heard.splice(0).filter((message) => message !== 'here'),
      all: () => heard.splice(0),
    };
  };
  const opened = (cursor?: string) => {
    const made = page();
    made.say('open', cursor ?? at('a', 5));
    return made;
  };
  const last = () => sources.at(-1)!;
  return {
    hub,
    page,
    opened,
    sources,
    last,
    /** Where the streams began, so far. */
    begun: () => sources.map(({ cursor }) => name(cursor)),
    open: () => sources.filter(({ closed }) => !closed).length,
    hello: (cursor: string, reload = false, more = {}) =>
      last().greet(JSON.stringify({ boot: bootOf(cursor), cursor, reload, ...more })),
    send: (text: string, cursor: string, type?: Update['type']) =>
      last().send(JSON.stringify(update(text, type)), cursor),
    live,
    fire,
    /** The pause before the next try ends. */
    retry: () => fire((delay) => delay !== 1000),
    /** The stream has been gone for a second. */
    second: () => fire((delay) => delay === 1000),
  };
};

test('no page, no stream', () => {
  const { page, sources, hub } = setup();
  page().say('wake');
  hub.renew();
  assert.equal(sources.length, 0);
});

test('a page hears at once that there is a hub', () => {
  const { opened } = setup();
  assert.deepEqual(opened().all(), ['here']);
});

test('the first page begins the stream where it is', () => {
  const { opened, hello, begun } = setup();
  const one = opened(at('a', 7));
  assert.deepEqual(begun(), ['a7']);
  hello(at('a', 9));
  assert.deepEqual(one.heard(), ['hello a7']);
});

test('it knows which pages are open, and says when that changes', () => {
  let changes = 0;
  const hub = createHub({
    source: () => new FakeSource(),
    changed: () => changes++,
    timer: () => () => undefined,
    clock: () => 0,
    random: () => 0,
  });
  const [one, two, silent] = [1, 2, 3].map(() => hub.join(() => undefined));
  one!(['open', at('a', 5), '/one?x']);
  two!(['open', at('a', 5), '/two']);
  silent!(['open', at('a', 5)]);
  assert.deepEqual(hub.pages(), ['/one?x', '/two']);
  one!(['close']);
  assert.deepEqual(hub.pages(), ['/two']);
  assert.equal(changes, 4);
});

test('all pages share one stream', () => {
  const { opened, hello, send, sources } = setup();
  const pages = [5, 6, 7, 8].map((sequence) => opened(at('a', sequence)));
  hello(at('a', 9));
  pages.push(opened(at('a', 9)));
  send('x', at('a', 10));
  for (const { heard } of pages) assert.deepEqual(heard(), ['hello a5', 'x a10']);
  assert.equal(sources.length, 1);
});

test('everything in the hello reaches the page', () => {
  const { hub, hello } = setup();
  const heard: ToPage[] = [];
  hub.join((message) => heard.push(message))(['open', at('a', 5)]);
  hello(at('a', 5), false, { morph: true });
  assert.deepEqual(heard.at(-1), [
    'hello',
    { boot: bootOf(at('a', 5)), cursor: at('a', 5), reload: false, morph: true },
  ]);
});

test('a page that comes later gets what it lacks, in order, and nothing else', () => {
  const { opened, hello, send, sources } = setup();
  opened();
  hello(at('a', 5));
  [6, 7, 8].forEach((sequence) => send(`u${sequence}`, at('a', sequence)));
  assert.deepEqual(opened(at('a', 6)).heard(), ['hello a8', 'u7 a7', 'u8 a8']);
  assert.deepEqual(opened(at('a', 8)).heard(), ['hello a8']);
  assert.equal(sources.length, 1);
});

test('what comes while a page waits is not told before its greeting', () => {
  const { opened, hello, send, begun } = setup();
  opened();
  hello(at('a', 5));
  const old = opened(at('a', 3));
  assert.deepEqual(begun(), ['a5', 'a3']);
  hello(at('a', 3));
  send('u', at('a', 6));
  assert.deepEqual(old.heard(), ['hello a3', 'u a6']);
});

test('for a page older than all that is kept the stream goes back, and nobody loses', () => {
  const { opened, hello, send, begun, open } = setup();
  const one = opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  const old = opened(at('a', 2));
  assert.deepEqual(begun(), ['a5', 'a2']);
  assert.equal(open(), 1);
  hello(at('a', 2));
  send('t+u', at('a', 6));
  send('v', at('a', 7));
  assert.deepEqual(old.heard(), ['hello a2', 't+u a6', 'v a7']);
  assert.deepEqual(one.heard(), ['hello a5', 'u a6', 'hello a2', 't+u a6', 'v a7']);
});

test('a stream that breaks on its way back goes on from there', () => {
  const { opened, hello, send, begun, last, retry } = setup();
  opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  const old = opened(at('a', 2));
  hello(at('a', 2));
  last().fail();
  retry();
  assert.deepEqual(begun(), ['a5', 'a2', 'a2']);
  hello(at('a', 2));
  send('t+u', at('a', 6));
  assert.deepEqual(old.heard(), ['hello a2', 'hello a2', 't+u a6']);
});

test('the oldest of those that wait decides where the stream begins', () => {
  const { opened, hello, begun } = setup();
  const first = opened(at('a', 5));
  const pages = [3, 8, 4].map((sequence) => opened(at('a', sequence)));
  hello(at('a', 9));
  assert.deepEqual(begun(), ['a5', 'a3']);
  hello(at('a', 3));
  assert.deepEqual(
    pages.map(({ heard }) => heard()),
    [['hello a3'], ['hello a5', 'hello a3'], ['hello a3']],
  );
  assert.deepEqual(first.heard(), ['hello a5', 'hello a3']);
});

test('a page too old for the server is told so, and the others are not disturbed', () => {
  const { opened, hello, send, begun } = setup();
  const one = opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  one.heard();
  const old = opened(at('a', 2));
  hello(at('a', 9), true);
  assert.deepEqual(old.heard(), ['hello a9 reload']);
  assert.deepEqual(one.heard(), []);
  assert.deepEqual(begun(), ['a5', 'a2', 'a6']);
  hello(at('a', 6));
  send('v', at('a', 10));
  assert.deepEqual(one.heard(), ['hello a6', 'v a10']);
  assert.deepEqual(old.heard(), ['hello a6', 'v a10']);
});

test('of several too old pages each is asked for', () => {
  const { opened, hello, begun } = setup();
  opened();
  hello(at('a', 5));
  const oldest = opened(at('a', 2));
  const older = opened(at('a', 3));
  hello(at('a', 9), true);
  assert.deepEqual(begun(), ['a5', 'a2', 'a3']);
  hello(at('a', 3));
  assert.deepEqual(oldest.heard(), ['hello a9 reload', 'hello a3']);
  assert.deepEqual(older.heard(), ['hello a3']);
});

test('a stream that ends goes on where it was, and nothing is told twice', () => {
  const { opened, hello, send, begun, last, retry } = setup();
  const one = opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  last().fail();
  retry();
  assert.deepEqual(begun(), ['a5', 'a6']);
  hello(at('a', 9));
  send('v', at('a', 10));
  assert.deepEqual(one.heard(), ['hello a5', 'u a6', 'hello a6', 'v a10']);
});

test('what was kept before the stream ended is there after it', () => {
  const { opened, hello, send, last, retry } = setup();
  opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  last().fail();
  const two = opened(at('a', 5));
  hello(at('a', 6));
  assert.deepEqual(two.heard(), ['hello a6', 'u a6']);
  assert.throws(retry);
});

test('a server that started again is told of to everybody, once', () => {
  const { opened, hello, last, retry, begun } = setup();
  const pages = [opened(), opened()];
  hello(at('a', 5));
  last().fail();
  retry();
  hello(at('b', 9), true);
  for (const { heard } of pages) assert.deepEqual(heard(), ['hello a5', 'hello b9 reload']);
  last().fail();
  retry();
  hello(at('b', 9));
  for (const { heard } of pages) assert.deepEqual(heard(), ['hello b9']);
  assert.deepEqual(begun(), ['a5', 'a5', 'b9']);
});

test('a journal that forgot tells everybody', () => {
  const { opened, hello, last, retry } = setup();
  const one = opened();
  hello(at('a', 5));
  last().fail();
  retry();
  hello(at('a', 900), true);
  assert.deepEqual(one.heard(), ['hello a5', 'hello a900 reload']);
});

test('a journal that forgot in the middle of a stream tells everybody', () => {
  const { opened, hello, send } = setup();
  const one = opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  hello(at('a', 900), true);
  send('v', at('a', 901));
  assert.deepEqual(one.heard(), ['hello a5', 'u a6', 'hello a900 reload', 'v a901']);
});

test('a page of a newer boot is not reloaded, although the hub has not met its server yet', () => {
  const { opened, hello, send, begun } = setup();
  const one = opened();
  hello(at('a', 5));
  const fresh = opened(at('b', 3));
  assert.deepEqual(begun(), ['a5', 'b3']);
  hello(at('b', 4));
  assert.deepEqual(fresh.heard(), ['hello b3']);
  assert.deepEqual(one.heard(), ['hello a5', 'hello b4 reload']);
  send('u', at('b', 6));
  assert.deepEqual(fresh.heard(), ['u b6']);
});

test('a page of another boot than its server is told so, and the others lose nothing', () => {
  const { opened, hello, send, begun } = setup();
  const one = opened();
  hello(at('a', 5));
  const stale = opened(at('z', 99));
  hello(at('a', 7), true);
  assert.deepEqual(stale.heard(), ['hello a7 reload']);
  assert.deepEqual(begun(), ['a5', 'z99', 'a5']);
  hello(at('a', 5));
  send('u', at('a', 6));
  assert.deepEqual(one.heard(), ['hello a5', 'hello a5', 'u a6']);
});

test('a page that asks again at what it was reloaded for is greeted there', () => {
  const { opened, hello, send, begun } = setup();
  opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  const stale = opened(at('z', 99));
  hello(at('a', 7), true);
  stale.say('open', at('a', 5));
  hello(at('a', 6));
  assert.deepEqual(stale.heard(), ['hello a7 reload', 'hello a6', 'u a6']);
  assert.deepEqual(begun(), ['a5', 'z99', 'a6']);
});

test('pages of three boots settle on that of the server', () => {
  const { opened, hello, begun } = setup();
  const pages = [opened(at('a', 5)), opened(at('b', 5)), opened(at('c', 5))];
  hello(at('c', 9), true);
  assert.deepEqual(pages[0]!.heard(), ['hello c9 reload']);
  assert.deepEqual(pages[1]!.heard(), ['hello c9 reload']);
  assert.deepEqual(begun(), ['a5', 'c5']);
  hello(at('c', 9));
  assert.deepEqual(pages[2]!.heard(), ['hello c5']);
});

test('what the hub keeps is bounded, and what it dropped it knows to ask for', () => {
  const { opened, hello, send, begun } = setup();
  opened();
  hello(at('a', 5));
  for (let sequence = 6; sequence <= 106; sequence++) send('u', at('a', sequence));
  assert.equal(opened(at('a', 6)).heard().length, 101);
  assert.deepEqual(begun(), ['a5']);
  opened(at('a', 5));
  assert.deepEqual(begun(), ['a5', 'a5']);
});

test('the last word of the server is no update', () => {
  const { opened, hello, send, last, retry, begun } = setup();
  const one = opened();
  hello(at('a', 9));
  send('', at('a', 9), 'shutdown');
  assert.deepEqual(one.heard(), ['hello a5']);
  last().fail();
  retry();
  assert.deepEqual(begun(), ['a5', 'a5']);
});

test('a page that goes is told nothing more; the last one ends the stream', () => {
  const { opened, hello, send, open, live, last } = setup();
  const [one, two] = [opened(), opened()];
  hello(at('a', 5));
  one.heard();
  one.say('close');
  send('u', at('a', 6));
  assert.deepEqual(one.heard(), []);
  assert.deepEqual(two.heard(), ['hello a5', 'u a6']);
  two.say('close');
  assert.equal(open(), 0);
  last().fail();
  assert.equal(live().length, 0);
});

test('a page that comes after the last one went begins with what the hub knows', () => {
  const { opened, hello, send, begun } = setup();
  const one = opened();
  hello(at('a', 5));
  send('u', at('a', 6));
  one.say('close');
  const next = opened(at('a', 8));
  assert.deepEqual(begun(), ['a5', 'a6']);
  hello(at('a', 8));
  const back = opened(at('a', 5));
  assert.deepEqual(next.heard(), ['hello a6']);
  assert.deepEqual(back.heard(), ['hello a6', 'u a6']);
});

test('a page that goes while it waits leaves no trace', () => {
  const { opened, hello, begun } = setup();
  const one = opened();
  hello(at('a', 5));
  opened(at('z', 1)).say('close');
  hello(at('a', 6), true);
  hello(at('a', 6));
  assert.deepEqual(one.heard(), ['hello a5', 'hello a5']);
  assert.deepEqual(begun(), ['a5', 'z1', 'a5']);
});

test('a page that is looked at ends a wait', () => {
  const { opened, hello, last, live, sources } = setup();
  const one = opened();
  hello(at('a', 5));
  one.say('wake');
  assert.equal(sources.length, 1);
  last().fail();
  one.say('wake');
  assert.equal(sources.length, 2);
  assert.deepEqual(
    live().map(({ delay }) => delay),
    [1000],
  );
});

test('a page that comes ends a wait', () => {
  const { opened, hello, last, sources } = setup();
  opened();
  hello(at('a', 5));
  last().fail();
  opened();
  assert.equal(sources.length, 2);
});

test('a network that changed makes a new stream, whatever the old one seems', () => {
  const { hub, opened, hello, begun, open } = setup();
  opened();
  hello(at('a', 5));
  hub.renew();
  assert.deepEqual(begun(), ['a5', 'a5']);
  assert.equal(open(), 1);
});

test('a stream that is gone for a second is told of, until it is back', () => {
  const { opened, hello, last, second, retry, live } = setup();
  const one = opened();
  hello(at('a', 5));
  last().fail();
  retry();
  last().fail();
  assert.deepEqual(one.heard(), ['hello a5']);
  second();
  assert.deepEqual(one.heard(), ['away']);
  assert.deepEqual(opened().heard(), ['away']);
  hello(at('a', 5));
  assert.deepEqual(one.heard(), ['hello a5']);
  assert.equal(live().length, 0);
});

test('a server that accepts and does not answer is away too', () => {
  const { opened, second } = setup();
  const one = opened();
  second();
  assert.deepEqual(one.heard(), ['away']);
});

test('a short gap is not told of', () => {
  const { opened, hello, last, retry, live } = setup();
  const one = opened();
  hello(at('a', 5));
  last().fail();
  retry();
  hello(at('a', 5));
  assert.deepEqual(one.heard(), ['hello a5', 'hello a5']);
  assert.equal(live().length, 0);
});
