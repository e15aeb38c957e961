import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createMorph, judge, parsed } from '../src/morph';
import { titleOf } from '../src/overlay';
import { DOMParser, documentOf } from './page';

interface Ask {
  url: string;
  signal: AbortSignal;
  answer(text: string, more?: { status?: number; kind?: string; type?: string }): void;
  fail(): void;
}

const asks: Ask[] = [];
let leave: EventTarget;
let shadows: { textContent: string | null }[];

/** A page at `/a`, as the parser of a browser leaves it. */
const pageOf = (body: string, head = '') => {
  const document = documentOf(body, head);
  const location = { href: 'http://localhost/a?b#c', pathname: '/a', search: '?b' };
  Object.defineProperties(document, {
    location: { value: location },
    characterSet: { value: 'UTF-8', configurable: true },
    compatMode: { value: 'CSS1Compat' },
    activeElement: { value: document.body },
  });
  const createElement = document.createElement.bind(document);
  document.createElement = (tag: string) => {
    const element = createElement(tag);
    element.attachShadow = () => {
      const root = createElement('shadow') as unknown as ShadowRoot;
      shadows.push(root);
      return root;
    };
    return element;
  };
  return document;
};

const originalOf = (document: Document) => ({
  address: '/a?b',
  markup: document.documentElement.outerHTML,
});

class Parser extends DOMParser {
  override parseFromString(markup: string): Document {
    const document = super.parseFromString(markup);
    Object.defineProperty(document, 'compatMode', {
      value: markup.startsWith('<!doctype') ? 'CSS1Compat' : 'BackCompat',
    });
    return document;
  }
}

const page = (body: string, head = ''): string =>
  `<!doctype html><html><head>${head}</head><body>${body}</body></html>`;

beforeEach(() => {
  asks.length = 0;
  leave = new EventTarget();
  shadows = [];
  Object.assign(globalThis, {
    DOMParser: Parser,
    CSSStyleSheet: class {
      replaceSync(): void {}
    },
    Node: { DOCUMENT_POSITION_FOLLOWING: 4 },
    addEventListener: leave.addEventListener.bind(leave),
    // Node knows no boolean there.
    removeEventListener: (name: string, listener: () => void, capture: boolean) =>
      leave.removeEventListener(name, listener, { capture }),
    fetch: (url: string, { signal, ...options }: RequestInit) =>
      new Promise((done, fail) => {
        signal!.addEventListener('abort', fail);
        assert.deepEqual(options, {
          cache: 'no-store',
          redirect: 'manual',
          headers: { accept: 'text/html' },
        });
        asks.push({
          url,
          signal: signal!,
          fail: () => fail(new TypeError()),
          answer: (
            text,
            { status = 200, kind = 'text/html; charset=utf-8', type = 'basic' } = {},
          ) =>
            done({
              status,
              type,
              text: () => Promise.resolve(text),
              headers: new Headers({ 'content-type': kind }),
            }),
        });
      }),
  });
});
afterEach(() => {
  delete (globalThis as any).htmx;
});

const answer = (more: object) =>
  judge({ status: 200, type: 'basic', isHtml: true, text: '', ...more });

test('what an answer means', () => {
  assert.equal(answer({}), 'page');
  assert.equal(answer({ status: 404 }), 'page');
  assert.equal(answer({ status: 404, isHtml: false }), 'reload');
  assert.equal(answer({ isHtml: false }), 'reload');
  assert.equal(answer({ status: 0, type: 'opaqueredirect' }), 'reload');
  assert.equal(answer({ status: 500 }), 'failed');
  assert.equal(answer({ status: 503, isHtml: false }), 'failed');
  assert.equal(answer({ status: 0, type: 'error' }), 'failed');
});

test('an overlay says which', () => {
  assert.match(titleOf(502), /502/);
  assert.match(titleOf(0), /does not answer/);
});

test('a nonce is no difference', () => {
  const markup = (nonce: string) => parsed(page('', `<style nonce="${nonce}"></style>`));
  assert.ok(markup('a').documentElement.outerHTML === markup('b').documentElement.outerHTML);
});

const outcome = async (
  base: string,
  next: string,
  { disturb = (_: Document): void => undefined, original = true, ...more } = {},
) => {
  const document = pageOf(base);
  const morph = createMorph(document, original ? originalOf(document) : undefined);
  disturb(document);
  const done = morph();
  assert.equal(asks[0]!.url, 'http://localhost/a?b#c');
  asks[0]!.answer(next, more);
  return [await done, document.body.innerHTML];
};

test('the page is asked for, and changed into the answer', async () => {
  assert.deepEqual(await outcome('<p>a</p>', page('<p>b</p>')), ['morphed', '<p>b</p>']);
});

