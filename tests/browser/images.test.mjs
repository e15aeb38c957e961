import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { font } from './font.mjs';
import { CACHING, everywhere, html, until } from './harness.mjs';

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

/** A picture of one colour, whole and as a part with a name. */
const dot = (color, width = 20) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="20">
    <g id="dot"><rect width="${width}" height="20" fill="rgb(${color})"/></g></svg>`;

const STYLE = `<style>
  body { margin: 0; display: flex; flex-wrap: wrap; gap: 4px }
  [data-box] { box-sizing: border-box; display: block; width: 20px; height: 20px; margin: 0;
    padding: 0; border: 0; overflow: hidden }
</style>`;

const page = (body, head = '') => ({
  'templates/index.html': html(body, STYLE + head),
  'static/dot.svg': dot(RED),
});

/** The colour in the middle of each box, by its name, as a person would see it. */
const colors = async (tab) => {
  const picture = await tab.screenshot('boxes');
  return tab.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const scale = image.width / innerWidth;
    const found = {};
    for (const box of document.querySelectorAll('[data-box]')) {
      const { x, y, width, height } = box.getBoundingClientRect();
      const at = [x + width / 2, y + height / 2].map((value) => Math.round(value * scale));
      found[box.dataset.box] = [...context.getImageData(...at, 1, 1).data.slice(0, 3)];
    }
    return found;
  }, picture.toString('base64'));
};

const allAre = (tab, color) =>
  until(`every box is ${color}`, async () => {
    const found = await colors(tab);
    const other = Object.entries(found).filter(([, value]) => String(value) !== String(color));
    return (Object.keys(found).length > 0 && other.length === 0) || other;
  });

const keep = (tab) => tab.evaluate(() => void (window.kept = true));

const quiet = async (tab) => {
  assert.equal(await tab.evaluate(() => window.kept), true, 'no navigation');
  assert.equal(await tab.documents(), 1);
};

/** Collects what each frame shows of what `measure` measures. */
const probe = (tab, measure) =>
  tab.evaluate((text) => {
    const look = new Function(`return (${text})()`);
    window.kept = true;
    window.seen = [];
    const frame = () => {
      const value = look();
      if (window.seen.at(-1) !== value) window.seen.push(value);
      requestAnimationFrame(frame);
    };
    frame();
  }, String(measure));

const seen = (tab) =>
  tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => done(window.seen))));

const sees = (tab, value) =>
  until(`a frame shows ${value}`, async () => {
    const all = await seen(tab);
    return all.at(-1) === value || all;
  });

/** Attributes of all that match, with the marks made equal. */
const attributes = (tab, selector, name) =>
  tab.evaluate(
    (wanted, attribute) =>
      [...document.querySelectorAll(`${wanted}[${attribute}]`)].map((element) =>
        element.getAttribute(attribute).replace(/hot-reload=\w+/g, 'hot-reload=…'),
      ),
    selector,
    name,
  );

/** What the browser asked for, and was given, of this name. */
const asked = (tab, name) =>
  tab.evaluate(
    (part) =>
      performance
        .getEntriesByType('resource')
        .filter((entry) => entry.name.includes(part))
        .map((entry) => `${entry.initiatorType} ${new URL(entry.name).search}`),
    name,
  );

everywhere((check, engine) => {
  check(
    'an image is new in every element that shows one, and the rest of its address stays',
    {
      ...page(
        `<img data-box="img" src="/static/dot.svg?a=%20b+c&amp;d#part">
         <img data-box="srcset" srcset="/static/none.svg 9x,/static/dot.svg 1x , /static/other,.svg 8x">
         <picture><source srcset="/static/dot.svg" media="(min-width: 1px)"><img data-box="picture" src="/static/none.svg"></picture>
         <input data-box="input" type="image" src="static/dot.svg">
         <video data-box="poster" poster="/static/dot.svg"></video>
         <object data-box="object" data="/static/dot.svg"></object>
         <embed data-box="embed" src="/static/dot.svg">
         <svg data-box="image"><image href="/static/dot.svg" width="20" height="20"/></svg>
         <svg data-box="xlink"><image xlink:href="/static/dot.svg" width="20" height="20"/></svg>
         <svg data-box="use"><use href="/static/dot.svg#dot"/></svg>
         <table data-box="background" background="/static/dot.svg"><tr><td></td></tr></table>
         <a href="/static/dot.svg"></a>`,
        `<link rel="icon" href="/static/dot.svg"><link rel="apple-touch-icon" href="/static/dot.svg">
         <link rel="preload" as="image" href="/static/dot.svg">`,
      ),
      'static/none.svg': dot([9, 9, 9]),
      'static/other,.svg': dot([8, 8, 8]),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      for (const color of [BLUE, [0, 128, 0]]) {
        site.write('static/dot.svg', dot(color));
        await allAre(tab, color);
      }
      assert.deepEqual(await attributes(tab, 'img', 'src'), [
        '/static/dot.svg?a=%20b+c&d&hot-reload=…#part',
        '/static/none.svg',
      ]);
      assert.deepEqual(await attributes(tab, '[srcset]', 'srcset'), [
        '/static/none.svg 9x,/static/dot.svg?hot-reload=… 1x , /static/other,.svg 8x',
        '/static/dot.svg?hot-reload=…',
      ]);
      assert.deepEqual(await attributes(tab, 'input', 'src'), ['static/dot.svg?hot-reload=…']);
      assert.deepEqual(await attributes(tab, 'use', 'href'), ['/static/dot.svg?hot-reload=…#dot']);
      assert.deepEqual(await attributes(tab, 'a', 'href'), ['/static/dot.svg']);
      assert.deepEqual(
        await attributes(tab, 'link', 'href'),
        Array(3).fill('/static/dot.svg?hot-reload=…'),
      );
      await quiet(tab);
    },
  );

  check(
    'an image is new wherever a stylesheet shows it',
    {
      ...page(
        `<p data-box="list"></p><p data-box="quoted"></p><p data-box="escaped"></p><p data-box="set"></p>
         <p data-box="border"></p><p data-box="content"></p><ul data-box="item"><li></li></ul>
         <p data-box="media"></p><p data-box="supports"></p><p data-box="layer"></p><div class="container"><p data-box="container"></p></div>
         <p data-box="shorthand"></p><p data-box="property"></p><p data-box="imported"></p>
         <p data-box="attribute" style="color: red; background: url(/static/none.png), url('/static/dot.svg') !important"></p>
         <p data-box="own" style="--own: url(/static/dot.svg)"></p>
         <p data-box="adopted"></p>
         <div data-box="shadow"><template shadowrootmode="open"><style>p { margin: 0; height: 20px; background: url(/static/dot.svg) }</style><p></p></template></div>`,
        `<link rel="stylesheet" href="/static/css/site.css"><script>
           const sheet = new CSSStyleSheet();
           sheet.replaceSync('[data-box=adopted] { background: url(/static/dot.svg) }');
           document.adoptedStyleSheets = [sheet];
         </script>`,
      ),
      'static/css/imported.css': '[data-box=imported] { background: url(../dot.svg) }',
      'static/css/site.css': `
        @import "imported.css";
        [data-box=list] { background: url(../none.svg), url("../dot.svg") no-repeat 0 0 / 20px, url(../dot.svg) }
        [data-box=quoted] { background-image: url( '../dot.svg?"' ) }
        [data-box=escaped] { background-image: url(\\2e ./d\\6ft.svg) }
        [data-box=set] { background-image: image-set("../dot.svg" 1x, url(../none.svg) 9x) }
        [data-box=border] { border: 10px solid; border-image: url(../dot.svg) 9 fill }
        [data-box=content]::before { content: url(../dot.svg) }
        [data-box=item] { overflow: visible; list-style: inside url(../dot.svg); line-height: 20px }
        [data-box=item] li { margin: 0 }
        @media screen { [data-box=media] { background: url(../dot.svg) } }
        @supports (color: red) { [data-box=supports] { background: url(../dot.svg) } }
        @layer some { [data-box=layer] { background: url(../dot.svg) } }
        .container { container-type: inline-size; width: 20px }
        @container (min-width: 1px) { [data-box=container] { background: url(../dot.svg) } }
        [data-box=shorthand] { --repeat: repeat; background: var(--repeat) url(../dot.svg) }
        [data-box=property] { --dot: url(/static/dot.svg); background: var(--dot) }
        [data-box=own] { background: var(--own) }
        p { cursor: url(../dot.svg) 2 2, auto }
        .masked { mask: url(../dot.svg) }`,
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      for (const color of [BLUE, [0, 128, 0]]) {
        site.write('static/dot.svg', dot(color));
        await allAre(tab, color);
      }
      assert.match(await tab.style('p', 'cursor'), /dot\.svg\?hot-reload=\w+"\) 2 2, auto/);
      const attribute = await tab.evaluate(() => {
        const { style } = document.querySelector('[data-box=attribute]');
        return [style.color, style.backgroundImage, style.getPropertyPriority('background-image')];
      });
      assert.equal(attribute[0], 'red');
      assert.match(attribute[1], /url\("?[^?]*none\.png"?\), url\("[^"?]*dot\.svg\?hot-reload=\w+"\)/);
      assert.equal(attribute[2], 'important');
      const rules = await tab.evaluate(() =>
        [...document.querySelector('link').sheet.cssRules].map(({ cssText }) => cssText).join(),
      );
      assert.match(rules, /mask[^;]*dot\.svg\?hot-reload=\w+"/);
      assert.doesNotMatch(rules, /none\.svg\?/);
      assert.doesNotMatch(rules, /hot-reload=\w*[?&]hot-reload/);
      await quiet(tab);
    },
  );

  for (const [name, element, measure] of [
    ['img', '<img src="/static/dot.svg">', () => document.querySelector('img').naturalWidth],
    [
      'use',
      '<svg><use href="/static/dot.svg#dot"/></svg>',
      () => document.querySelector('use').getBBox().width,
    ],
  ])
    check(`no frame is without the image of an ${name}`, page(element), async ({ site, open }) => {
      const tab = await open('/');
      await probe(tab, measure);
      await sees(tab, 20);
      await probe(tab, measure);
      for (const width of [40, 60]) {
        site.write('static/dot.svg', dot(BLUE, width));
        await sees(tab, width);
      }
      // WebKit may ask for the document of a part once more, and show nothing for a frame.
      const gone = engine.name === 'webkit' && name === 'use' ? 0 : undefined;
      const shown = (await seen(tab)).filter((value) => value !== gone);
      assert.deepEqual([...new Set(shown)], [20, 40, 60]);
      await quiet(tab);
    });

  check(
    'an image that fails to load leaves the old one',
    page(`<img data-box="img" src="/static/dot.svg"><p data-box="style" style="background: url(/static/dot.svg)"></p>`),
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      const door = site.refuse('dot.svg?hot-reload=');
      site.write('static/dot.svg', dot(BLUE));
      await until('the new one was refused', () => door.times() > 0);
      door.stop();
      await tab.says('swapped');
      await allAre(tab, RED);
      assert.deepEqual(await attributes(tab, 'img', 'src'), ['/static/dot.svg']);
      site.write('static/dot.svg', dot([0, 128, 0]));
      await allAre(tab, [0, 128, 0]);
      await quiet(tab);
    },
  );

  check(
    'a later save overtakes an image that is still loading',
    page('<img src="/static/dot.svg">'),
    async ({ site, open }) => {
      const tab = await open('/');
      await probe(tab, () => document.querySelector('img').naturalWidth);
      await sees(tab, 20);
      const images = site.hold('dot.svg?hot-reload=');
      site.write('static/dot.svg', dot(BLUE, 40));
      await images.asked(0);
      site.write('static/dot.svg', dot(BLUE, 60));
      await images.asked(1);
      images.release(1);
      await sees(tab, 60);
      images.stop();
      images.release(0);
      await tab.says('swapped', 2);
      assert.equal((await seen(tab)).includes(40), false);
      await sees(tab, 60);
      await quiet(tab);
    },
  );

  check(
    'a lazy image that is far away is not loaded early, and is new when it comes near',
    page(
      `<style>body { display: block }</style>
       <img id="near" src="/static/dot.svg"><div style="width: 10px; height: 50000px"></div>
       <img id="far" loading="lazy" src="/static/far.svg">`,
    ),
    async ({ site, open }) => {
      site.write('static/far.svg', dot(RED, 20));
      const tab = await open('/');
      await keep(tab);
      site.write('static/far.svg', dot(BLUE, 40));
      await until('the address is marked', async () =>
        (await attributes(tab, '#far', 'src'))[0].endsWith('…'),
      );
      site.write('static/dot.svg', dot(BLUE, 40));
      await until('another is loaded', () =>
        tab.evaluate(() => document.querySelector('#near').naturalWidth === 40),
      );
      const loaded = (await asked(tab, 'far.svg')).filter((text) => !text.startsWith('fetch'));
      assert.deepEqual(loaded, []);
      await tab.evaluate(() => document.querySelector('#far').scrollIntoView());
      await until('it is new', () =>
        tab.evaluate(() => document.querySelector('#far').naturalWidth === 40),
      );
      await quiet(tab);
    },
  );

  check(
    'an image that the page does not use causes nothing; one that is removed stays',
    { ...page('<img data-box="img" src="/static/dot.svg"><a href="/static/far.svg"></a>'), 'static/far.svg': dot(RED) },
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      const batch = await site.batch();
      site.write('static/far.svg', dot(BLUE));
      rmSync(site.path('static/dot.svg'));
      await batch.names('dot.svg');
      site.write('static/dot.svg', dot(BLUE));
      await allAre(tab, BLUE);
      assert.equal(await tab.said('far.svg'), 0);
      assert.deepEqual(await asked(tab, 'far.svg'), []);
      await quiet(tab);
    },
  );

  check(
    'an image stays new when its stylesheet is replaced later',
    {
      ...page(
        '<p data-box="linked"></p><p data-box="element"></p>',
        `<link rel="stylesheet" href="/static/site.css">
         <style>@import "/static/more.css"; [data-box=element] { background: url(/static/dot.svg) }</style>`,
      ),
      'app.py': CACHING,
      'static/site.css': '[data-box=linked] { background: url(dot.svg) }',
      'static/more.css': 'p { color: rgb(1, 0, 0) }',
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      site.write('static/dot.svg', dot(BLUE));
      await allAre(tab, BLUE);
      site.write('static/site.css', '[data-box=linked] { background: url(dot.svg); color: rgb(2, 0, 0) }');
      await tab.styled('[data-box=linked]', 'rgb(2, 0, 0)');
      await allAre(tab, BLUE);
      // There an imported sheet asks for the page again.
      if (engine.name === 'firefox') return;
      site.write('static/more.css', 'p { color: rgb(3, 0, 0) }');
      await tab.styled('[data-box=element]', 'rgb(3, 0, 0)');
      await allAre(tab, BLUE);
      await quiet(tab);
    },
  );

  check(
    'an image and a stylesheet that are saved together are both new',
    {
      ...page('<p data-box="linked"></p>', '<link rel="stylesheet" href="/static/site.css">'),
      'app.py': CACHING,
      'static/site.css': '[data-box=linked] { background: url(dot.svg) }',
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await keep(tab);
      await allAre(tab, RED);
      site.write('static/dot.svg', dot(BLUE));
      site.write('static/site.css', '[data-box=linked] { background: url(dot.svg); color: rgb(2, 0, 0) }');
      await tab.styled('[data-box=linked]', 'rgb(2, 0, 0)');
      await allAre(tab, BLUE);
      await quiet(tab);
    },
  );

  check(
    'a later page takes the new image, whatever is cached',
    { ...page('<img src="/static/dot.svg">'), 'app.py': CACHING },
    async ({ site, open }) => {
      const tab = await open('/');
      await probe(tab, () => document.querySelector('img').naturalWidth);
      await sees(tab, 20);
      site.write('static/dot.svg', dot(BLUE, 40));
      await tab.says('swapped');
      await sees(tab, 40);
      // Its cache of images is not the one that a script can refresh.
      if (engine.name === 'firefox') return;
      await until('the plain address is asked for again', async () =>
        (await asked(tab, 'dot.svg')).includes('fetch '),
      );
      await tab.visit(`${site.url}/?again`);
      await until('it is new', () =>
        tab.evaluate(() => document.querySelector('img').naturalWidth === 40),
      );
    },
  );

  check(
    'an image that only a script has asks for the page again',
    page(`<script>
      const image = new Image();
      image.onload = () => (document.title = String(image.width));
      image.src = '/static/dot.svg';
    </script>`),
    async ({ site, open }) => {
      const tab = await open('/');
      const drawn = (width) =>
        until(`the script has ${width}`, async () => {
          const title = await tab.evaluate(() => document.title);
          return title === String(width) || title;
        });
      await drawn(20);
      site.write('static/dot.svg', dot(BLUE, 40));
      await tab.connected(2);
      await drawn(40);
    },
  );

  const texts = {
    ...page(
      '<p id="text" style="position: absolute; font: 100px Square, monospace">x x</p>',
      '<link rel="stylesheet" href="/static/site.css">',
    ),
    'static/fonts/square.ttf': font(500),
    'static/site.css': `
      @font-face { font-family: Square; font-weight: 400; src: local(not-there), url("fonts/square.ttf?#x") format("truetype"), url(fonts/none.woff) }
      @media screen { @font-face { font-family: Unused; src: url(fonts/unused.ttf) } }
      p { color: rgb(1, 0, 0) }`,
    'static/fonts/unused.ttf': font(500),
  };
  const fonts = (tab) =>
    tab.evaluate(() => [...document.fonts].map(({ family, status }) => `${family} ${status}`));
  /** The width of the letters, and whether the text would be seen. */
  const width = () => {
    const [range, { firstChild }] = [document.createRange(), document.querySelector('#text')];
    range.setStart(firstChild, 0);
    range.setEnd(firstChild, 1);
    return Math.round(range.getBoundingClientRect().width);
  };

  check('a font is new without a frame in another', texts, async ({ site, open }) => {
    const tab = await open('/');
    await probe(tab, width);
    await sees(tab, 50);
    await probe(tab, width);
    const before = await fonts(tab);
    for (const advance of [700, 900]) {
      site.write('static/fonts/square.ttf', font(advance));
      await sees(tab, advance / 10);
    }
    assert.deepEqual(await seen(tab), [50, 70, 90]);
    await until('the faces are those of the sheet', async () => {
      const now = (await fonts(tab)).sort();
      return String(now) === String(before.sort()) || now;
    });
    assert.deepEqual(await seen(tab), [50, 70, 90]);
    await quiet(tab);
  });

  check('a stylesheet is swapped without a frame in another font', texts, async ({ site, open }) => {
    const tab = await open('/');
    await probe(tab, width);
    await sees(tab, 50);
    await probe(tab, width);
    const before = await fonts(tab);
    const css = (n) => texts['static/site.css'].replace('rgb(1', `rgb(${n}`);
    for (const n of [2, 3, 4]) {
      site.write('static/site.css', css(n));
      await tab.styled('#text', `rgb(${n}, 0, 0)`);
    }
    site.write('static/fonts/square.ttf', font(900));
    await sees(tab, 90);
    site.write('static/site.css', css(5));
    await tab.styled('#text', 'rgb(5, 0, 0)');
    await until('the faces are those of the sheet', async () => {
      const now = (await fonts(tab)).sort();
      return String(now) === String(before.sort()) || now;
    });
    assert.deepEqual(await seen(tab), [50, 90]);
    await quiet(tab);
  });

  check('a font that no text uses is not loaded', texts, async ({ site, open }) => {
    const tab = await open('/');
    await probe(tab, width);
    await sees(tab, 50);
    site.write('static/fonts/unused.ttf', font(900));
    await tab.says('swapped');
    const loaded = (await asked(tab, 'unused.ttf')).filter((text) => !text.startsWith('fetch'));
    assert.deepEqual(loaded, []);
    const rule = await tab.evaluate(
      () => document.querySelector('link').sheet.cssRules[1].cssRules[0].cssText,
    );
    assert.match(rule, /unused\.ttf\?hot-reload=/);
    await quiet(tab);
  });

  // Firefox tells of a font that it refuses by an error of the page.
  if (engine.name !== 'firefox')
  check('a font that fails to load leaves the old one', texts, async ({ site, open }) => {
    const tab = await open('/');
    await probe(tab, width);
    await sees(tab, 50);
    await probe(tab, width);
    site.write('static/fonts/square.ttf', 'no font');
    await tab.says('swapped');
    assert.deepEqual(await seen(tab), [50]);
    site.write('static/fonts/square.ttf', font(900));
    await sees(tab, 90);
    assert.deepEqual(await seen(tab), [50, 90]);
    await quiet(tab);
  });
});
