import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choiceOf, planMerge } from '../src/merge';
import { documentOf } from './page';

/** The order of attributes says nothing. */
const sorted = (body: Element): string => {
  for (const element of body.querySelectorAll('*')) {
    const attributes = [...element.attributes].map(({ name, value }) => [name, value] as const);
    attributes.forEach(([name]) => element.removeAttribute(name));
    attributes.sort().forEach(([name, value]) => element.setAttribute(name, value));
  }
  return body.innerHTML;
};
const bodyOf = (markup: string): string => sorted(documentOf(markup).body);

/** What becomes of a page: its body, or `reload`. `disturb` is what scripts did to it. */
const merged = (
  base: string,
  next: string,
  disturb: (body: HTMLElement) => void = () => undefined,
  mayBeScripts: (node: Node) => boolean = () => false,
): string => {
  const live = documentOf(base);
  disturb(live.body);
  const merge = planMerge(
    live.documentElement,
    documentOf(base).documentElement,
    documentOf(next).documentElement,
    mayBeScripts,
  );
  merge?.apply();
  return merge ? sorted(live.body) : 'reload';
};

const cases: [promise: string, base: string, next: string][] = [
  ['nothing', '<p>a</p>', '<p>a</p>'],
  ['a text', '<p>a</p>', '<p>b</p>'],
  ['an attribute', '<p title="a" lang="b">a</p>', '<p title="c" dir="ltr">a</p>'],
  ['a new first element', '<p>a</p><p>b</p>', '<p>new</p><p>a</p><p>b</p>'],
  ['a new element between', '<p>a</p><p>b</p>', '<p>a</p><p>new</p><p>b</p>'],
  ['a new last element', '<p>a</p>', '<p>a</p> <p>new</p>'],
  ['one less', '<p>a</p><p>b</p><p>c</p>', '<p>a</p><p>c</p>'],
  ['none left', '<p>a</p>', ''],
  ['another tag', '<p>a</p>', '<div>a</div>'],
  [
    'another order',
    '<p id="a">1</p><p id="b">2</p><p id="c">3</p>',
    '<p id="c">3</p><p id="a">1</p><p id="b">2</p>',
  ],
  ['a comment', '<!--a--><p>a</p>', '<!--b--><p>a</p>'],
  [
    'a wrapper',
    '<p>a</p><form id="f"><input name="a"></form>',
    '<p>a</p><main><form id="f"><input name="a"></form></main>',
  ],
  [
    'a wrapper, and a change in what it wraps',
    '<form id="f"><input name="a"></form>',
    '<main><b>x</b><form id="f"><input name="a" size="3"><i>y</i></form></main>',
  ],
  [
    'no wrapper any more',
    '<main><form><input name="a"></form></main>',
    '<form><input name="a"></form>',
  ],
  [
    'nested changes',
    '<ul><li>a<ul><li>b</li></ul></li></ul>',
    '<ul><li>A<ul><li>b</li><li>c</li></ul></li></ul>',
  ],
  ['a name that setAttribute refuses', '<p @click="a">a</p>', '<p @click="b" :class="c">a</p>'],
];
for (const [what, base, next] of cases)
  test(`an untouched page becomes what the server says: ${what}`, () => {
    assert.equal(merged(base, next), bodyOf(next));
  });

