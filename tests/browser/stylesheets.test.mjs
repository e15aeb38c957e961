import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { APP, CACHING, everywhere, html, until } from './harness.mjs';

const color = (n, selector = 'p') => `${selector} { color: rgb(${n}, 0, 0) }`;
const rgb = (n) => `rgb(${n}, 0, 0)`;

/** Collects what each frame shows of the colour of `#text`. */
const probe = (tab) =>
  tab.evaluate(() => {
    window.kept = true;
    window.seen = [];
    const look = () => {
      const { color } = getComputedStyle(document.querySelector('#text'));
      if (window.seen.at(-1) !== color) window.seen.push(color);
      requestAnimationFrame(look);
    };
    look();
  });

/** What was shown up to and with the next frame. */
const seen = (tab) =>
  tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => done(window.seen))));

const links = (tab) =>
  tab.evaluate(() =>
    [...document.querySelectorAll('link')].map((link) =>
      link.getAttribute('href').replace(/=\w+$/, '=…'),
    ),
  );

/** So fast that no frame shows it, a colour would not be seen. */
const restyled = async (tab, n) => {
  await tab.styled('#text', rgb(n));
  await seen(tab);
};

const quiet = async (tab) => {
  assert.equal(await tab.evaluate(() => window.kept), true, 'no navigation');
  assert.equal(await tab.documents(), 1);
};

