import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { APP, everywhere, html, until } from './harness.mjs';

const CACHED = 'got an older copy';

/** Waits for the number of documents to be connected, then until a save has come through. */
const settled = async (site, tab, documents) => {
  await tab.connected(documents);
  const swapped = await tab.said('swapped');
  site.write('static/site.css', `p { color: rgb(${documents}, 1, ${Date.now() % 255}) }`);
  await tab.says('swapped', swapped + 1);
  assert.equal(await tab.documents(), documents);
};

// The server knows a document by the headers of the browser's own navigation, hence the preload.
const WORKER = `
const activate = async () => {
  await registration.navigationPreload.enable();
  await clients.claim();
};
const answer = async (event) => {
  const cache = await caches.open('pages');
  const kept = await cache.match(event.request);
  if (kept) return kept;
  const fresh = await event.preloadResponse;
  await cache.put(event.request, fresh.clone());
  return fresh;
};
addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(activate()));
addEventListener('fetch', (event) => {
  if (event.request.mode === 'navigate') event.respondWith(answer(event));
});
`;

const worker = {
  'static/worker.js': WORKER,
  'app.py': APP.replace(
    'import PlainTextResponse',
    'import FileResponse, PlainTextResponse',
  ).replace(
    'Route("/{name}", page)',
    'Route("/worker.js", lambda _: FileResponse("static/worker.js")),\n    Route("/{name}", page)',
  ),
};

/** A page that a cache-first service worker answers for. */
const kept = async (tab, site) => {
  await tab.evaluate(async () => {
    await navigator.serviceWorker.register('/worker.js');
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
      await new Promise((done) =>
        navigator.serviceWorker.addEventListener('controllerchange', done),
      );
  });
  await tab.visit(`${site.url}/?kept`);
};

everywhere((check) => {
  check(
    'a service worker that serves an old page: one reload for one save',
    worker,
    async ({ site, open }) => {
      const tab = await open('/');
      await kept(tab, site);
      for (const documents of [3, 4]) {
        site.write('templates/index.html', html(`<p id="text">${documents}</p>`));
        await tab.connected(documents);
        await tab.says(CACHED, documents - 2);
        await settled(site, tab, documents);
        assert.equal(await tab.text('#text'), 'first');
      }
    },
  );

  check(
    'a service worker that serves an old page: one reload for one restart',
    worker,
    async ({ site, open }) => {
      const tab = await open('/');
      await kept(tab, site);
      await site.stop();
      await site.start();
      await tab.connected(3);
      await tab.says(CACHED);
      await settled(site, tab, 3);
    },
  );

  check(
    'a page that changes a watched file whenever it is rendered comes to rest',
    {
      'app.py': APP.replace(
        '    name = ',
        '    if "write" in request.query_params:\n        open("notes/one.txt", "a").write("x")\n    name = ',
      ),
    },
    async ({ site, open }) => {
      // Whatever a driver runs in a page may count as a person's doing, and then no haste is seen.
      const tab = await open();
      await tab.go(`${site.url}/?write`);
      await tab.says('does loading this page change');
      const documents = await tab.documents();
      assert.ok(documents <= 8, String(documents));
      assert.equal(await tab.said(CACHED), 0);
      // A busy browser may say late that the page is looked at: the refused reload is made up for then.
      let green = 0;
      await until('a stylesheet is swapped', async () => {
        site.write('static/site.css', `p { color: rgb(0, ${++green % 256}, 0) }`);
        return (await tab.said('swapped')) > 0;
      });
      assert.ok((await tab.documents()) <= documents + 1);
    },
  );

  check(
    'a page out of the HTTP cache of a history entry catches up',
    {
      'templates/other.html': html('<p id="other">other</p>'),
      // Keeps the page out of the back/forward cache.
      'first.js': `addEventListener('unload', () => {});
      navigator.locks?.request('held', () => new Promise(() => {})).catch(() => {});`,
    },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.visit(`${site.url}/other`);
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await tab.connected(3);
      await tab.back();
      await tab.shows('#text', 'second');
    },
  );

  check(
    'a save while the reloaded page is under way is not taken for shown',
    {
      'app.py': APP.replace('import os', 'import os\nimport time').replace(
        '    return templates.TemplateResponse(request, f"{name}.html", context)',
        `    response = templates.TemplateResponse(request, f"{name}.html", context)
    while os.path.exists("gate"):
        open("waiting", "w").close()
        time.sleep(0.01)
    return response`,
      ),
    },
    async ({ site, open }) => {
      const tab = await open('/');
      site.write('gate', '');
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await until('the second is rendered', () => existsSync(site.path('waiting')));
      const batch = await site.batch();
      site.write('templates/index.html', html('<p id="text">third</p>'));
      await batch.names('index.html');
      rmSync(site.path('gate'));
      await tab.shows('#text', 'third');
      // It would be said before that.
      await tab.connected(await tab.documents());
      assert.equal(await tab.said(CACHED), 0);
    },
  );

  const denied = {
    'first.js': `Object.defineProperty(window, 'sessionStorage', {
    get() {
      throw new DOMException('denied', 'SecurityError');
    },
  });`,
  };

  check('a tab without a storage still reloads', denied, async ({ site, open }) => {
    const tab = await open('/');
    site.write('templates/index.html', html('<p id="text">second</p>'));
    await tab.shows('#text', 'second');
  });
});
