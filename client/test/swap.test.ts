import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSwap } from '../src/swap';
import type { Change } from '../src/wire';
import { FakeSheet, ORIGIN, openPage, type PageOptions } from './cssom';
import { settled } from './fakes';

const saved = (url: string, kind: Change['kind'] = 'image', op: Change['op'] = 'modified') => ({
  path: url.slice(1),
  url,
  kind,
  op,
});
const DOT = [saved('/dot.svg')];
const IMAGE = '<img src="/dot.svg">';

const open = (head: string, body = '', options: PageOptions = {}) => {
  const page = openPage(head, body, options);
  const refreshed: string[] = [];
  const swap = createSwap(page.document as Document, async (urls) => {
    refreshed.push(...urls.map((url) => url.replace(ORIGIN, '')));
  });
  const outcomes: string[] = [];
  return {
    ...page,
    refreshed,
    outcomes,
    src: (selector = 'img') => page.one(selector).getAttribute('src'),
    /** Begins; `outcomes` has what came of it. */
    async swap(changes: readonly Change[], mark: string): Promise<void> {
      void swap(changes, mark).then((outcome) => outcomes.push(outcome));
      await settled();
    },
  };
};

const isPatience = (delay: number): boolean => delay === 1000;

test('an image is loaded before it is shown in every place, and then kept in the cache', async () => {
  const page = open(
    '<style>p { background: url(/dot.svg) }</style>',
    `${IMAGE}<p style="mask: url(/dot.svg)"></p>`,
  );
  await page.swap(DOT, '2');
  assert.deepEqual(page.network.asked, ['/dot.svg?hot-reload=2']);
  assert.equal(page.src(), '/dot.svg', 'the old one is shown');
  assert.deepEqual(page.refreshed, []);
  assert.deepEqual(page.outcomes, []);
  page.network.answer('/dot.svg');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
  assert.match(page.sheet('style').cssText, /dot\.svg\?hot-reload=2/);
  assert.match(page.one('p').getAttribute('style'), /dot\.svg\?hot-reload=2/);
  assert.deepEqual(page.refreshed, ['/dot.svg']);
  assert.deepEqual(page.outcomes, ['swapped']);
});

test('in Firefox, whose images no script refreshes, the cache is left alone', async () => {
  const page = open('', IMAGE, { engine: 'firefox' });
  await page.swap(DOT, '2');
  page.network.answer('/dot.svg');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
  assert.deepEqual(page.refreshed, []);
});

test('an image is loaded in each way in which it is shown', async () => {
  const page = open('', `${IMAGE}<img crossorigin="use-credentials" src="/dot.svg">`);
  await page.swap(DOT, '2');
  assert.deepEqual(page.network.asked, [
    '/dot.svg?hot-reload=2',
    '/dot.svg?hot-reload=2 use-credentials',
  ]);
});

test('an image that fails to load leaves the old one, and others are shown', async () => {
  const page = open('', `${IMAGE}<embed src="/other.svg">`);
  await page.swap([...DOT, saved('/other.svg')], '2');
  page.network.refuse('/dot.svg');
  page.network.answer('/other.svg');
  await settled();
  assert.equal(page.src(), '/dot.svg');
  assert.equal(page.src('embed'), '/other.svg?hot-reload=2');
  assert.deepEqual(page.refreshed, ['/other.svg']);
  assert.deepEqual(page.outcomes, ['swapped']);
});

test('a later save overtakes an image that is still loading', async () => {
  const page = open('', IMAGE);
  await page.swap(DOT, '2');
  await page.swap(DOT, '3');
  page.network.answer('=3');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=3');
  page.network.answer('=2');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=3');
  assert.deepEqual(page.refreshed, ['/dot.svg']);
});

test('an image that takes long is not waited for, and is shown when it comes', async () => {
  const page = open('', IMAGE);
  await page.swap(DOT, '2');
  page.timers.fire(isPatience);
  await settled();
  assert.deepEqual(page.outcomes, ['swapped']);
  page.network.answer('/dot.svg');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
});

test('a lazy image that is far away is marked, and not loaded early', async () => {
  const page = open('', '<img loading="lazy" src="/dot.svg">');
  page.shown.set(page.one('img'), undefined);
  await page.swap(DOT, '2');
  assert.deepEqual(page.network.asked, []);
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
});

test('what the page does not use is unused; so is what was removed', async () => {
  const page = open('', '<a href="/dot.svg"></a>');
  await page.swap(DOT, '2');
  await page.swap([saved('/site.css', 'css')], '2');
  await page.swap([saved('/gone.svg', 'image', 'removed')], '2');
  assert.deepEqual(page.outcomes, ['unused', 'unused', 'unused']);
  assert.deepEqual(page.network.asked, []);
});

test('what was loaded for something that cannot be reached asks for the page again', async () => {
  const page = open('');
  page.entries.push({ name: `${ORIGIN}/dot.svg?x`, initiatorType: 'img' });
  await page.swap(DOT, '2');
  assert.deepEqual(page.outcomes, ['reload']);
});

test('what was only fetched, as the client does itself, is unused', async () => {
  const page = open('');
  page.entries.push({ name: `${ORIGIN}/dot.svg`, initiatorType: 'fetch' });
  await page.swap(DOT, '2');
  assert.deepEqual(page.outcomes, ['unused']);
});

