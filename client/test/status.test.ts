import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as words from '../src/status/facts';
import type { Batch, Facts, Root } from '../src/status/facts';
import { createView } from '../src/status/view';
import type { Change } from '../src/wire';
import { DOMParser } from './page';

const MARKUP = readFileSync(join(process.cwd(), 'src/status/status.html'), 'utf8');
const HOSTILE = '<img src=x onerror=alert(1)>';

const change = (path: string, kind: Change['kind'] = 'other', op: Change['op'] = 'modified') => ({
  path,
  url: null,
  kind,
  op,
});

let moment = 0;
const batch = (changes: Change[], count = changes.length): Batch => ({
  time: new Date(1e12 + moment++ * 1000).toISOString(),
  latency_ms: 3.21,
  count,
  changes,
});

const root = (more: Partial<Root> = {}): Root => ({
  path: '.',
  how: 'native',
  why: '',
  directories: 2,
  files: 1,
  polled_directories: 0,
  ...more,
});

const facts = (more: Partial<Facts> = {}): Facts => ({
  version: '1.2.3',
  project: 'site',
  state: 'native',
  process: 7,
  since: '2026-01-01T00:00:00.000Z',
  server: { name: 'uvicorn', version: '0.9', reloads: false, is_one_of_several: false },
  loop: 'asyncio',
  python: '3.12.1',
  polling: null,
  poll_interval: 0.25,
  exclude: [],
  ready: true,
  directories: 2,
  files: 1,
  roots: [root()],
  served: [],
  warnings: [],
  batches: [],
  streams: [],
  ...more,
});

const setup = () => {
  const document = new DOMParser().parseFromString(MARKUP);
  const view = createView(document);
  const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
  return {
    document,
    view,
    all,
    text: (selector: string) => document.querySelector(selector)!.textContent!,
    hidden: (id: string) => document.getElementById(id)!.hasAttribute('hidden'),
  };
};

test('it says what is watched, how and by whom', () => {
  const { view, text, document, hidden } = setup();
  view.show(facts(), undefined);
  assert.equal(document.title, 'Hot reload · site');
  assert.equal(text('#state'), 'Watching natively');
  assert.match(text('#summary'), /^1 file in 2 directories/);
  assert.match(text('#summary'), /uvicorn 0\.9asyncio/);
  assert.match(text('#roots'), /native1 file$/);
  assert.ok(hidden('warned') && hidden('mapped') && hidden('ignored'));
  assert.ok(!hidden('batches-none') && !hidden('streams-none') && hidden('roots-none'));
});

test('polling is said, and why', () => {
  const { view, text, document } = setup();
  const roots = [root({ how: 'polling', why: 'no inotify instance', polled_directories: 2 })];
  view.show(facts({ state: 'polling', roots }), undefined);
  assert.equal(text('#state'), 'Watching by polling');
  assert.match(text('#summary'), /polled every 250 ms/);
  assert.match(text('#roots'), /no inotify instance/);
  assert.equal(document.body.className, 'is-polling');
});

test('whatever the names are, they are text', () => {
  const { view, all, document } = setup();
  view.show(
    facts({
      project: HOSTILE,
      roots: [root({ path: HOSTILE, why: HOSTILE })],
      served: [{ path: HOSTILE, url: HOSTILE }],
      exclude: [HOSTILE],
      warnings: [{ time: '2026-01-01T00:00:00Z', text: HOSTILE }],
      batches: [batch([change(HOSTILE)])],
      streams: [
        {
          name: 'a',
          client: HOSTILE,
          agent: HOSTILE,
          since: '2026-01-01T00:00:00Z',
          behind: true,
          shows_status: false,
          pages: [HOSTILE, 'javascript:alert(1)', '//evil.example', '/\\evil', '/good?x'],
        },
      ],
    }),
    undefined,
  );
  assert.equal(all('img').length, 0);
  assert.ok(document.body.textContent!.split(HOSTILE).length > 9);
  assert.deepEqual(
    all('#streams a').map((link) => link.getAttribute('href')),
    ['/good?x'],
  );
});

