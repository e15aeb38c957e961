import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '../src/client';
import type { Memory } from '../src/memory';
import type { StyleOutcome } from '../src/stylesheets';
import { bootOf, type Change, type Update } from '../src/wire';
import { at } from './cursors';

const change = (path: string, kind: Change['kind']): Change => ({
  path,
  url: `/${path}`,
  kind,
  op: 'modified',
});

const update = (type: Update['type'], ...changes: Change[]): Update => ({
  type,
  changes,
  files: changes.map(({ path }) => path),
});

const css = update('css', change('static/site.css', 'css'));
const template = update('reload', change('templates/index.html', 'other'));

interface Given {
  tag?: string;
  memory?: Memory;
  outcome?: StyleOutcome;
  active?: boolean;
  styles?: (changes: readonly Change[]) => void;
}

const setup = ({
  tag = at('a', 5),
  memory,
  outcome = 'swapped',
  active = false,
  styles,
}: Given = {}) => {
  const clock = { now: 100_000 };
  const did: string[] = [];
  const warned: string[] = [];
  const said: string[] = [];
  const timers: { task: () => void; live: boolean }[] = [];
  const client = createClient({
    page: {
      styles(changes, mark) {
        styles?.(changes);
        did.push(`styles ${changes.map(({ path }) => path)} ${Number.parseInt(mark, 16)}`);
        return outcome;
      },
      refresh(changes) {
        if (changes.length) did.push(`refresh ${changes.map(({ path }) => path)}`);
        return Promise.resolve();
      },
      reload: (cursor, streak) => void did.push(`reload ${cursor} ${streak}`),
      active: () => active,
      debug: (text) => said.push(text),
      warn: (text) => warned.push(text),
    },
    tag,
    memory: memory ?? { at: 0, streak: 0, cursors: [] },
    clock: () => clock.now,
    timer(task) {
      const timer = { task, live: true };
      timers.push(timer);
      return () => (timer.live = false);
    },
  });
  const hello = (cursor: string, reload: boolean) =>
    client.hello({ boot: bootOf(cursor), cursor, reload });
  const settle = () => new Promise((done) => setImmediate(done));
  return { client, hello, clock, did, warned, said, timers, settle };
};

const streak = (length: number): Memory => ({ at: 99_500, streak: length, cursors: [] });

test('an address is compared decoded, as those of the page are', () => {
  const urls: (string | null)[] = [];
  const { client } = setup({ styles: (changes) => urls.push(...changes.map(({ url }) => url)) });
  const encoded = ['/a%20b/%C3%A9.css', '/%FF.css', null];
  const changes = encoded.map((url) => ({ ...change('x.css', 'css'), url }));
  client.update(update('css', ...changes), at('a', 6));
  assert.deepEqual(urls, ['/a b/é.css', '/%FF.css', null]);
});

test('a hello changes no cursor: what comes after it is still to come', () => {
  const { client, hello, did } = setup();
  assert.equal(hello(at('a', 9), false), false);
  assert.equal(client.cursor(), at('a', 5));
  assert.deepEqual(did, []);
});

test('connecting says one line, once', () => {
  const { hello, said } = setup();
  hello(at('a', 9), false);
  hello(at('a', 9), false);
  assert.deepEqual(said, ['connected']);
});

test('stylesheets are swapped, marked with the batch, and the cursor moves on', async () => {
  const { client, did, said, settle } = setup();
  client.update(css, at('a', 6));
  await settle();
  assert.deepEqual(did, ['styles static/site.css 6']);
  assert.deepEqual(said, ['swapped: static/site.css']);
  assert.equal(client.cursor(), at('a', 6));
});

test('stylesheets that the page does not use cause nothing, not even a line', async () => {
  const { client, did, said, settle } = setup({ outcome: 'unused' });
  client.update(css, at('a', 6));
  await settle();
  assert.deepEqual(did, ['styles static/site.css 6']);
  assert.deepEqual(said, []);
});

