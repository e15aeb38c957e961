import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFonts } from '../src/fonts';
import { createStyles, type Outcome } from '../src/stylesheets';
import type { Change } from '../src/wire';
import { ORIGIN, openPage, type PageOptions } from './cssom';
import { settled } from './fakes';

const css = (url: string, op: Change['op'] = 'modified'): Change => ({
  path: url.slice(1),
  url,
  kind: 'css',
  op,
});
const SITE = [css('/site.css')];
const LINK = '<link rel="stylesheet" href="/site.css">';

const open = (head: string, options: PageOptions & { body?: string } = {}) => {
  const page = openPage(head, options.body, options);
  const refreshed: string[] = [];
  let done: () => void = () => undefined;
  const marks = new Map<string, string>();
  const swap = createStyles({
    document: page.document,
    fonts: createFonts(page.document),
    markOf: (resource) => marks.get(resource.replace(ORIGIN, '')),
    refresh(urls) {
      refreshed.push(...urls.map((url) => url.replace(ORIGIN, '')));
      return new Promise<void>((resolve) => (done = resolve));
    },
  });
  return { ...page, swap, refreshed, marks, cached: () => done() };
};

/** Whether what was begun is over. */
const isOver = async (outcome: Outcome): Promise<boolean> => {
  let over = false;
  void Promise.resolve(outcome).then(() => (over = true));
  await settled();
  return over;
};

test('the new sheet loads right behind the old one, which goes when the new one is there', async () => {
  const page = open(`${LINK}<link rel="stylesheet" href="/theme.css">`);
  const outcome = page.swap(SITE, '2');
  assert.deepEqual(page.hrefs(), ['/site.css', '/site.css?hot-reload=2', '/theme.css']);
  assert.equal(await isOver(outcome), false);
  page.load(page.all('link')[1]);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=2', '/theme.css']);
  assert.equal(await isOver(outcome), true);
});

test('what the cache has of a sheet without a mark is made new too', () => {
  const page = open('<link rel="stylesheet" href="/site.css?v=1&amp;hot-reload=1#x">');
  page.swap(SITE, '2');
  assert.deepEqual(page.refreshed, [], 'not before it is shown');
  page.load(page.all('link')[1]);
  assert.deepEqual(page.hrefs(), ['/site.css?v=1&hot-reload=2#x']);
  assert.deepEqual(page.refreshed, ['/site.css?v=1#x']);
});

test('every link to the sheet is swapped', () => {
  const page = open(LINK + LINK);
  page.swap(SITE, '2');
  for (const link of page.all('link[href*=hot]')) page.load(link);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=2', '/site.css?hot-reload=2']);
});

test('a sheet that fails to load leaves the old one, and the page hears nothing of it', async () => {
  const page = open(LINK);
  const outcome = page.swap(SITE, '2');
  assert.equal(page.fire(page.all('link')[1], 'error'), false);
  assert.deepEqual(page.hrefs(), ['/site.css']);
  assert.equal(await isOver(outcome), true);
  page.swap(SITE, '3');
  page.load(page.all('link')[1]);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3'], 'and is replaced by a later one');
});

test('attributes and nonce are kept; the hash of the old bytes goes', () => {
  const page = open(
    '<link rel="stylesheet" id="it" media="print" nonce="abc" integrity="sha256-x" href="/site.css">',
  );
  page.swap(SITE, '2');
  const [old, next] = page.all('link');
  assert.deepEqual(
    [next.id, next.getAttribute('media'), next.nonce, next.hasAttribute('integrity')],
    ['it', 'print', 'abc', false],
  );
  assert.equal(old.getAttribute('integrity'), 'sha256-x');
});

test('a later save overtakes a sheet that is still loading', async () => {
  const page = open(LINK);
  const first = page.swap(SITE, '2');
  const late = page.all('link')[1];
  const second = page.swap(SITE, '3');
  assert.deepEqual(page.hrefs(), ['/site.css', '/site.css?hot-reload=3']);
  assert.equal(await isOver(first), true, 'nobody waits for the first');
  page.load(page.all('link')[1]);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3']);
  page.fire(late, 'load');
  page.fire(late, 'error');
  page.frame();
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3']);
  assert.equal(await isOver(second), true);
  assert.equal(page.frames(), 0, 'nothing runs on');
});

test('a sheet that loads, or is there, with this mark is left alone', async () => {
  const page = open(LINK);
  page.swap(SITE, '2');
  const [, next] = page.all('link');
  assert.equal(await isOver(page.swap(SITE, '2')), true);
  assert.equal(page.all('link')[1], next);
  page.load(next);
  assert.equal(await isOver(page.swap(SITE, '2')), true);
  assert.deepEqual(page.all('link'), [next]);
});

test('a sheet that the page takes out meanwhile does not come back', async () => {
  const page = open(LINK);
  const outcome = page.swap(SITE, '2');
  const [old, next] = page.all('link');
  old.remove();
  page.load(next);
  assert.deepEqual(page.hrefs(), []);
  assert.equal(await isOver(outcome), true);
});

