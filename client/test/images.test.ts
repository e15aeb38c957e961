import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marking, visit, visitSheet, type Face, type How } from '../src/images';
import { FakeSheet, ORIGIN, openPage, type Files } from './cssom';

const DOT = `${ORIGIN}/dot.svg`;
const markOf = (resource: string): string | undefined => (resource === DOT ? '2' : undefined);
const SRC = 'src="/dot.svg"';

/** The attributes of the markup once its images are marked. */
const rewritten = (markup: string, attribute: string): string[] => {
  const page = openPage('', markup);
  visit(page.document, { use: markOf });
  return page.all('body *').flatMap((element) => element.getAttribute(attribute) ?? []);
};

/** A sheet once its images are marked. */
const rewrittenSheet = (css: string, files: Files = {}): FakeSheet => {
  openPage('');
  const sheet = new FakeSheet(css, `${ORIGIN}/css/site.css`, files);
  visitSheet(sheet as never, sheet.href!, { use: markOf });
  return sheet;
};

const asked = (markup: string): [string, How | undefined][] => {
  const found: [string, How | undefined][] = [];
  const page = openPage('', markup);
  visit(page.document, {
    use: (resource, how) => void found.push([resource.replace(ORIGIN, ''), how]),
  });
  return found;
};

test('only what shall have a mark gets one, and the rest stays byte for byte', () => {
  const rewrite = marking(`${ORIGIN}/a/`, markOf);
  assert.equal(rewrite('../dot.svg?'), '../dot.svg?', 'another resource');
  assert.equal(rewrite('../dot.svg#x'), '../dot.svg?hot-reload=2#x');
  assert.equal(rewrite('other.svg'), 'other.svg');
});

test('every element that shows an image by an attribute shows the new one', () => {
  for (const [markup, attribute] of [
    [`<img ${SRC}>`, 'src'],
    [`<input type="image" ${SRC}>`, 'src'],
    [`<embed ${SRC}>`, 'src'],
    ['<video poster="/dot.svg"></video>', 'poster'],
    ['<object data="/dot.svg"></object>', 'data'],
    ['<table background="/dot.svg"></table>', 'background'],
    ['<svg><image href="/dot.svg"/></svg>', 'href'],
    ['<svg><image xlink:href="/dot.svg"/></svg>', 'xlink:href'],
    ['<link rel="shortcut ICON" href="/dot.svg">', 'href'],
    ['<link rel="apple-touch-icon-precomposed" href="/dot.svg">', 'href'],
    ['<link rel="preload" as="image" href="/dot.svg">', 'href'],
  ] as const)
    assert.deepEqual(rewritten(markup, attribute), ['/dot.svg?hot-reload=2'], markup);
});

test('what shows no image keeps its address', () => {
  for (const [markup, attribute] of [
    ['<a href="/dot.svg"></a>', 'href'],
    ['<script src="/dot.svg"></script>', 'src'],
    ['<input type="text" src="/dot.svg">', 'src'],
    ['<link rel="canonical" href="/dot.svg">', 'href'],
    ['<img data-src="/dot.svg">', 'data-src'],
  ] as const)
    assert.deepEqual(rewritten(markup, attribute), ['/dot.svg'], markup);
});

test('of a srcset only the candidate that changed is marked', () => {
  assert.deepEqual(
    rewritten('<img srcset="/none.svg 9x,/dot.svg 1x , /other,.svg 8x">', 'srcset'),
    ['/none.svg 9x,/dot.svg?hot-reload=2 1x , /other,.svg 8x'],
  );
  assert.deepEqual(
    rewritten('<picture><source srcset="/dot.svg"><img src="/none.svg"></picture>', 'srcset'),
    ['/dot.svg?hot-reload=2'],
  );
  assert.deepEqual(
    rewritten('<link rel="preload" as="image" imagesrcset="/dot.svg 2x">', 'imagesrcset'),
    ['/dot.svg?hot-reload=2 2x'],
  );
});

