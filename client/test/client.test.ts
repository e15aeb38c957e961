import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, type Page } from '../src/client';
import type { Memory } from '../src/memory';
import { bootOf, type Change, type Update } from '../src/wire';
import { at } from './cursors';
import { settled } from './fakes';

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

const script = update('reload', change('static/app.js', 'script'));

interface Given extends Partial<Pick<Page, 'swap' | 'morph' | 'mayMorph' | 'active'>> {
  tag?: string;
  memory?: Memory;
}

const paths = (changes: readonly Change[]): string => changes.map(({ path }) => path).join();

const setup = ({ tag = at('a', 5), memory, active, swap, morph, mayMorph }: Given = {}) => {
  const clock = { now: 100_000 };
  const did: string[] = [];
  const warned: string[] = [];
  const said: string[] = [];
  const notices: (string | undefined)[] = [];
  const events: string[] = [];
  const timers: { task: () => void; delay: number; live: boolean }[] = [];
  const client = createClient({
    page: {
      swap(changes, mark) {
        did.push(`swap ${paths(changes)} ${Number.parseInt(mark, 16)}`);
        return swap?.(changes, mark) ?? Promise.resolve('swapped');
      },
      async morph(before) {
        await before();
        did.push('morph');
        return morph?.(before) ?? 'morphed';
      },
      mayMorph: (changes) => mayMorph?.(changes) ?? true,
      updated: (kind, changes) => events.push(`${kind} ${paths(changes)}`),
      refresh(changes) {
        if (changes.length) did.push(`refresh ${paths(changes)}`);
        return Promise.resolve();
      },
      reload: (cursor, streak) => void did.push(`reload ${cursor} ${streak}`),
      active: () => active?.() ?? false,
      debug: (text) => said.push(text),
      warn: (text) => warned.push(String(text)),
      notice: (text) => notices.push(text),
    },
    tag,
    memory: memory ?? { at: 0, streak: 0, cursors: [] },
    clock: () => clock.now,
    timer(task, delay) {
      const timer = { task, delay, live: true };
      timers.push(timer);
      return () => (timer.live = false);
    },
  });
  const hello = (cursor: string, reload: boolean, morph = false) =>
    client.hello({ boot: bootOf(cursor), cursor, reload, morph });
  return { client, hello, clock, did, warned, said, notices, events, timers, settle: settled };
};

const streak = (length: number): Memory => ({ at: 99_500, streak: length, cursors: [] });

test('an address is compared decoded, as those of the page are', async () => {
  const urls: (string | null)[] = [];
  const { client, settle } = setup({
    swap(changes) {
      urls.push(...changes.map(({ url }) => url));
      return Promise.resolve('swapped');
    },
  });
  const encoded = ['/a%20b/%C3%A9.css', '/%FF.css', null];
  const told = update('css', ...encoded.map((url) => ({ ...change('x.css', 'css'), url })));
  client.update(told, at('a', 6));
  await settle();
  assert.deepEqual(urls, ['/a b/é.css', '/%FF.css', null]);
  assert.equal(told.changes[0]!.url, encoded[0], 'what may be told to others is left alone');
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
  assert.deepEqual(did, ['swap static/site.css 6']);
  assert.deepEqual(said, ['swapped: static/site.css']);
  assert.equal(client.cursor(), at('a', 6));
});

test('stylesheets that the page does not use cause nothing, not even a line', async () => {
  const { client, did, said, settle } = setup({ swap: () => Promise.resolve('unused') });
  client.update(css, at('a', 6));
  await settle();
  assert.deepEqual(did, ['swap static/site.css 6']);
  assert.deepEqual(said, []);
});