test('a new batch comes on top; what was there stays as it is', () => {
  const { view, all, hidden } = setup();
  const first = batch([change('a.css', 'css')]);
  view.show(facts({ batches: [first] }), undefined);
  const [known] = all('#batches > li');
  assert.ok(!known!.classList.contains('new'));
  const second = batch([change('b.html', 'other', 'added')]);
  view.show(facts({ batches: [second, first] }), undefined);
  const [top, below] = all('#batches > li');
  assert.equal(below, known);
  assert.match(top!.textContent!, /reload3\.2 ms\+added b\.htmlhtml$/);
  assert.ok(top!.classList.contains('new'));
  assert.ok(hidden('batches-none'));
  view.show(facts({ batches: [second] }), undefined);
  assert.deepEqual(all('#batches > li'), [top]);
});

test('many files are folded, and those that are not listed are counted', () => {
  const { view, all, text } = setup();
  const many = Array.from({ length: 100 }, (_, index) => change(`${index}.txt`));
  view.show(facts({ batches: [batch(many, 1234)] }), undefined);
  assert.equal(all('#batches > li > .files li').length, 8);
  assert.equal(text('summary'), '1,226 more files');
  assert.equal(all('details li').length, 93);
  assert.equal(all('details li').at(-1)!.textContent, 'and 1,134 more files');
});

test('this page is told from others, and from browsers that say nothing', () => {
  const { view, all } = setup();
  const stream = (name: string, shows_status: boolean, pages: string[] | null) => ({
    name,
    client: null,
    agent: null,
    since: '2026-01-01T00:00:00Z',
    behind: false,
    shows_status,
    pages,
  });
  const streams = [
    stream('a', true, null),
    stream('b', true, null),
    stream('c', false, null),
    stream('d', false, ['/x']),
  ];
  view.show(facts({ streams }), 'b');
  assert.deepEqual(
    all('#streams > li > ul').map(({ textContent }) => textContent),
    ['a page like this one', 'this page', 'has not said which pages', '/x'],
  );
});

test('a server that is away is said to be, over what was last known', () => {
  const { view, text, document } = setup();
  view.away();
  assert.equal(text('#state'), 'The server is away');
  view.show(facts({ served: [{ path: 'static', url: '/static/' }], exclude: ['*.x'] }), undefined);
  assert.equal(text('#live'), '');
  view.away();
  assert.match(document.body.className, /is-gone/);
  assert.match(text('#live'), /last known/);
  assert.match(text('#roots'), /native/);
});

test('words', () => {
  const { effectOf, latencyOf, lengthOf, wordOf, howOf, titleOf, linkOf, summaryOf } = words;
  assert.equal(effectOf(batch([change('a', 'css'), change('b', 'image')])), 'swap');
  assert.equal(effectOf(batch([change('a', 'css'), change('b', 'script')])), 'reload');
  assert.equal(effectOf(batch([change('a', 'css')], 2)), 'reload');
  assert.deepEqual([0.04, 9.96, 12.3, 999, 1500].map(latencyOf), [
    '0.0 ms',
    '10.0 ms',
    '12 ms',
    '999 ms',
    '1.5 s',
  ]);
  assert.deepEqual([0, 0.1, 1, 10, 1e4, 1e9].map(lengthOf), [2, 2, 20, 40, 100, 100]);
  assert.equal(wordOf('css', 'a.x'), 'css');
  assert.deepEqual(
    ['a/b.HTML', 'Makefile', '.env', 'a.b/c'].map((path) => wordOf('other', path)),
    ['html', 'file', 'file', 'file'],
  );
  assert.deepEqual(['native', 'waiting', 'mixed'].map((how) => howOf(how as Root['how'])), [
    'native',
    'waited for',
    'mixed',
  ]);
  assert.equal(titleOf('off', false), 'Off');
  assert.equal(linkOf('/a'), '/a');
  for (const address of ['/\t/x', '/\n\\x', '/a\u202e']) assert.equal(linkOf(address), undefined);
  const server = { name: null, version: null, reloads: true, is_one_of_several: true };
  const summary = summaryOf(facts({ server, since: null, files: 2000 })).join('; ');
  assert.equal(
    summary,
    '2,000 files in 2 directories; unknown server; restarts for Python code; ' +
      'worker 7, one of several; asyncio',
  );
});