test('an attribute that holds no image that changed is not written', () => {
  const page = openPage('', '<img src="/none.svg" srcset="/none.svg 2x">');
  const written: string[] = [];
  for (const attribute of page.one('img').attributes) {
    const { name, value } = attribute;
    Object.defineProperty(attribute, 'value', {
      get: () => value,
      set: () => written.push(name),
    });
  }
  visit(page.document, { use: markOf });
  assert.deepEqual(written, []);
});

test('an inline style shows the new image, keeps its priority and what else it says', () => {
  assert.deepEqual(
    rewritten(
      `<p style="color: red; background: url(/none.svg), url('/dot.svg') !important"></p>`,
      'style',
    ),
    ['color: red; background: url(/none.svg), url("/dot.svg?hot-reload=2") !important;'],
  );
  assert.deepEqual(rewritten('<p style="--own:url(/dot.svg)"></p>', 'style'), [
    '--own: url("/dot.svg?hot-reload=2");',
  ]);
  assert.deepEqual(rewritten('<p style="color:red"></p>', 'style'), ['color:red'], 'not touched');
});

test('an image is found in every kind of rule, and resolved against its sheet', () => {
  const shows = 'p { background: url(../dot.svg); }';
  const shown = 'p { background: url("../dot.svg?hot-reload=2"); }';
  for (const around of [
    '*',
    '@media screen { * }',
    '@supports (color: red) { * }',
    '@layer some { * }',
    '@container (min-width: 1px) { * }',
    '@media screen { @layer some { * } }',
    '@keyframes some { * }',
    'div { color: red; * }',
  ])
    assert.equal(rewrittenSheet(around.replace('*', shows)).cssText, around.replace('*', shown));
});

test('an image of a shorthand with a variable is marked in the shorthand', () => {
  assert.equal(
    rewrittenSheet('p { background: var(--repeat) url(/dot.svg) }').cssText,
    'p { background: var(--repeat) url("/dot.svg?hot-reload=2"); }',
  );
});

test('a string in image-set() is an image, and elsewhere none', () => {
  assert.equal(
    rewrittenSheet('p { content: "/dot.svg" url(/x.svg); cursor: image-set("/dot.svg" 1x) }')
      .cssText,
    'p { content: "/dot.svg" url(/x.svg); cursor: image-set("/dot.svg?hot-reload=2" 1x); }',
  );
});

test('an imported sheet is visited with its own base, and told of', () => {
  const files = {
    '/css/parts/base.css': '@import "deep.css"; p { background: url(../../dot.svg) }',
    '/css/parts/deep.css': 'p { mask: url(/dot.svg) }',
  };
  openPage('');
  const sheet = new FakeSheet(
    '@import "parts/base.css"; @import "missing.css";',
    `${ORIGIN}/css/site.css`,
    files,
  );
  const imported: string[] = [];
  visitSheet(sheet as never, sheet.href!, {
    use: markOf,
    imported: (href) => void imported.push(href.replace(ORIGIN, '')),
  });
  assert.deepEqual(imported, ['/css/parts/base.css', '/css/parts/deep.css', '/css/missing.css']);
  const [base] = sheet.cssRules;
  assert.match(base!.styleSheet!.cssText, /\.\.\/\.\.\/dot\.svg\?hot-reload=2/);
  assert.match(
    base!.styleSheet!.cssRules[0]!.styleSheet!.cssText,
    /url\("\/dot\.svg\?hot-reload=2"\)/,
  );
});

test('a visit without `use` tells of imports and faces, and writes nothing', () => {
  openPage('');
  const css = '@import "a.css"; p { background: url(/dot.svg); } @font-face { src: url(f); }';
  const sheet = new FakeSheet(css, `${ORIGIN}/css/site.css`);
  const before = sheet.cssText;
  const told: string[] = [];
  visitSheet(sheet as never, sheet.href!, {
    imported: (href) => void told.push(href),
    face: ({ base }) => void told.push(base),
  });
  assert.deepEqual(told, [`${ORIGIN}/css/a.css`, `${ORIGIN}/css/site.css`]);
  assert.equal(sheet.cssText, before);
});