test('a stylesheet that cannot be swapped reloads', async () => {
  const { client, did, settle } = setup({ swap: () => Promise.resolve('reload') });
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

for (const [length, pause] of [
  [5, 2000],
  [6, 4000],
] as const)
  test(`after ${length} quick reloads there is one more, after ${pause} ms of quiet`, async () => {
    const { client, did, timers, settle } = setup({ memory: streak(length) });
    client.update(template, at('a', 6));
    client.update(template, at('a', 7));
    await settle();
    assert.deepEqual(did, []);
    assert.deepEqual(
      timers.map(({ live, delay }) => [live, delay]),
      [
        [false, pause],
        [true, pause],
      ],
    );
    timers[1]!.task();
    await settle();
    assert.deepEqual(did, [
      'refresh templates/index.html,templates/index.html',
      `reload ${at('a', 7)} ${length + 1}`,
    ]);
  });

test('a page that reloads itself again and again stays, and says why', async () => {
  const { client, did, warned, timers, settle } = setup({ memory: streak(7) });
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(did, []);
  assert.equal(timers.length, 0);
  assert.equal(warned.length, 1);
});

test('a page that stayed reloads when it is looked at, once', async () => {
  const { client, did, settle } = setup({ memory: streak(7) });
  client.seen();
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(did, []);
  client.seen();
  client.seen();
  await settle();
  assert.deepEqual(did, ['refresh templates/index.html', `reload ${at('a', 6)} 8`]);
});

test('a page that stayed reloads for a later save', async () => {
  const { client, clock, did, settle } = setup({ memory: streak(7) });
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
  assert.deepEqual(did.slice(1), [`reload ${at('a', 6)} 1`, 'swap static/site.css 8']);
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
  const { client, did, settle } = setup({ memory: streak(6), active: () => true });
  client.update(template, at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 0`);
});

test('what is known already is left alone', async () => {
  const { client, did, settle } = setup();
  client.update(css, at('a', 5));
  client.update(css, at('a', 4));
  client.update(css, at('b', 9));
  await settle();
  assert.deepEqual(did, []);
  assert.equal(client.cursor(), at('a', 5));
});

test('images and fonts are swapped as stylesheets are, whatever the type says', async () => {
  const { client, did, settle } = setup();
  const changes = [change('a.png', 'image'), change('b.woff2', 'font'), change('c.css', 'css')];
  client.update(update('reload', ...changes), at('a', 6));
  await settle();
  assert.deepEqual(did, ['swap a.png,b.woff2,c.css 6']);
});

test('without the morph one other file among them reloads', async () => {
  const { client, did, settle } = setup();
  client.update(update('reload', ...css.changes, ...template.changes), at('a', 6));
  await settle();
  assert.deepEqual(did, ['refresh static/site.css,templates/index.html', `reload ${at('a', 6)} 1`]);
});

test('updates are applied one after the other, and what comes meanwhile at once', async () => {
  let finish: (outcome: 'swapped') => void;
  const { client, did, said, settle } = setup({
    swap: () => new Promise((done) => (finish = done)),
  });
  client.update(css, at('a', 6));
  client.update(update('css', change('b.css', 'css')), at('a', 7));
  client.update(update('css', change('c.css', 'css')), at('a', 8));
  await settle();
  assert.deepEqual(did, ['swap static/site.css 6']);
  finish!('swapped');
  await settle();
  assert.deepEqual(did, ['swap static/site.css 6', 'swap b.css,c.css 8']);
  finish!('swapped');
  await settle();
  assert.deepEqual(said, ['swapped: static/site.css', 'swapped: b.css, c.css']);
});

test('a template saved after a stylesheet waits for it', async () => {
  let finish: (outcome: 'swapped') => void;
  const { client, did, settle } = setup({ swap: () => new Promise((done) => (finish = done)) });
  client.update(css, at('a', 6));
  client.update(template, at('a', 7));
  await settle();
  assert.equal(did.length, 1);
  finish!('swapped');
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 7)} 1`);
});

test('a part that cannot be had reloads, and does not stop what follows', async () => {
  let fails = true;
  const { client, did, settle } = setup({
    swap: () => (fails ? Promise.reject(new Error('no answer')) : Promise.resolve('swapped')),
  });
  client.update(css, at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 1`);
  fails = false;
  client.update(css, at('a', 7));
  await settle();
  assert.equal(did.at(-1), 'swap static/site.css 7');
});

test('what was swapped is told to the page, and nothing else', async () => {
  const { client, events, settle } = setup();
  client.update(css, at('a', 6));
  await settle();
  client.update(template, at('a', 7));
  await settle();
  assert.deepEqual(events, ['swap static/site.css']);
});

test('with the morph a template is morphed in', async () => {
  const { client, hello, did, said, events, settle } = setup();
  hello(at('a', 5), false, true);
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(did, ['morph']);
  assert.equal(said.at(-1), 'morphed: templates/index.html');
  assert.deepEqual(events, ['morph templates/index.html']);
});

test('with the morph a batch of both is swapped, then morphed', async () => {
  const { client, hello, did, events, settle } = setup();
  hello(at('a', 5), false, true);
  client.update(update('reload', ...template.changes, ...css.changes), at('a', 6));
  await settle();
  assert.deepEqual(did, ['swap static/site.css 6', 'morph']);
  assert.deepEqual(events, ['swap static/site.css', 'morph templates/index.html,static/site.css']);
});

test('with the morph a page is asked again for a sheet under a new name', async () => {
  const { client, hello, did, settle } = setup({ swap: () => Promise.resolve('reload') });
  hello(at('a', 5), false, true);
  client.update(css, at('a', 6));
  await settle();
  assert.deepEqual(did, ['swap static/site.css 6', 'morph']);
});

test('with the morph a script still reloads', async () => {
  const { client, hello, did, settle } = setup();
  hello(at('a', 5), false, true);
  client.update(update('reload', ...template.changes, ...script.changes), at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 1`);
  assert.ok(!did.includes('morph'));
});

test('a morph that the page forbids is not made, nor is a reload', async () => {
  const asked: string[] = [];
  const { client, hello, did, events, settle } = setup({
    mayMorph(changes) {
      asked.push(paths(changes));
      return false;
    },
  });
  hello(at('a', 5), false, true);
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual([did, events], [[], []]);
  assert.deepEqual(asked, ['templates/index.html']);
});

test('a morph that cannot be made reloads', async () => {
  const { client, hello, did, settle } = setup({ morph: () => Promise.resolve('reload') });
  hello(at('a', 5), false, true);
  client.update(template, at('a', 6));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 6)} 1`);
});

test('a morph into a page that fails leaves this one, and the next one is tried', async () => {
  const outcomes = ['failed', 'morphed'] as const;
  let n = 0;
  const { client, hello, did, said, events, settle } = setup({
    morph: () => Promise.resolve(outcomes[n++]!),
  });
  hello(at('a', 5), false, true);
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual([did, events], [['morph'], []]);
  assert.equal(said.at(-1), 'failed: templates/index.html');
  client.update(template, at('a', 7));
  await settle();
  assert.deepEqual(did, ['morph', 'morph']);
});

test('a server that is away is told of, until it is back', () => {
  const { client, hello, notices } = setup();
  client.away();
  hello(at('a', 5), false);
  assert.equal(notices.length, 2);
  assert.match(notices[0]!, /away/);
  assert.equal(notices[1], undefined);
});

test('what keeps a page old is told of, until an update succeeds', async () => {
  const { client, hello, notices, warned, settle } = setup({ memory: streak(6) });
  client.update(template, at('a', 6));
  await settle();
  assert.deepEqual(notices, warned);
  client.away();
  hello(at('a', 6), false);
  assert.equal(notices.at(-1), warned[0]);
  client.update(css, at('a', 7));
  await settle();
  assert.equal(notices.at(-1), undefined);
});

test('what goes wrong is said, and does not stop what follows', async () => {
  let fails = true;
  const { client, did, warned, settle } = setup({
    swap: () => Promise.resolve('reload'),
    active() {
      if (fails) throw new Error('broken');
      return false;
    },
  });
  client.update(css, at('a', 6));
  await settle();
  assert.deepEqual(warned, ['Error: broken']);
  fails = false;
  client.update(css, at('a', 7));
  await settle();
  assert.equal(did.at(-1), `reload ${at('a', 7)} 1`);
});
