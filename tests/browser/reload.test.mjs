import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { APP, CACHING, everywhere, html, until } from './harness.mjs';

const notes = { 'templates/index.html': html('<p id="text">{{ notes|join(" ") }}</p>') };

/** Nothing more is under way: the next save makes exactly one navigation. */
const oneMore = async (site, tab, text) => {
  const documents = await tab.documents();
  site.write('templates/index.html', html(`<p id="text">${text}</p>`));
  await tab.shows('#text', text);
  await tab.connected(documents + 1);
  assert.equal(await tab.documents(), documents + 1);
};

// Firefox decides before `pagehide`, and never for a page that has a stream open.
const KEEPS_PAGES = ['chromium', 'webkit'];

everywhere((check, engine) => {
  check(
    'a saved template shows its new text, once, and so does the next',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await oneMore(site, tab, 'second');
      await oneMore(site, tab, 'third');
      assert.equal(await tab.documents(), 3);
    },
  );

  check('the script leaves neither its tag nor a name behind', {}, async ({ open }) => {
    const tab = await open('/');
    const left = await tab.evaluate(() => ({
      scripts: document.scripts.length,
      names: Object.keys(window).filter((name) => /reload/i.test(name)),
    }));
    assert.deepEqual(left, { scripts: 0, names: [] });
  });

  check('a second start of the script in one document does nothing', {}, async ({ site, open }) => {
    const tab = await open('/');
    await tab.evaluate(
      () =>
        new Promise((done) => {
          const script = document.createElement('script');
          script.src = '/__starlette_hot_reload/client.js';
          script.onload = () => done();
          document.body.append(script);
        }),
    );
    assert.equal(await tab.evaluate(() => document.scripts.length), 0);
    await oneMore(site, tab, 'second');
    assert.equal(await tab.said('connected'), 2);
  });

  const tall = (text) =>
    html(`<p id="text">${text}</p><div id="box" style="height:50px;overflow:auto"></div>
      <div class="late"></div>
      <script>
        setTimeout(() => {
          box.innerHTML = '<p style="height:900px;width:9000px">made by a script</p>';
          document.querySelector('.late').style.height = '5000px';
        }, 300);
      </script>`);

  check(
    'a reload keeps the scroll of the page and of the boxes in it, though a script fills them later',
    { 'templates/index.html': tall('first') },
    async ({ site, open }) => {
      const tab = await open('/');
      const places = () => {
        const { scrollTop, scrollLeft } = document.querySelector('#box');
        return [scrollTop, scrollLeft, Math.round(scrollY)].join();
      };
      await until('all is scrolled', async () => {
        await tab.evaluate(() => {
          document.querySelector('#box').scrollTo(120, 240);
          scrollTo(0, 2000);
        });
        return (await tab.evaluate(places)) === '240,120,2000';
      });
      for (const text of ['second', 'third']) {
        site.write('templates/index.html', tall(text));
        await tab.shows('#text', text);
        await until('all is scrolled again', async () => {
          const now = await tab.evaluate(places);
          return now === '240,120,2000' || now;
        });
      }
    },
  );

  check('a reload is done without the part that keeps the scroll', {}, async ({ site, open }) => {
    const tab = await open('/');
    const refusal = site.refuse('/leave.js');
    await oneMore(site, tab, 'second');
    assert.ok(refusal.times() > 0);
  });

  check('a page needs no server for its script, once the browser has it', {}, async ({ site, open }) => {
    const tab = await open('/');
    const refusal = site.refuse('/client.js');
    // WebKit asks again for what a page loads when the page is reloaded.
    if (engine.name === 'webkit') await tab.visit(`${site.url}/?again`);
    else await oneMore(site, tab, 'second');
    assert.equal(refusal.times(), 0);
  });

  check('a new file is noticed', notes, async ({ site, open }) => {
    const tab = await open('/');
    await tab.shows('#text', 'one.txt');
    site.write('notes/two.txt', 'x');
    await tab.shows('#text', 'one.txt two.txt');
  });

  check('a deleted file is noticed', { ...notes, 'notes/two.txt': '' }, async ({ site, open }) => {
    const tab = await open('/');
    await tab.shows('#text', 'one.txt two.txt');
    rmSync(site.path('notes/two.txt'));
    await tab.shows('#text', 'one.txt');
  });

  check('a renamed file is noticed', notes, async ({ site, open }) => {
    const tab = await open('/');
    renameSync(site.path('notes/one.txt'), site.path('notes/uno.txt'));
    await tab.shows('#text', 'uno.txt');
  });

  const script = {
    'templates/index.html': html('<p id="text"></p><script src="/static/app.js?v=1"></script>'),
    'static/app.js': 'document.querySelector("#text").textContent = "first"',
    'app.py': CACHING,
  };

  check(
    'a saved script is run anew, although its address may be cached',
    script,
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.shows('#text', 'first');
      site.write('static/app.js', 'document.querySelector("#text").textContent = "second"');
      await tab.shows('#text', 'second');
    },
  );

  const versioned = { 'templates/index.html': html('<p id="text">{{ version }}</p>') };

  check(
    'a restart under uvicorn --reload shows the new code',
    versioned,
    async ({ site, open }) => {
      await site.stop();
      await site.start('--reload');
      const tab = await open('/');
      await tab.shows('#text', 'one');
      site.write('app.py', APP.replace('"one"', '"two"'));
      await tab.shows('#text', 'two');
    },
  );

  check(
    'an error page recovers by itself once the template is mended',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      site.write('templates/index.html', html('{% if %}'));
      await until(
        'the error page is shown and connected',
        async () =>
          (await tab.evaluate(() => document.body.innerText.includes('TemplateSyntaxError'))) &&
          (await tab.said('connected')) === 2,
      );
      site.write('templates/index.html', html('<p id="text">mended</p>'));
      await tab.shows('#text', 'mended');
    },
  );

  /** Opens the page while the client's script is held back, until `release` is called. */
  const withoutClient = async (site, open) => {
    const script = site.hold('/client.js');
    const tab = await open();
    await tab.go(site.url);
    await script.asked(0);
    script.stop();
    return { tab, release: () => script.release(0) };
  };

  check('a save between rendering and connecting is applied once', {}, async ({ site, open }) => {
    const { tab, release } = await withoutClient(site, open);
    await tab.shows('#text', 'first');
    const batch = await site.batch();
    site.write('templates/index.html', html('<p id="text">second</p>'));
    await batch.names('index.html');
    assert.equal(await tab.text('#text'), 'first');
    release();
    await tab.shows('#text', 'second');
    await tab.connected(2);
    assert.equal(await tab.documents(), 2);
    await oneMore(site, tab, 'third');
  });

  check(
    'a stylesheet saved between rendering and connecting is swapped',
    {},
    async ({ site, open }) => {
      const { tab, release } = await withoutClient(site, open);
      await tab.styled('#text', 'rgb(1, 0, 0)');
      const batch = await site.batch();
      site.write('static/site.css', 'p { color: rgb(2, 0, 0) }');
      await batch.names('site.css');
      release();
      await tab.styled('#text', 'rgb(2, 0, 0)');
      assert.equal(await tab.documents(), 1);
    },
  );

  check(
    'a <base> that points elsewhere does not bend the way to the stream',
    {
      'templates/index.html': html(
        '<p id="text">first</p>',
        '<base href="http://127.0.0.1:1/elsewhere/">',
      ),
    },
    async ({ site, open }) => {
      const { tab, release } = await withoutClient(site, open);
      release();
      await tab.connected(1);
      await oneMore(site, tab, 'second');
    },
  );

  check(
    'a strict policy with trusted types sees nothing to object to',
    {
      'app.py': APP.replace(
        'f"{name}.html", context)',
        `f"{name}.html", context, headers={"content-security-policy":
        "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"})`,
      ),
      'first.js': `document.addEventListener('securitypolicyviolation', ({ violatedDirective }) =>
      console.log('violated ' + violatedDirective));`,
    },
    async ({ site, open }) => {
      const tab = await open('/');
      site.write('static/site.css', 'p { color: rgb(2, 0, 0) }');
      await tab.styled('#text', 'rgb(2, 0, 0)');
      await oneMore(site, tab, 'second');
      assert.equal(await tab.said('violated'), 0);
    },
  );

  check(
    'a server that was killed and started again refreshes the page, once',
    {},
    async ({ site, open }) => {
      const tab = await open('/');
      await site.stop('SIGKILL');
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await site.start();
      await tab.shows('#text', 'second');
      await tab.connected(2);
      assert.equal(await tab.documents(), 2);
      await oneMore(site, tab, 'third');
    },
  );

  check('Ctrl-C ends the server at once while a page is open', {}, async ({ site, open }) => {
    await open('/');
    await open('/');
    const { code, signal } = await site.stop('SIGINT', 5000);
    assert.ok(code === 0 || code === 130 || signal === 'SIGINT', `${code} ${signal}`);
  });

  const other = { 'templates/other.html': html('<p id="other">other</p>') };

  const kept = KEEPS_PAGES.includes(engine.name);
  const there = kept ? 'out of the back/forward cache' : 'that one comes back to';

  /** Leaves the page, runs `away`, and comes back to it. */
  const backTo = async (site, tab, away = async () => {}) => {
    await tab.evaluate(() => {
      window.kept = true;
      addEventListener('pageshow', ({ persisted }) => console.log(`persisted ${persisted}`));
    });
    await tab.visit(`${site.url}/other`);
    await away();
    const documents = await tab.documents();
    await tab.back();
    if (kept) await tab.says('persisted true');
    else await tab.connected(documents + 1);
  };

  check(
    `a page ${there} is told of later saves`,
    other,
    async ({ site, open }) => {
      const tab = await open('/');
      await backTo(site, tab);
      if (kept) assert.equal(await tab.evaluate(() => window.kept), true);
      await oneMore(site, tab, 'second');
    },
  );

  check(`a page ${there} catches up`, other, async ({ site, open }) => {
    const tab = await open('/');
    await backTo(site, tab, async () => {
      const documents = await tab.documents();
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await tab.connected(documents + 1);
    });
    await tab.shows('#text', 'second');
  });
});
