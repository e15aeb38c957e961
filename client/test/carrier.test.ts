import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCarrier, type Way } from '../src/carrier';
import { bootOf, type Hello, type ToHub, type ToPage, type Update } from '../src/wire';
import { at } from './cursors';
import { fakeTimers, settled } from './fakes';

interface Seat {
  kind: string;
  said: string[];
  deliver(message: ToPage): void;
  fail(): void;
}

interface Given {
  throws?: boolean;
  share?: () => Promise<unknown>;
  /** Whether the page wants to begin again after the next hello. */
  again?: boolean;
}

const setup = ({ throws = false, share, again = false }: Given = {}) => {
  const seats: Seat[] = [];
  const heard: string[] = [];
  const { timer, live, fire } = fakeTimers();
  const page = { cursor: 'c1', again };
  const way =
    (kind: string): Way =>
    (deliver, fail) => {
      if (throws && kind === 'worker') throw new Error('refused');
      const said: string[] = [];
      seats.push({ kind, said, deliver, fail });
      return (message: ToHub) => said.push(message.join(' '));
    };
  let loads = 0;
  const carrier = createCarrier({
    worker: way('worker'),
    async share() {
      loads++;
      await share?.();
      return way('share');
    },
    cursor: () => page.cursor,
    address: '/a',
    hello(hello) {
      heard.push(`hello ${hello.cursor}`);
      const wants = page.again;
      page.again = false;
      return wants;
    },
    update: (update, cursor) => heard.push(`${update.files} ${cursor}`),
    away: () => heard.push('away'),
    timer,
    random: () => 0,
  });
  const last = () => seats.at(-1)!;
  return { carrier, seats, heard, page, last, live, fire, loads: () => loads };
};

const hello: Hello = { boot: bootOf(at('a', 5)), cursor: 'h', reload: false };
const update: Update = { type: 'css', files: ['x.css'], changes: [] };
const kinds = (seats: Seat[]): string[] => seats.map(({ kind }) => kind);

test('the worker is told where the page is, and what it says is handed on', () => {
  const { carrier, last, heard, live } = setup();
  carrier.open();
  assert.deepEqual(last().said, ['open c1 /a']);
  last().deliver(['here']);
  assert.equal(live().length, 0);
  last().deliver(['hello', hello]);
  last().deliver(['update', update, 'c2']);
  last().deliver(['away']);
  assert.deepEqual(heard, ['hello h', 'x.css c2', 'away']);
});

test('a page that wants to begin again says where', () => {
  const { carrier, last, page } = setup({ again: true });
  carrier.open();
  page.cursor = 'c2';
  last().deliver(['hello', hello]);
  assert.deepEqual(last().said, ['open c1 /a', 'open c2 /a']);
  last().deliver(['hello', hello]);
  assert.equal(last().said.length, 2);
});

test('a hub that asks where the page is gets an answer', () => {
  const { carrier, last, page } = setup();
  carrier.open();
  page.cursor = 'c2';
  last().deliver(['who']);
  assert.deepEqual(last().said, ['open c1 /a', 'open c2 /a']);
});

for (const [name, provoke] of Object.entries({
  'a worker that is refused': ({ last }: ReturnType<typeof setup>) => last().fail(),
  'a worker that says nothing': ({ fire }: ReturnType<typeof setup>) => assert.equal(fire(), 3000),
}))
  test(`${name} is done without, for as long as the document lives`, async () => {
    const made = setup();
    const { carrier, seats, last, loads } = made;
    carrier.open();
    provoke(made);
    await settled();
    assert.deepEqual(kinds(seats), ['worker', 'share']);
    assert.deepEqual(seats[0]!.said, ['open c1 /a', 'close']);
    assert.deepEqual(last().said, ['open c1 /a']);
    carrier.close();
    carrier.wake();
    assert.deepEqual(kinds(seats), ['worker', 'share', 'share']);
    assert.equal(loads(), 1);
  });

test('where there is no worker the page does without', async () => {
  const { carrier, seats } = setup({ throws: true });
  carrier.open();
  await settled();
  assert.deepEqual(kinds(seats), ['share']);
});

test('a worker that fails twice is done without once', async () => {
  const { carrier, seats, loads } = setup();
  carrier.open();
  seats[0]!.fail();
  seats[0]!.fail();
  await settled();
  assert.equal(loads(), 1);
});

test('a worker that has been done without is not heard any more', async () => {
  const { carrier, seats, heard, fire } = setup();
  carrier.open();
  fire();
  await settled();
  seats[0]!.deliver(['hello', hello]);
  assert.deepEqual(heard, []);
});

test('without an answer it begins anew with the worker, for ever, with growing pauses', async () => {
  let gone = true;
  const { carrier, seats, last, fire, heard, live } = setup({
    share: () => (gone ? Promise.reject(new Error('no answer')) : Promise.resolve()),
  });
  carrier.open();
  let pause = 0;
  for (let n = 1; n <= 20; n++) {
    last().fail();
    await settled();
    assert.deepEqual(live().length, 1);
    const next = fire();
    assert.ok(next >= pause && next <= 5000);
    pause = next;
    assert.equal(seats.length, n + 1);
  }
  assert.ok(heard.includes('away'));
  assert.ok(kinds(seats).every((kind) => kind === 'worker'));
  gone = false;
  last().deliver(['here']);
  last().deliver(['hello', hello]);
  assert.equal(heard.at(-1), 'hello h');
});

test('a page that is looked at does not wait', async () => {
  const { carrier, seats, last, live } = setup({ share: () => Promise.reject(new Error()) });
  carrier.open();
  last().deliver(['here']);
  carrier.wake();
  assert.deepEqual(last().said, ['open c1 /a', 'wake']);
  last().fail();
  await settled();
  carrier.wake();
  assert.equal(seats.length, 2);
  assert.deepEqual(
    live().map(({ delay }) => delay),
    [3000],
  );
});

test('a page that is looked at lets an attempt under way be', () => {
  const { carrier, seats } = setup();
  carrier.open();
  carrier.wake();
  assert.equal(seats.length, 1);
});

test('a page that goes says so, hears nothing more, and begins anew when it comes back', () => {
  const { carrier, seats, heard, page, live } = setup();
  carrier.open();
  carrier.close();
  assert.deepEqual(seats[0]!.said, ['open c1 /a', 'close']);
  seats[0]!.deliver(['update', update, 'c2']);
  seats[0]!.fail();
  assert.deepEqual([heard, live()], [[], []]);
  page.cursor = 'c2';
  carrier.wake();
  assert.deepEqual(seats[1]!.said, ['open c2 /a']);
});

test('a page that goes while the rest is loaded stays gone', async () => {
  let load: () => void;
  const loading = new Promise<void>((done) => (load = done));
  const { carrier, seats } = setup({ throws: true, share: () => loading });
  carrier.open();
  carrier.close();
  load!();
  await settled();
  assert.equal(seats.length, 0);
});

test('a page that goes while the rest cannot be loaded does not wait', async () => {
  const { carrier, live, heard } = setup({
    throws: true,
    share: () => Promise.reject(new Error()),
  });
  carrier.open();
  carrier.close();
  await settled();
  assert.deepEqual([live(), heard], [[], []]);
});