test('a disabled sheet gets the new address itself, and loads nothing beside it', async () => {
  const page = open('<link rel="stylesheet" disabled href="/site.css">');
  const [link] = page.all('link');
  assert.equal(await isOver(page.swap(SITE, '2')), true);
  assert.deepEqual(page.all('link'), [link]);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=2']);
});

test('an alternate sheet stays the same element, and has the new images once it is loaded', () => {
  const page = open('<link rel="alternate stylesheet" title="dark" href="/site.css">', {
    files: { '/site.css': 'p { mask: url(/dot.svg) }' },
  });
  page.marks.set('/dot.svg', '1');
  const [link] = page.all('link');
  page.swap(SITE, '2');
  assert.deepEqual(page.all('link'), [link]);
  page.load(link);
  assert.match(link.sheet.cssText, /dot\.svg\?hot-reload=1/);
});

test('a sheet that script switched off stays off, and one that is on stays on', () => {
  for (const disabled of [true, false]) {
    const page = open(LINK);
    page.sheet('link').disabled = disabled;
    page.swap(SITE, '2');
    page.load(page.all('link')[1]);
    assert.equal(page.sheet('link').disabled, disabled);
  }
});

test('a link whose old sheet never came takes the new one', () => {
  const page = open(LINK);
  const [old] = page.all('link');
  Object.defineProperty(old, 'sheet', { value: null });
  page.swap(SITE, '2');
  page.load(page.all('link')[1]);
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=2']);
});

test('images that are new elsewhere are new in the new sheet in its first frame', () => {
  const page = open(LINK, { files: { '/site.css': 'p { mask: url(/dot.svg) }' } });
  page.marks.set('/dot.svg', '1');
  page.swap(SITE, '2');
  const [, next] = page.all('link');
  page.frame();
  page.arrive(next);
  page.frame();
  assert.match(next.sheet.cssText, /dot\.svg\?hot-reload=1/, 'before its element is told');
  page.load(next);
  assert.match(next.sheet.cssText, /dot\.svg\?hot-reload=1/);
  page.frame();
  assert.equal(page.frames(), 0, 'nothing runs on');
});

test('a stylesheet that the page does not use is unused', () => {
  const page = open(`${LINK}<link rel="icon" href="/icon.css"><style>p { color: red }</style>`);
  assert.equal(page.swap([css('/admin.css')], '2'), 'unused');
  assert.equal(page.swap([css('/icon.css')], '2'), 'unused');
  assert.equal(page.swap([css('/site.css', 'removed')], '2'), 'unused');
  assert.equal(page.swap([], '2'), 'unused');
  assert.deepEqual(page.hrefs(), ['/site.css', '/icon.css']);
});

test('a sheet of another host is not ours', () => {
  const page = open('<link rel="stylesheet" href="http://cdn.example/site.css">');
  assert.equal(page.swap(SITE, '2'), 'unused');
});

test('a new build under a new name asks for the page again', () => {
  const page = open('<link rel="stylesheet" href="/site-0a1b2c3d.css">');
  assert.equal(page.swap([css('/site-4e5f6a7b.css', 'added')], '2'), 'reload');
});

const IMPORTING = {
  '/main.css': '@import "parts/base.css"; p { margin: 3px }',
  '/parts/base.css': '@import "deep.css";',
  '/parts/deep.css': 'p { color: red }',
};

test('an imported sheet is refreshed first, and then the sheet that imports it swapped', async () => {
  for (const name of ['base', 'deep']) {
    const page = open('<link rel="stylesheet" href="/main.css">', { files: IMPORTING });
    const outcome = page.swap([css(`/parts/${name}.css`)], '2');
    assert.deepEqual(page.refreshed, [`/parts/${name}.css`]);
    assert.deepEqual(page.hrefs(), ['/main.css'], 'not yet');
    page.cached();
    await settled();
    assert.deepEqual(page.hrefs(), ['/main.css', '/main.css?hot-reload=2']);
    assert.equal(await isOver(outcome), false);
    page.load(page.all('link')[1]);
    assert.equal(await isOver(outcome), true);
  }
});

test('a sheet that is saved with one that it imports is swapped once', async () => {
  const page = open('<link rel="stylesheet" href="/main.css">', { files: IMPORTING });
  page.swap([css('/main.css'), css('/parts/base.css')], '2');
  assert.deepEqual(page.hrefs(), ['/main.css'], 'not before the cache has the imported one');
  page.cached();
  await settled();
  assert.deepEqual(page.hrefs(), ['/main.css', '/main.css?hot-reload=2']);
});

