import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marked, pathOf, unmarked } from '../src/stylesheets';

const BASE = 'http://localhost:8000';

test('a mark is added once and replaced, and the rest stays byte for byte', () => {
  assert.equal(marked(`${BASE}/a.css`, '1'), `${BASE}/a.css?hot-reload=1`);
  assert.equal(marked(`${BASE}/a.css?hot-reload=1`, '2'), `${BASE}/a.css?hot-reload=2`);
  const href = `${BASE}/a.css?v=1&w=a%20b+c&x#f`;
  assert.equal(marked(href, '1'), `${BASE}/a.css?v=1&w=a%20b+c&x&hot-reload=1#f`);
  assert.equal(marked(marked(href, '1'), '2'), marked(href, '2'));
  assert.equal(unmarked(marked(href, '1')), href);
});

test('a path is that of the page’s own host, decoded', () => {
  assert.equal(pathOf(`${BASE}/a%20b/%C3%A9.css?v=1`, 'localhost'), '/a b/é.css');
  assert.equal(pathOf('http://localhost:9000/a.css', 'localhost'), '/a.css');
  assert.equal(pathOf('https://cdn.example/a.css', 'localhost'), '');
  assert.equal(pathOf(`${BASE}/%FF.css`, 'localhost'), '/%FF.css');
  for (const href of ['', 'nonsense', 'data:text/css,p{}'])
    assert.equal(pathOf(href, 'localhost'), '');
});