const reloads: [what: string, base: string, next: string, more?: object][] = [
  ['a script that is new', '<p>a</p>', page('<p>b</p><script>1</script>')],
  ['a script that is gone', '<p>a</p><script>1</script>', page('<p>b</p>')],
  ['a script whose text changed', '<script>1</script>', page('<script>2</script>')],
  [
    'a script whose address changed',
    '<script src="/a"></script>',
    page('<script src="/b"></script>'),
  ],
  ['a script whose type changed', '<script>1</script>', page('<script type="module">1</script>')],
  [
    'scripts in another order',
    '<script>1</script><script>2</script>',
    page('<script>2</script><script>1</script>'),
  ],
  [
    'a template that scripts use',
    '<template><p>a</p></template>',
    page('<template><p>b</p></template>'),
  ],
  ['another base', '<base href="/a">', page('<base href="/b">')],
  ['another mode', '<p>a</p>', page('<p>b</p>').replace('<!doctype html>', '')],
  ['something else than HTML', '<p>a</p>', 'x', { kind: 'text/plain' }],
  ['a redirect', '<p>a</p>', '', { status: 0, type: 'opaqueredirect' }],
  ['a page whose beginning is not known', '<p>a</p>', page('<p>b</p>'), { original: false }],
  [
    'a page in another encoding',
    '<p>a</p>',
    page('<p>b</p>'),
    {
      disturb: (document: Document) =>
        Object.defineProperty(document, 'characterSet', { value: 'windows-1252' }),
    },
  ],
  [
    'a page of another address',
    '<p>a</p>',
    page('<p>b</p>'),
    {
      disturb: (document: Document) => ((document.location as any).pathname = '/other'),
    },
  ],
  [
    'what a script took away',
    '<p>a</p>',
    page('<p>b</p>'),
    {
      disturb: (document: Document) => (document.body.innerHTML = ''),
    },
  ],
];
for (const [what, base, next, more] of reloads)
  test(`reloaded: ${what}`, async () => {
    assert.equal((await outcome(base, next, more))[0], 'reload');
  });

test('scripts that stay do not matter, nor does their nonce', async () => {
  const [result, body] = await outcome(
    '<p>a</p><script nonce="x">1</script>',
    page('<p>b</p><script nonce="y">1</script>'),
  );
  assert.equal(result, 'morphed');
  assert.match(body!, /<p>b<\/p>/);
});

test('one morph builds on the other', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  for (const [index, body] of ['<p>b</p><i>1</i>', '<p>c</p>', '<p>c</p><u></u>'].entries()) {
    const done = morph();
    asks[index]!.answer(page(body));
    assert.equal(await done, 'morphed');
    assert.equal(document.body.innerHTML, body);
  }
});

test('an error is shown above the page, once, and goes with the next page', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const overlays = () => document.querySelectorAll('hot-reload-overlay').length;
  for (const [index, status] of [500, 503].entries()) {
    const done = morph();
    asks[index]!.answer('Trace back', { status, kind: 'text/plain' });
    assert.equal(await done, 'failed');
    assert.equal(overlays(), 1);
    assert.match(shadows.at(-1)!.textContent!, /Trace back/);
    assert.match(shadows.at(-1)!.textContent!, new RegExp(`${status}`));
  }
  const silent = morph();
  asks[2]!.fail();
  assert.equal(await silent, 'failed');
  assert.match(shadows.at(-1)!.textContent!, /does not answer/);
  assert.equal(document.querySelector('p')!.textContent, 'a');
  const done = morph();
  asks[3]!.answer(page('<p>b</p>'));
  assert.equal(await done, 'morphed');
  assert.equal(overlays(), 0);
});

test('Escape takes the overlay away, and the page hears nothing of it', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const done = morph();
  asks[0]!.answer('<h1>Error</h1>', { status: 500 });
  await done;
  let heard = 0;
  const listen = () => heard++;
  leave.addEventListener('keydown', listen);
  const press = (key: string) => leave.dispatchEvent(Object.assign(new Event('keydown'), { key }));
  press('a');
  assert.equal(heard, 1);
  assert.equal(document.querySelectorAll('hot-reload-overlay').length, 1);
  press('Escape');
  assert.equal(heard, 1);
  assert.equal(document.querySelectorAll('hot-reload-overlay').length, 0);
  press('Escape');
  assert.equal(heard, 2);
  leave.removeEventListener('keydown', listen);
});

test('of two at once the last wins', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const first = morph();
  const second = morph();
  assert.ok(asks[0]!.signal.aborted);
  asks[0]!.answer(page('<p>first</p>'));
  asks[1]!.answer(page('<p>second</p>'));
  assert.deepEqual(await Promise.all([first, second]), ['morphed', 'morphed']);
  assert.equal(document.body.innerHTML, '<p>second</p>');
});

test('a page that goes elsewhere meanwhile is let be', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const done = morph();
  (document.location as any).search = '?c';
  asks[0]!.answer(page('<p>b</p>'));
  assert.equal(await done, 'unused');
  assert.equal(document.body.innerHTML, '<p>a</p>');
});

test('a page that was left and came back asks again', async () => {
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const done = morph();
  asks[0]!.fail();
  leave.dispatchEvent(new Event('pagehide'));
  const end = Date.now() + 5000;
  while (asks.length < 2) {
    assert.ok(Date.now() < end, 'it asks again');
    await new Promise((next) => setTimeout(next, 5));
  }
  assert.equal(document.querySelectorAll('hot-reload-overlay').length, 0);
  asks[1]!.answer(page('<p>b</p>'));
  assert.equal(await done, 'morphed');
});

test('htmx is told of what is new', async () => {
  const told: unknown[] = [];
  (globalThis as any).htmx = { process: (element: unknown) => told.push(element) };
  const document = pageOf('<p>a</p>');
  const morph = createMorph(document, originalOf(document));
  const done = morph();
  asks[0]!.answer(page('<p>b</p>'));
  await done;
  assert.ok(told.length === 1 && told[0] === document.body);
});
