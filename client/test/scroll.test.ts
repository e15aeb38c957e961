import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { isScrolled } from '../src/memory';
import { keepScroll, restoreScroll, selectorOf } from '../src/scroll';
import { documentOf } from './page';

/** Boxes have no layout here: each is as high as it is told to be. */
const layOut = (box: Element, room: { height: number }, top = 0): void => {
  const at = { top, left: 0 };
  Object.defineProperties(box, {
    scrollTop: { get: () => at.top },
    scrollLeft: { get: () => at.left },
    scrollTo: {
      value: (wanted: ScrollToOptions) => {
        at.top = Math.min(wanted.top!, room.height);
        at.left = Math.min(wanted.left!, room.height);
      },
    },
  });
};

const items = new Map<string, string>();
const store = {
  getItem: (key: string) => items.get(key) ?? null,
  setItem: (key: string, value: string) => void items.set(key, value),
  removeItem: (key: string) => void items.delete(key),
};
const page = new EventTarget();
let frames: (() => void)[] = [];
let now = 0;

Object.assign(globalThis, {
  CSS: { escape: (text: string) => text.replace(/\W/g, '\\$&') },
  history: { scrollRestoration: 'auto' },
  addEventListener: page.addEventListener.bind(page),
  removeEventListener: page.removeEventListener.bind(page),
  requestAnimationFrame: (task: () => void) => frames.push(task),
});
Object.defineProperty(performance, 'now', { value: () => now });

const frame = (): number => {
  const due = frames;
  frames = [];
  for (const task of due) task();
  return due.length;
};

beforeEach(() => {
  items.clear();
  frames = [];
  history.scrollRestoration = 'auto';
});

const BODY = '<main><ul><li>a</li></ul><p></p><ul id="list"><li><b></b></li></ul></main>';

const pageOf = (body = BODY): Document => {
  const document = documentOf(body);
  let ready = 'complete';
  Object.defineProperty(document, 'readyState', { get: () => ready, set: (to) => (ready = to) });
  Object.defineProperty(document, 'scrollingElement', { value: document.documentElement });
  return document;
};

const found = (document: Document, selector: string): Element => document.querySelector(selector)!;

test('a box is named by its place below what has an id of its own', () => {
  const document = pageOf();
  const names = ['#list', '#list b', 'p', 'ul', 'html'].map((it) => selectorOf(found(document, it)));
  assert.deepEqual(names, [
    '#list',
    '#list>li:nth-of-type(1)>b:nth-of-type(1)',
    'html:nth-of-type(1)>body:nth-of-type(1)>main:nth-of-type(1)>p:nth-of-type(1)',
    'html:nth-of-type(1)>body:nth-of-type(1)>main:nth-of-type(1)>ul:nth-of-type(1)',
    'html:nth-of-type(1)',
  ]);
  for (const name of names) assert.equal(selectorOf(found(document, name)), name);
});

test('an id that two elements have names neither', () => {
  const document = pageOf('<p id="a"></p><p id="a"></p>');
  const [, second] = document.querySelectorAll('p');
  assert.equal(found(document, selectorOf(second!)), second);
});

const kept = (): Document => {
  const document = pageOf();
  layOut(found(document, '#list'), { height: 500 }, 120);
  layOut(document.documentElement, { height: 500 }, 300);
  keepScroll(store, document, '/page');
  return document;
};

test('what is scrolled is kept, and nothing where nothing is', () => {
  keepScroll(store, pageOf(), '/page');
  assert.equal(isScrolled(store, '/page'), false);
  kept();
  assert.equal(isScrolled(store, '/page'), true);
  assert.equal(isScrolled(store, '/other'), false);
});

const arrive = (height: number): { list: Element; root: Element; room: { height: number } } => {
  const document = pageOf();
  const room = { height };
  const list = found(document, '#list');
  const root = document.documentElement;
  layOut(list, room);
  layOut(root, room);
  restoreScroll(store, document, '/page');
  return { list, root, room };
};

test('the page and its boxes are scrolled back at once where they can be, and only once', () => {
  kept();
  const { list, root } = arrive(500);
  assert.deepEqual([list.scrollTop, root.scrollTop], [120, 300]);
  assert.equal(frame(), 0);
  assert.equal(isScrolled(store, '/page'), false);
  assert.equal(arrive(500).list.scrollTop, 0);
});

test('a box that grows later is followed until it is large enough', () => {
  kept();
  const { list, room } = arrive(50);
  assert.equal(list.scrollTop, 50);
  frame();
  room.height = 500;
  frame();
  assert.equal(list.scrollTop, 120);
  assert.equal(frame(), 0);
});

test('a box that never comes is not waited for for ever', () => {
  kept();
  now = 0;
  const { room, list } = arrive(50);
  now = 1999;
  assert.equal(frame(), 1);
  now = 2001;
  assert.equal(frame(), 1);
  assert.equal(frame(), 0);
  room.height = 500;
  assert.equal(list.scrollTop, 50);
});

test('a person who scrolls is not fought', () => {
  kept();
  const { list, room } = arrive(50);
  page.dispatchEvent(new Event('wheel'));
  room.height = 500;
  frame();
  assert.equal(list.scrollTop, 50);
});

test('a page that scrolls itself is left to it, but not its boxes', () => {
  history.scrollRestoration = 'manual';
  kept();
  const { list, root } = arrive(500);
  assert.deepEqual([list.scrollTop, root.scrollTop], [120, 0]);
});