test('any page becomes any other', () => {
  const random = (() => {
    let seed = 7;
    return (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  })();
  const make = (depth: number): string =>
    Array.from({ length: random(4) }, () => {
      const tag = ['p', 'b', 'i'][random(3)];
      const id = random(3) ? '' : ` id="n${random(1e6)}"`;
      const inside = depth && random(2) ? make(depth - 1) : `w${random(5)}`;
      return random(4) ? `<${tag}${id} class="c${random(3)}">${inside}</${tag}>` : `t${random(3)} `;
    }).join('');
  for (let round = 0; round < 300; round++) {
    const [base, next] = [make(3), make(3)].map((body) =>
      body.replace(/<p/g, '<div').replace(/<\/p/g, '</div'),
    );
    assert.equal(merged(base!, next!), bodyOf(next!), `${base} → ${next}`);
  }
});

test('an element that stays is the very same', () => {
  const base = '<div><video src="a"></video></div><p>a</p>';
  const live = documentOf(base);
  const video = live.querySelector('video');
  planMerge(
    live.documentElement,
    documentOf(base).documentElement,
    documentOf('<div>new</div><div class="x"><video src="a"></video></div><p>b</p>')
      .documentElement,
    () => false,
  )!.apply();
  assert.ok(live.querySelector('video') === video);
  assert.equal(live.querySelectorAll('video').length, 1);
});

test('what has moved is the very same', () => {
  const live = documentOf('<form class="f"><input name="a"></form>');
  const form = live.querySelector('form');
  planMerge(
    live.documentElement,
    documentOf('<form class="f"><input name="a"></form>').documentElement,
    documentOf('<main><section><form class="f"><input name="a"></form></section></main>')
      .documentElement,
    () => false,
  )!.apply();
  assert.ok(live.querySelector('main form') === form);
});

test('what scripts added stays, in its place', () => {
  const after = merged('<ul><li>a</li></ul><p>x</p>', '<ul><li>b</li></ul><p>y</p>', (body) => {
    body.querySelector('ul')!.insertAdjacentHTML('beforeend', '<li class="mine">mine</li>');
    body.insertAdjacentHTML('beforeend', '<output></output>');
  });
  assert.equal(after, '<ul><li>b</li><li class="mine">mine</li></ul><p>y</p><output></output>');
});

test('attributes and classes that scripts set stay', () => {
  const after = merged('<p class="a b">x</p>', '<p class="b c">x</p>', (body) => {
    const p = body.querySelector('p')!;
    p.classList.add('open');
    p.setAttribute('style', 'display: none');
  });
  assert.equal(after, bodyOf('<p class="open b c" style="display: none">x</p>'));
});

test('what scripts sorted is changed where it is now', () => {
  const after = merged('<i>1</i><i>2</i><i>3</i>', '<i>1</i><i>2</i><i class="x">3</i>', (body) =>
    body.prepend(body.lastChild!),
  );
  assert.equal(after, '<i class="x">3</i><i>1</i><i>2</i>');
});

test('what scripts moved away is found by its id', () => {
  const after = merged(
    '<main><i id="a">1</i></main><div></div>',
    '<main><i id="a">2</i></main><div></div>',
    (body) => body.querySelector('div')!.append(body.querySelector('i')!),
  );
  assert.equal(after, '<main></main><div><i id="a">2</i></div>');
});

test('what scripts took away stays away, unless the server changed it: a reload', () => {
  const take = (body: HTMLElement) => body.querySelector('b')!.remove();
  assert.equal(merged('<b>1</b><p>a</p>', '<b>1</b><p>b</p>', take), '<p>b</p>');
  assert.equal(merged('<b>1</b><p>a</p>', '<p>b</p>', take), '<p>b</p>');
  assert.equal(merged('<b>1</b><p>a</p>', '<b>2</b><p>a</p>', take), 'reload');
});

test('what may be a script’s is not taken away: a reload', () => {
  const always = () => true;
  assert.equal(merged('<b>1</b><p>a</p>', '<p>a</p>', undefined, always), 'reload');
  assert.equal(merged('<p>made</p>', '<p></p>', undefined, always), 'reload');
  assert.equal(merged('<p class="js">a</p>', '<p>a</p>', undefined, always), 'reload');
  assert.equal(merged('<p hidden="">a</p>', '<p>a</p>', undefined, always), 'reload');
  assert.equal(merged('<p>a</p>', '<p>b</p><i>c</i>', undefined, always), '<p>b</p><i>c</i>');
});

test('a stylesheet in its place with the mark of a swap is left alone', () => {
  const link = (more = '') => `<link rel="stylesheet" href="/a.css"${more}>`;
  const swap = (body: HTMLElement) =>
    body.querySelector('link')!.setAttribute('href', '/a.css?hot-reload=5');
  assert.equal(
    merged(`${link()}<p>a</p>`, `${link()}<p>b</p>`, swap),
    bodyOf('<link rel="stylesheet" href="/a.css?hot-reload=5"><p>b</p>'),
  );
  assert.equal(
    merged(link(), link(' media="print"'), swap),
    bodyOf('<link rel="stylesheet" href="/a.css?hot-reload=5" media="print">'),
  );
});

test('a replaced stylesheet goes when its successor is there', async () => {
  const live = documentOf('', '<link rel="stylesheet" href="/a.css">');
  const old = live.querySelector('link')!;
  planMerge(
    live.documentElement,
    documentOf('', '<link rel="stylesheet" href="/a.css">').documentElement,
    documentOf('', '<link rel="stylesheet" href="/b.css">').documentElement,
    () => false,
  )!.apply();
  assert.equal(live.querySelectorAll('link').length, 2);
  const next = [...live.querySelectorAll('link')].find((link) => link !== old)!;
  next.dispatchEvent(new (live.defaultView as unknown as { Event: typeof Event }).Event('load'));
  await new Promise((done) => setTimeout(done));
  const left = [...live.querySelectorAll('link')];
  assert.ok(left.length === 1 && left[0] === next);
});

test('what is marked to be kept is neither changed nor removed', () => {
  const keep = '<div data-hot-reload-keep="">a</div>';
  assert.equal(merged(keep, '<div data-hot-reload-keep="">b</div>'), keep);
  assert.equal(merged(`${keep}<p>a</p>`, '<p>a</p>'), `${keep}<p>a</p>`);
});

test('form controls of another name are never the same', () => {
  const live = documentOf('<input name="a">');
  const input = live.querySelector('input');
  planMerge(
    live.documentElement,
    documentOf('<input name="a">').documentElement,
    documentOf('<input name="b">').documentElement,
    () => false,
  )!.apply();
  assert.ok(live.querySelector('input') !== input);
});

test('long lists are paired in order, not compared each with each', () => {
  const list = (text: string) =>
    Array.from({ length: 400 }, (_, i) => `<li>${text} one two three ${i}</li>`).join('');
  const live = documentOf(list('a'));
  const first = live.querySelector('li');
  const next = documentOf(`<li>new</li>${list('b')}`);
  planMerge(
    live.documentElement,
    documentOf(list('a')).documentElement,
    next.documentElement,
    () => false,
  )!.apply();
  assert.equal(live.body.innerHTML, next.body.innerHTML);
  assert.ok(live.querySelector('li') === first);
});

const select = (options: [value: string, marked: boolean, chosen: boolean][], more = {}) =>
  ({
    multiple: false,
    size: 0,
    options: options.map(([value, defaultSelected, selected]) => ({
      value,
      defaultSelected,
      selected,
      disabled: false,
    })),
    ...more,
  }) as unknown as HTMLSelectElement;

test('a choice is one that the markup does not make', () => {
  assert.equal(
    choiceOf(
      select([
        ['a', false, true],
        ['b', false, false],
      ]),
    ),
    undefined,
  );
  assert.deepEqual(
    choiceOf(
      select([
        ['a', false, false],
        ['b', false, true],
      ]),
    ),
    ['b'],
  );
  assert.equal(
    choiceOf(
      select([
        ['a', false, false],
        ['b', true, true],
      ]),
    ),
    undefined,
  );
  assert.deepEqual(choiceOf(select([['a', true, false]], { multiple: true })), []);
  assert.deepEqual(
    choiceOf(
      select(
        [
          ['a', true, true],
          ['b', false, true],
        ],
        { multiple: true },
      ),
    ),
    ['a', 'b'],
  );
});