test('Firefox, which keeps imported sheets, asks for the page again', () => {
  const page = open(`<link rel="stylesheet" href="/main.css">${LINK}`, {
    files: IMPORTING,
    engine: 'firefox',
  });
  assert.equal(page.swap([css('/parts/deep.css')], '2'), 'reload');
  assert.deepEqual(page.refreshed, []);
  assert.notEqual(page.swap(SITE, '2'), 'reload', 'not for one that is linked');
});

test('a style element that imports a sheet is put in anew, with its nonce', async () => {
  const page = open('<style nonce="abc">@import "/main.css";</style>', { files: IMPORTING });
  page.swap([css('/main.css')], '2');
  assert.deepEqual(page.refreshed, ['/main.css']);
  page.cached();
  await settled();
  const [old, next] = page.all('style');
  assert.equal(next.nonce, 'abc');
  assert.equal(next.textContent, old.textContent);
  page.load(next);
  assert.deepEqual(page.all('style'), [next]);
  assert.deepEqual(page.refreshed, ['/main.css'], 'it has no address of its own');
});

test('a sheet that loads beside another is not taken for one of the page', async () => {
  const page = open('<style>@import "/main.css";</style>', { files: IMPORTING });
  page.swap([css('/main.css')], '2');
  page.cached();
  await settled();
  page.arrive(page.all('style')[1]);
  page.refreshed.length = 0;
  page.swap([css('/main.css')], '3');
  assert.deepEqual(page.refreshed, ['/main.css'], 'once, for the one that it succeeds');
});

test('sheets in open shadow roots are swapped there', () => {
  const page = open('', { body: '<div></div>' });
  const root = page.shadow(page.one('div'), LINK);
  page.swap(SITE, '2');
  page.load(page.all('link', root)[1]);
  assert.deepEqual(
    page.all('link', root).map((link) => link.getAttribute('href')),
    [`${ORIGIN}/site.css?hot-reload=2`],
  );
});

test('while the document is parsed, what comes later is swapped at its end', () => {
  const page = open(LINK);
  page.document.readyState = 'loading';
  page.swap(SITE, '2');
  const [, next] = page.all('link');
  page.one('body').innerHTML = LINK;
  page.document.readyState = 'interactive';
  page.fire(page.document, 'DOMContentLoaded');
  assert.deepEqual(page.hrefs(), [
    '/site.css',
    '/site.css?hot-reload=2',
    '/site.css',
    '/site.css?hot-reload=2',
  ]);
  assert.equal(page.all('link')[1], next, 'what loads already is left alone');
});

test('while the document is parsed, what was overtaken does not come back at its end', () => {
  const page = open(LINK);
  page.document.readyState = 'loading';
  for (const mark of ['2', '3']) {
    page.swap(SITE, mark);
    page.load(page.all('link')[1]);
  }
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3']);
  page.document.readyState = 'interactive';
  page.fire(page.document, 'DOMContentLoaded');
  assert.deepEqual(page.hrefs(), ['/site.css?hot-reload=3']);
});

const WITH_FACE = { '/site.css': '@font-face { font-family: A; src: url(/a.ttf); }' };

const openWithFace = async () => {
  const page = open(LINK, { files: WITH_FACE });
  for (const face of page.faces()) void face.load();
  page.network.answer('/a.ttf');
  await settled();
  return page;
};

test('a sheet whose face text is shown in is put in after a face stands in for it', async () => {
  const page = await openWithFace();
  const outcome = page.swap(SITE, '2');
  assert.deepEqual(page.hrefs(), ['/site.css']);
  page.network.answer('/a.ttf');
  await settled();
  assert.deepEqual(page.hrefs(), ['/site.css', '/site.css?hot-reload=2']);
  assert.equal(page.added.size, 1);
  page.load(page.all('link')[1]);
  assert.equal(await isOver(outcome), true);
  assert.equal(page.added.size, 1, 'until the face of the new sheet is loaded');
  page.network.answer('/a.ttf');
  await settled();
  assert.equal(page.added.size, 0);
});

test('a sheet that was overtaken, or taken out, while its font loads is not put in', async () => {
  const page = await openWithFace();
  const first = page.swap(SITE, '2');
  page.swap(SITE, '3');
  page.network.answer('/a.ttf');
  await settled();
  assert.deepEqual(page.hrefs(), ['/site.css', '/site.css?hot-reload=3']);
  assert.equal(await isOver(first), true);

  const other = await openWithFace();
  const outcome = other.swap(SITE, '2');
  other.one('link').remove();
  other.network.answer('/a.ttf');
  await settled();
  assert.deepEqual(other.hrefs(), []);
  assert.equal(await isOver(outcome), true);
  assert.equal(other.added.size, 0);
});

test('a face in a new sheet gets the mark that the font has elsewhere', () => {
  const page = open(LINK, { files: WITH_FACE });
  page.marks.set('/a.ttf', '1');
  page.swap(SITE, '2');
  page.load(page.all('link')[1]);
  assert.match(page.sheet('link').cssText, /a\.ttf\?hot-reload=1/);
});
