import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inCss, inSrcset, marked, pathOf, resourceOf, unmarked } from '../src/addresses';

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

const mark = (address: string) => (address.includes('dot') ? marked(address, '1') : address);

test('an address that script has added to loses the mark alone', () => {
  assert.equal(unmarked('/a.png?hot-reload=1&x=2#f'), '/a.png?x=2#f');
  assert.equal(unmarked('/a.png?v&hot-reload=1&x'), '/a.png?v&x');
});

test('a resource has neither mark nor fragment', () => {
  assert.equal(resourceOf('dot.svg?v=1&hot-reload=2#part', `${BASE}/a/b`), `${BASE}/a/dot.svg?v=1`);
  assert.equal(resourceOf('', BASE), '');
  assert.equal(resourceOf('http://', BASE), '');
});

test('a srcset keeps all but the address: commas, descriptors, white space', () => {
  for (const [given, expected] of [
    ['dot.png', 'dot.png?hot-reload=1'],
    [' a.png 1x,dot.png 2x ', ' a.png 1x,dot.png?hot-reload=1 2x '],
    ['dot,1.png 1x, dot.png, b.png', 'dot,1.png?hot-reload=1 1x, dot.png?hot-reload=1, b.png'],
    ['data:image/png;base64,AA== 1x, dot.png 20w', 'data:image/png;base64,AA== 1x, dot.png?hot-reload=1 20w'],
    ['a.png future(1, dot) 1x, dot.png', 'a.png future(1, dot) 1x, dot.png?hot-reload=1'],
    ['dot.png,, a.png', 'dot.png?hot-reload=1,, a.png'],
  ])
    assert.equal(inSrcset(given!, mark), expected);
});

test('in CSS each url() and the strings of image-set() are addresses, and nothing else is', () => {
  for (const [given, expected] of [
    ['url(a.png), url( "dot.png" ) no-repeat', 'url(a.png), url("dot.png?hot-reload=1") no-repeat'],
    ["URL('dot.png')", 'url("dot.png?hot-reload=1")'],
    ['url(\\64 ot\\(1\\).png)', 'url("dot(1).png?hot-reload=1")'],
    ['url("dot\\"1.png")', 'url("dot\\"1.png?hot-reload=1")'],
    ['"dot" attr(dot) /* url(dot) */', '"dot" attr(dot) /* url(dot) */'],
    [
      'image-set("dot.png" 1x, url(dot.webp) type("dot/webp")) "dot"',
      'image-set("dot.png?hot-reload=1" 1x, url("dot.webp?hot-reload=1") type("dot/webp")) "dot"',
    ],
    ['-webkit-image-set(url(a.png) 1x)', '-webkit-image-set(url(a.png) 1x)'],
    ['local("dot"), url(dot.woff2#x) format("dot")', 'local("dot"), url("dot.woff2?hot-reload=1#x") format("dot")'],
    ['my-url(dot)', 'my-url(dot)'],
  ])
    assert.equal(inCss(given!, mark), expected);
});