test('a face is told of with `use` only where its address shall be marked', () => {
  openPage('');
  const sheet = new FakeSheet('@font-face { src: url(/dot.svg) } @font-face { src: url(/other) }');
  const faces: Face[] = [];
  const ways: unknown[] = [];
  visitSheet(sheet as never, `${ORIGIN}/`, {
    use(resource, how) {
      ways.push((how as Face).rule);
      return markOf(resource);
    },
    face: (face) => void faces.push(face),
  });
  assert.deepEqual(faces, [{ rule: sheet.cssRules[0], base: `${ORIGIN}/` }]);
  assert.deepEqual(ways, sheet.cssRules, 'what loads them is the face');
});

test('a sheet that may not be read is left alone, and does not stop the visit', () => {
  const page = openPage('<style></style><style>p { mask: url(/dot.svg) }</style>');
  page.sheet('style').closed = true;
  visit(page.document, { use: markOf });
  assert.match(page.all('style')[1].sheet.cssText, /hot-reload=2/);
});

test('an element that a policy protects does not stop the visit', () => {
  const page = openPage('', `<embed ${SRC}><img ${SRC}>`);
  const [embed, image] = page.all('embed,img');
  Object.defineProperty(embed.attributes[0], 'value', {
    get: () => '/dot.svg',
    set() {
      throw new TypeError('This requires a TrustedScriptURL');
    },
  });
  visit(page.document, { use: markOf });
  assert.equal(image.getAttribute('src'), '/dot.svg?hot-reload=2');
});

test('open shadow roots and adopted sheets show the new image too', () => {
  const page = openPage('', '<div></div>');
  const adopted = [1, 2].map(() => new FakeSheet('p { mask: url(/dot.svg) }'));
  const root = page.shadow(page.one('div'), `<style>p { mask: url(/dot.svg) }</style><img ${SRC}>`);
  Object.assign(page.document, { adoptedStyleSheets: [adopted[0]] });
  Object.assign(root, { adoptedStyleSheets: [adopted[1]] });
  visit(page.document, { use: markOf });
  for (const sheet of [...adopted, page.one('style', root).sheet])
    assert.match(sheet.cssText, /hot-reload=2/);
  assert.equal(page.one('img', root).getAttribute('src'), '/dot.svg?hot-reload=2');
});

test('an image is told of as it is loaded: with or without credentials', () => {
  assert.deepEqual(asked(`<img ${SRC}>`), [['/dot.svg', null]]);
  assert.deepEqual(asked(`<img ${SRC} crossorigin="anonymous">`), [['/dot.svg', 'anonymous']]);
  assert.deepEqual(asked('<p style="mask: url(/dot.svg)"></p>'), [['/dot.svg', null]]);
});

test('a part of a document is told of by its fragment', () => {
  assert.deepEqual(asked('<svg><use href="/dot.svg?x#part"/></svg>'), [['/dot.svg?x', '#part']]);
});

test('a lazy image that is not there yet is not shown', () => {
  const page = openPage('', `<img ${SRC} loading="lazy">`);
  page.shown.set(page.one('img'), undefined);
  let how: How | undefined = 'not told';
  visit(page.document, {
    use: (_, found) => {
      how = found;
      return '2';
    },
  });
  assert.equal(how, undefined);
  assert.equal(page.one('img').getAttribute('src'), '/dot.svg?hot-reload=2', 'but marked');
});

test('of the candidates of a picture only the one in use is shown', () => {
  const page = openPage(
    '',
    `<picture><source srcset="/dot.svg 1x, /big.svg 2x"><img src="/none.svg"></picture>`,
  );
  page.shown.set(page.one('img'), '/dot.svg?hot-reload=1');
  const found: [string, How | undefined][] = [];
  visit(page.document, {
    use: (resource, how) => void found.push([resource.replace(ORIGIN, ''), how]),
  });
  assert.deepEqual(found, [
    ['/dot.svg', null],
    ['/big.svg', undefined],
    ['/none.svg', undefined],
  ]);
});