test('a new build of an image under a new name asks for the page again', async () => {
  const page = open('', '<img src="/dot-0a1b2c3d.svg">');
  await page.swap([saved('/dot-4e5f6a7b.svg', 'image', 'added')], '2');
  assert.deepEqual(page.outcomes, ['reload']);
});

test('a stylesheet that asks for the page again does so whatever the images do', async () => {
  const page = open('<link rel="stylesheet" href="/site-0a1b2c3d.css">', IMAGE);
  await page.swap([saved('/site-4e5f6a7b.css', 'css', 'added'), ...DOT], '2');
  assert.deepEqual(page.outcomes, ['reload']);
});

test('while the document is parsed, images wait for its end', async () => {
  const page = open('');
  page.document.readyState = 'loading';
  await page.swap(DOT, '2');
  assert.deepEqual(page.outcomes, []);
  page.one('body').innerHTML = IMAGE;
  page.fire(page.document, 'DOMContentLoaded');
  await settled();
  page.network.answer('/dot.svg');
  await settled();
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
});

test('a stylesheet is swapped, and has the images that are new', async () => {
  const page = open('<link rel="stylesheet" href="/site.css">', IMAGE, {
    files: { '/site.css': 'p { background: url(dot.svg) }' },
  });
  await page.swap(DOT, '2');
  page.network.answer('/dot.svg');
  await settled();
  await page.swap([saved('/site.css', 'css')], '3');
  page.load(page.all('link')[1]);
  await settled();
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3']);
  assert.match(page.sheet('link').cssText, /dot\.svg\?hot-reload=2/);
  assert.deepEqual(page.outcomes, ['swapped', 'swapped']);
});

test('called without changes it gives what the document has got the marks', async () => {
  const page = open('', IMAGE);
  await page.swap(DOT, '2');
  page.network.answer('/dot.svg');
  await settled();
  page.one('body').innerHTML = `${IMAGE}<embed src="/other.svg">`;
  const sheet = new FakeSheet('p { mask: url(/dot.svg) }');
  Object.assign(page.document, { adoptedStyleSheets: [sheet] });
  await page.swap([], '3');
  assert.equal(page.src(), '/dot.svg?hot-reload=2');
  assert.equal(page.src('embed'), '/other.svg');
  assert.match(sheet.cssText, /hot-reload=2/);
  assert.deepEqual(page.outcomes, ['swapped', 'unused']);
});

const USE = '<svg id="page"><use href="/dot.svg#part"/></svg>';
const isLook = (delay: number): boolean => delay < 1000;

test('a part of a document is shown once another use of it draws it, which then goes', async () => {
  const page = open('', USE);
  await page.swap(DOT, '2');
  const href = `${ORIGIN}/dot.svg?hot-reload=2#part`;
  const probe = page.one(`use[href="${href}"]`);
  page.timers.fire(isLook);
  await settled();
  assert.equal(page.one('#page use').getAttribute('href'), '/dot.svg#part');
  page.drawn.add(href);
  page.timers.fire(isLook);
  await settled();
  assert.equal(page.one('#page use').getAttribute('href'), '/dot.svg?hot-reload=2#part');
  assert.equal(probe.isConnected, false);
  assert.equal(page.all('svg').length, 1);
});

test('a part of a document that never comes is given up, and the old one stays', async () => {
  const page = open('', USE);
  await page.swap(DOT, '2');
  const looks = () => page.timers.live().some(({ delay }) => isLook(delay));
  for (let count = 0; looks(); count++) {
    assert.ok(count < 1000, 'it ends');
    page.timers.fire(isLook);
    await settled();
  }
  assert.equal(page.one('#page use').getAttribute('href'), '/dot.svg#part');
  assert.equal(page.all('svg').length, 1, 'nothing is left of it');
  assert.deepEqual(page.outcomes, ['swapped']);
});

const FONT = [saved('/a.ttf', 'font')];
const openText = async () => {
  const page = open('<style>@font-face { font-family: A; src: url(/a.ttf) }</style>');
  for (const face of page.faces()) void face.load();
  page.network.answer('/a.ttf');
  await settled();
  page.network.asked.length = 0;
  return page;
};

test('a font that text is shown in is loaded before its rule is replaced', async () => {
  const page = await openText();
  await page.swap(FONT, '2');
  assert.deepEqual(page.network.asked, ['/a.ttf?hot-reload=2']);
  page.network.answer('/a.ttf');
  await settled();
  assert.doesNotMatch(page.sheet('style').cssText, /hot-reload/, 'a face has to stand in first');
  page.network.answer('/a.ttf');
  await settled();
  assert.equal(page.added.size, 1);
  assert.match(page.sheet('style').cssText, /a\.ttf\?hot-reload=2/);
  page.network.answer('/a.ttf');
  await settled();
  assert.equal(page.added.size, 0);
  assert.deepEqual(page.outcomes, ['swapped']);
});

test('a font that fails to load leaves the old one', async () => {
  const page = await openText();
  await page.swap(FONT, '2');
  page.network.refuse('/a.ttf');
  await settled();
  assert.doesNotMatch(page.sheet('style').cssText, /hot-reload/);
  assert.deepEqual(page.outcomes, ['swapped']);
});

test('a font that no text uses is not loaded, and new when one does', async () => {
  const page = open('<style>@font-face { font-family: A; src: url(/a.ttf) }</style>');
  await page.swap(FONT, '2');
  assert.deepEqual(page.network.asked, []);
  assert.match(page.sheet('style').cssText, /a\.ttf\?hot-reload=2/);
});
