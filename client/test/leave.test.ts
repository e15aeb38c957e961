import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refreshUsed } from '../src/leave';
import type { Change } from '../src/wire';

const fetched: string[] = [];
let answer = (): Promise<Response> => Promise.resolve(new Response('x'));

Object.assign(globalThis, {
  CSS: { supports: () => engine === 'firefox' },
  location: { hostname: 'localhost' },
  fetch: (url: string, { cache }: RequestInit) => {
    fetched.push(`${cache} ${url}`);
    return answer();
  },
});
Object.defineProperty(performance, 'getEntriesByType', {
  value: () => [
    { name: 'http://localhost/app.js?v=1' },
    { name: 'http://localhost/app.js?v=1' },
    { name: 'http://localhost/dot.png?hot-reload=abc' },
    { name: 'http://localhost/gone.js' },
    { name: 'http://localhost/other.js' },
    { name: 'https://elsewhere.example/app.js' },
  ],
});
let engine = '';

const change = (path: string, more: Partial<Change> = {}): Change => ({
  path,
  url: `/${path}`,
  kind: 'script',
  op: 'modified',
  ...more,
});

const refreshedBy = async (...changes: Change[]): Promise<string[]> => {
  fetched.length = 0;
  await refreshUsed(changes);
  return [...fetched];
};

const saved = [
  change('app.js'),
  change('gone.js', { op: 'removed' }),
  change('unused.js'),
  change('dot.png', { kind: 'image' }),
];

test('what the page has used and was saved is fetched anew, once', async () => {
  assert.deepEqual(await refreshedBy(...saved), [
    'reload http://localhost/app.js?v=1',
    'reload http://localhost/dot.png',
  ]);
});

test('in Firefox an image is left to the reload', async () => {
  engine = 'firefox';
  assert.deepEqual(await refreshedBy(...saved), ['reload http://localhost/app.js?v=1']);
  engine = '';
});

test('a refusal is met once', async () => {
  answer = () => Promise.reject(new TypeError('refused'));
  assert.equal((await refreshedBy(change('app.js'))).length, 1);
  assert.deepEqual(await refreshedBy(change('app.js')), []);
});