test('a stylesheet that cannot be swapped reloads', async () => {
  const { client, did, settle } = setup({ outcome: 'reload' });
  client.update(css, at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 1`);
});

test('everything else refreshes the cache, then reloads', async () => {
  const { client, did, settle } = setup();
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(did, ['refresh templates/index.html', `reload ${at('a', 6)} 1`]);
});

test('a shutdown and what is not known yet do nothing', async () => {
  const { client, did, settle } = setup();
  client.update(update('shutdown'), at('a', 9));
  client.update({ ...update('css'), type: 'news' as 'css' }, at('a', 9));
  await settle();
  assert.deepEqual(did, []);
  assert.equal(client.cursor(), at('a', 5));
});

test('another boot reloads, and that boot is what the reload was for', async () => {
  const { hello, did, settle } = setup();
  assert.equal(hello(at('b', 9), true), false);
  await settle();
  assert.deepEqual(did, [`reload ${at('b', 9)} 1`]);
});

test('an old copy of another boot connects again with what it was reloaded for', async () => {
  const { client, hello, did, warned, settle } = setup({
    memory: { at: 0, streak: 0, cursors: [at('b', 7)] },
  });
  assert.equal(hello(at('b', 9), true), true);
  assert.equal(client.cursor(), at('b', 7));
  assert.equal(hello(at('b', 9), false), false);
  await settle();
  assert.deepEqual(did, []);
  assert.equal(warned.length, 1);
  client.update(template, at('b', 10));
  await settle();
  assert.equal(did.at(-1), `reload ${at('b', 10)} 1`);
});

test('an old copy of the same boot is not reloaded for what it was reloaded for', () => {
  const { client, warned } = setup({ memory: { at: 0, streak: 0, cursors: [at('a', 7)] } });
  assert.equal(client.cursor(), at('a', 7));
  assert.equal(warned.length, 1);
});

test('two servers that answer in turn leave the page alone, and connected', async () => {
  const { client, hello, did, warned, settle } = setup({
    memory: { at: 0, streak: 0, cursors: [at('a', 3), at('b', 7)] },
  });
  assert.equal(hello(at('b', 9), true), true);
  assert.equal(hello(at('a', 9), true), false);
  await settle();
  assert.deepEqual(did, []);
  assert.equal(client.cursor(), at('a', 9));
  assert.ok(warned.length);
});

test('a burst of quick reloads ends in one more, once it is quiet', async () => {
  const { client, did, timers, settle } = setup({ memory: streak(5) });
  client.update(template, at('a', 6));
  client.update(template, at('a', 7));
  await settle();
  assert.deepEqual(did, []);
  assert.deepEqual(
    timers.map(({ live }) => live),
    [false, true],
  );
  timers[1]!.task();
  await settle();
  assert.deepEqual(did, [
    'refresh templates/index.html,templates/index.html',
    `reload ${at('a', 7)} 6`,
  ]);
});

test('a page that reloads itself again and again stays, and says why', async () => {
  const { client, did, warned, timers, settle } = setup({ memory: streak(6) });
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(did, []);
  assert.equal(timers.length, 0);
  assert.equal(warned.length, 1);
});

test('a page that stayed reloads for a later save', async () => {
  const { client, clock, did, settle } = setup({ memory: streak(6) });
  client.update(template, at('a', 6));
  clock.now += 5000;
  client.update(template, at('a', 7));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 7)} 0`);
});

test('between the order to reload and the next document nothing is remembered any more', async () => {
  const { client, did, settle } = setup();
  client.update(template, at('a', 6));
  await settle();
  client.update(template, at('a', 7));
  client.update(css, at('a', 8));
  await settle();
  assert.deepEqual(did.slice(1), [`reload ${at('a', 6)} 1`, 'styles static/site.css 8']);
});

test('a reload that a person refused is asked for again, if there was a later save', async () => {
  const { client, did, timers, settle } = setup();
  client.update(template, at('a', 6));
  await settle();
  timers[0]!.task();
  await settle();
  assert.equal(did.length, 2);
  client.update(template, at('a', 7));
  await settle();
  client.update(template, at('a', 8));
  await settle();
  assert.equal(did.length, 4);
  timers[1]!.task();
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 8)} 1`);
});

test('a person at the page ends a streak', async () => {
  const { client, did, settle } = setup({ memory: streak(6), active: true });
  client.update(template, at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 0`);
});