everywhere((check, engine) => {
  // Firefox keeps an imported sheet for as long as the document, so that the page is asked again; and
  // where the server lets it, any sheet for longer, whatever the HTTP cache has.
  const isKept = engine.name === 'firefox';

  check(
    'a saved stylesheet restyles without a navigation or an unstyled frame',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      for (const n of [2, 3]) {
        site.write('static/site.css', color(n));
        await restyled(tab, n);
        await until('one link is left', async () => (await links(tab)).length === 1);
      }
      assert.deepEqual(await seen(tab), [rgb(1), rgb(2), rgb(3)]);
      assert.deepEqual(await links(tab), [`${site.url}/static/site.css?hot-reload=…`]);
      await quiet(tab);
    },
  );

  check(
    'many quick saves end in the last one, and in one link',
    { 'static/site.css': color(1) },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      for (let n = 2; n <= 50; n++) {
        // Whole at every moment: one of these saves is under way whenever the file is asked for.
        site.write('draft.css', color(n));
        renameSync(site.path('draft.css'), site.path('static/site.css'));
        if (n % 4 === 0) await tab.evaluate(() => new Promise(requestAnimationFrame));
      }
      await tab.styled('#text', rgb(50));
      await until('one link is left', async () => (await links(tab)).length === 1);
      const values = (await seen(tab)).map((value) => Number(value.match(/\d+/)[0]));
      assert.deepEqual(
        values,
        [...values].sort((a, b) => a - b),
      );
      await quiet(tab);
    },
  );

  const oddly = '<link rel="stylesheet" href="/static/größe%20&amp;%20farbe.css">';
  check(
    'a sheet whose name has to be encoded',
    {
      'static/größe & farbe.css': color(1),
      'templates/index.html': html('<p id="text">first</p>', oddly),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      site.write('static/größe & farbe.css', color(2));
      await tab.styled('#text', rgb(2));
      await quiet(tab);
    },
  );

  check('a later save overtakes a sheet that is still loading', {}, async ({ site, open }) => {
    const tab = await open('/');
    await tab.styled('#text', rgb(1));
    await probe(tab);
    const sheets = site.hold('hot-reload=');
    site.write('static/site.css', color(2));
    await sheets.asked(0);
    site.write('static/site.css', color(3));
    await sheets.asked(1);
    sheets.release(1);
    await tab.styled('#text', rgb(3));
    sheets.release(0);
    await until('one link is left', async () => (await links(tab)).length === 1);
    assert.deepEqual(await seen(tab), [rgb(1), rgb(3)]);
    await quiet(tab);
  });

  check(
    'a sheet that was fetched ahead of the parser is swapped once its link is there',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        '<script src="/slow.js"></script><link rel="stylesheet" href="/static/site.css">',
      ),
      'app.py': APP.replace('import os', 'import os\nimport time')
        .replace(
          'def page',
          `def slow(request):
    while os.path.exists("gate"):
        time.sleep(0.01)
    return PlainTextResponse("", media_type="text/javascript")

def page`,
        )
        .replace('Route("/{name}", page)', 'Route("/slow.js", slow),\n    Route("/{name}", page)'),
    },
    async ({ site, open }) => {
      site.write('gate', '');
      const tab = await open();
      await tab.go(site.url);
      // The others run the client, or let it connect, only after scripts that block the parser.
      if (engine.name === 'chromium') await tab.connected(1);
      await until('the sheet is fetched ahead', () =>
        tab.evaluate(() =>
          performance.getEntriesByType('resource').some(({ name }) => name.endsWith('site.css')),
        ),
      );
      const batch = await site.batch();
      site.write('static/site.css', color(2));
      await batch.names('site.css');
      rmSync(site.path('gate'));
      await tab.styled('#text', rgb(2));
      assert.equal(await tab.documents(), 1);
    },
  );

  // The site hands WebKit each page in one piece.
  if (engine.name !== 'webkit')
    check(
      'of two saves while the page is still coming, the last one stays',
      {
        'app.py': APP.replace('import os', 'import asyncio\nimport os')
          .replace('import PlainTextResponse', 'import PlainTextResponse, StreamingResponse')
          .replace(
            'def page',
            `async def slowly():
    with open("templates/index.html") as file:
        text = file.read()
    yield text.replace("</body></html>", "")
    while os.path.exists("gate"):
        await asyncio.sleep(0.01)
    yield "</body></html>"

def slow(request):
    return StreamingResponse(slowly(), media_type="text/html")

def page`,
          )
          .replace('Route("/{name}", page)', 'Route("/slow", slow),\n    Route("/{name}", page)'),
      },
      async ({ site, open }) => {
        site.write('gate', '');
        const tab = await open();
        await tab.go(`${site.url}/slow`);
        await tab.connected(1);
        for (const n of [2, 3]) {
          site.write('static/site.css', color(n));
          await tab.styled('#text', rgb(n));
          await tab.says('swapped', n - 1);
        }
        rmSync(site.path('gate'));
        // What the end of the parser begins, the load waits for.
        await tab.whole();
        assert.equal(await tab.style('#text'), rgb(3));
        assert.equal(await tab.documents(), 1);
      },
    );

  check(
    'the order of the cascade stays as it was',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        `<link rel="stylesheet" href="/static/site.css?v=1&amp;w=a%20b">
       <link rel="stylesheet" href="/static/theme.css">`,
      ),
      'static/theme.css': `${color(7)} p { margin: 1px }`,
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(7));
      await probe(tab);
      site.write('static/site.css', `${color(2)} p { padding: 5px }`);
      await tab.styled('#text', '5px', 'paddingTop');
      await until('two links are left', async () => (await links(tab)).length === 2);
      assert.deepEqual(await seen(tab), [rgb(7)]);
      assert.deepEqual(await links(tab), [
        `${site.url}/static/site.css?v=1&w=a%20b&hot-reload=…`,
        '/static/theme.css',
      ]);
      await quiet(tab);
    },
  );

  check(
    'a stylesheet that the page does not use causes nothing',
    { 'static/admin.css': color(9) },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      await tab.evaluate(() => {
        window.touched = [];
        new MutationObserver((records) => {
          for (const { target, addedNodes, removedNodes } of records)
            for (const node of [...addedNodes, ...removedNodes])
              window.touched.push(node.href ? new URL(node.href).pathname : target.nodeName);
        }).observe(document, { childList: true, subtree: true });
      });
      const batch = await site.batch();
      site.write('static/admin.css', color(10));
      site.write('static/unheard.css', color(10));
      await batch.names('unheard.css');
      site.write('static/site.css', color(2));
      await tab.styled('#text', rgb(2));
      await until('one link is left', async () => (await links(tab)).length === 1);
      const touched = await tab.evaluate(() => window.touched);
      assert.deepEqual([...new Set(touched)], ['/static/site.css']);
      assert.equal(await tab.said('admin.css'), 0);
      await quiet(tab);
    },
  );

  check(
    'a stylesheet that fails to load leaves the old one in force',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      await tab.evaluate(() => {
        window.failed = 0;
        document.querySelector('link').setAttribute('onerror', 'window.failed++');
      });
      const sheets = site.refuse('hot-reload=');
      site.write('static/site.css', color(2));
      await until(
        'the new one was refused and dropped',
        async () => sheets.times() === 1 && (await links(tab)).length === 1,
      );
      assert.deepEqual(await seen(tab), [rgb(1)]);
      assert.equal(await tab.evaluate(() => window.failed), 0);
      sheets.stop();
      site.write('static/site.css', color(3));
      await tab.styled('#text', rgb(3));
      assert.deepEqual(await seen(tab), [rgb(1), rgb(3)]);
      await quiet(tab);
    },
  );

  check(
    'a removed stylesheet stays in force until there is another',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      rmSync(site.path('static/site.css'));
      site.write('static/site.css', color(2));
      await tab.styled('#text', rgb(2));
      assert.deepEqual(await seen(tab), [rgb(1), rgb(2)]);
      await quiet(tab);
    },
  );

  check(
    'media, nonce, title and other attributes stay; a hash of the old bytes goes',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        `<link rel="stylesheet" id="it" class="a b" data-x="1" media="screen" nonce="abc" href="/static/site.css"
         integrity="sha256-${createHash('sha256').update(color(1)).digest('base64')}">`,
      ),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      site.write('static/site.css', color(2));
      await tab.styled('#text', rgb(2));
      await until('one link is left', async () => (await links(tab)).length === 1);
      const link = await tab.evaluate(() => {
        const { id, className, dataset, media, nonce, integrity } = document.querySelector('link');
        return { id, className, x: dataset.x, media, nonce, integrity };
      });
      assert.deepEqual(link, {
        id: 'it',
        className: 'a b',
        x: '1',
        media: 'screen',
        nonce: 'abc',
        integrity: '',
      });
    },
  );

  check(
    'a sheet for another medium does not begin to apply',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        `<link rel="stylesheet" href="/static/site.css">
       <link rel="stylesheet" media="print" href="/static/print.css">`,
      ),
      'static/print.css': color(8),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      site.write('static/print.css', color(9));
      await until(
        'the sheet was swapped',
        async () => (await links(tab)).length === 2 && (await links(tab))[1].includes('hot-reload'),
      );
      assert.deepEqual(await seen(tab), [rgb(1)]);
      await tab.evaluate(() => (document.querySelectorAll('link')[1].media = 'all'));
      await tab.styled('#text', rgb(9));
      await quiet(tab);
    },
  );

  const alternates = {
    'templates/index.html': html(
      '<p id="text">text</p>',
      `<link rel="stylesheet" title="light" href="/static/light.css">
     <link rel="alternate stylesheet" title="dark" href="/static/dark.css">`,
    ),
    'static/light.css': color(1),
    'static/dark.css': color(11),
  };

  check('an alternate sheet stays off', alternates, async ({ site, open }) => {
    const tab = await open('/');
    await tab.styled('#text', rgb(1));
    await probe(tab);
    site.write('static/dark.css', color(12));
    await until(
      'the sheet was swapped',
      async () => (await links(tab)).length === 2 && (await links(tab))[1].includes('hot-reload'),
    );
    assert.deepEqual(await seen(tab), [rgb(1)]);
    await quiet(tab);
  });

  check('an alternate sheet that was switched on stays on', alternates, async ({ site, open }) => {
    const tab = await open('/');
    await tab.evaluate(() => {
      const [light, dark] = document.querySelectorAll('link');
      light.disabled = dark.disabled = true;
      // Only what was disabled before is enabled explicitly.
      dark.disabled = false;
    });
    await tab.styled('#text', rgb(11));
    await probe(tab);
    site.write('static/dark.css', color(12));
    await tab.styled('#text', rgb(12));
    await until('two links are left', async () => (await links(tab)).length === 2);
    await tab.styled('#text', rgb(12));
    // Firefox drops the sheet of an element whose address changes before it has the next.
    const bare = engine.name === 'firefox' ? 'rgb(0, 0, 0)' : undefined;
    assert.deepEqual((await seen(tab)).filter((value) => value !== bare), [rgb(11), rgb(12)]);
    await quiet(tab);
  });

  check('a sheet that script switched off stays off', {}, async ({ site, open }) => {
    const tab = await open('/');
    await tab.styled('#text', rgb(1));
    await tab.evaluate(() => (document.querySelector('link').sheet.disabled = true));
    await tab.styled('#text', 'rgb(0, 0, 0)');
    await probe(tab);
    site.write('static/site.css', color(2));
    await until('the sheet was swapped', async () => {
      const all = await links(tab);
      return (all.length === 1 && all[0].includes('hot-reload')) || all;
    });
    assert.equal(await tab.evaluate(() => document.querySelector('link').sheet.disabled), true);
    await tab.styled('#text', 'rgb(0, 0, 0)');
    await quiet(tab);
  });

  check(
    'a disabled sheet stays disabled, and is new when it is enabled',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await tab.evaluate(() => (document.querySelector('link').disabled = true));
      await tab.styled('#text', 'rgb(0, 0, 0)');
      await probe(tab);
      site.write('static/site.css', color(2));
      await until('the link was marked', async () => (await links(tab))[0].includes('hot-reload'));
      assert.deepEqual(await seen(tab), ['rgb(0, 0, 0)']);
      await tab.evaluate(() => (document.querySelector('link').disabled = false));
      await tab.styled('#text', rgb(2));
      await quiet(tab);
    },
  );

  check(
    'an imported sheet, also one that is imported by an imported one, and cached',
    {
      'app.py': isKept ? APP : CACHING,
      'static/site.css': '@import "parts/base.css"; p { margin: 3px }',
      'static/parts/base.css': '@import url("deep.css");',
      'static/parts/deep.css': color(1),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      if (isKept) {
        site.write('static/parts/deep.css', color(2));
        await tab.connected(2);
        return tab.styled('#text', rgb(2));
      }
      await probe(tab);
      for (const n of [2, 3]) {
        site.write('static/parts/deep.css', color(n));
        await restyled(tab, n);
      }
      site.write('static/parts/base.css', color(4));
      await tab.styled('#text', rgb(4));
      assert.deepEqual(await seen(tab), [1, 2, 3, 4].map(rgb));
      await quiet(tab);
    },
  );

  check(
    'a sheet that a style element imports',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        '<style>@import "/static/site.css";</style>',
      ),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      if (isKept) {
        site.write('static/site.css', color(2));
        await tab.connected(2);
        return tab.styled('#text', rgb(2));
      }
      await probe(tab);
      for (const n of [2, 3]) {
        site.write('static/site.css', color(n));
        await restyled(tab, n);
      }
      await until('one element is left', () =>
        tab.evaluate(() => document.querySelectorAll('style').length === 1),
      );
      assert.deepEqual(await seen(tab), [1, 2, 3].map(rgb));
      await quiet(tab);
    },
  );

  check(
    'sheets in the body and in open shadow roots',
    {
      'templates/index.html': html(
        `<p id="text">text</p><link rel="stylesheet" href="/static/site.css">
       <div id="host"><template shadowrootmode="open">
         <link rel="stylesheet" href="/static/part.css"><p>shadow</p>
       </template></div>`,
        '',
      ),
      'static/part.css': color(21),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      await probe(tab);
      const inside = () =>
        tab.evaluate(() => {
          const { shadowRoot } = document.querySelector('#host');
          return getComputedStyle(shadowRoot.querySelector('p')).color;
        });
      await until('the part is styled', async () => (await inside()) === rgb(21));
      site.write('static/part.css', color(22));
      await until('the part is restyled', async () => (await inside()) === rgb(22));
      site.write('static/site.css', color(2));
      await tab.styled('#text', rgb(2));
      assert.deepEqual(await seen(tab), [rgb(1), rgb(2)]);
      await quiet(tab);
    },
  );

  check(
    'a later navigation takes the new sheet, whatever is cached',
    { 'app.py': isKept ? APP : CACHING },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      site.write('static/site.css', color(2));
      await tab.styled('#text', rgb(2));
      await until('the plain address is asked for again', () =>
        tab.evaluate(() =>
          performance
            .getEntriesByType('resource')
            .some(
              ({ name, initiatorType, responseEnd }) =>
                initiatorType === 'fetch' && name.endsWith('site.css') && responseEnd > 0,
            ),
        ),
      );
      await tab.visit(`${site.url}/?again`);
      await tab.styled('#text', rgb(2));
    },
  );

  check(
    'a new build under a new name asks for the page again',
    {
      'templates/index.html': html(
        '<p id="text">text</p>',
        '<link rel="stylesheet" href="/static/{{ built }}">',
      ).replace(
        '{{ built }}',
        '{{ "site-0a1b2c3d.css" if notes|length == 1 else "site-4e5f6a7b.css" }}',
      ),
      'static/site-0a1b2c3d.css': color(1),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', rgb(1));
      site.write('static/site-4e5f6a7b.css', color(2));
      await tab.connected(2);
      assert.equal(await tab.documents(), 2);
    },
  );

  check(
    'a template and a stylesheet saved together reload the page',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      site.write('static/site.css', color(2));
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await tab.shows('#text', 'second');
      await tab.styled('#text', rgb(2));
    },
  );
});
