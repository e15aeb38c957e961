// One stream for all tabs of a browser, with a worker and without one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { APP, everywhere, html, until } from './harness.mjs';

// Stands outside the app and writes down which streams it has at any time, and who loads what.
const COUNTING = `
from starlette_hot_reload import HotReload as _

class Counted:
    def __init__(self, app):
        self.app = app
        self.open = 0
    def note(self, what):
        with open("requests.log", "a") as log:
            log.write(what + "\\n")
    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"]
        if path != "/__starlette_hot_reload":
            self.note(path)
            return await self.app(scope, receive, send)
        self.open += 1
        self.note(f"streams {self.open}")
        try:
            await self.app(scope, receive, send)
        finally:
            self.open -= 1
            self.note(f"streams {self.open}")

app = Counted(app)
`;

const appWith = (headers) =>
  APP.replace(
    'f"{name}.html", context)',
    `f"{name}.html", context, headers=${JSON.stringify(headers)})`,
  ) + COUNTING;

const requests = (site) => readFileSync(site.path('requests.log'), 'utf8').trim().split('\n');

const streams = (site) =>
  Number(
    requests(site)
      .filter((line) => line.startsWith('streams '))
      .at(-1)
      ?.split(' ')[1] ?? 0,
  );

const asked = (site, path) =>
  requests(site).filter((line) => line === `/__starlette_hot_reload/${path}`).length;

const streamsAre = (site, count) =>
  until(`the streams are ${count}`, () => streams(site) === count || requests(site).slice(-20));

const red = (level) => `rgb(${level}, 0, 0)`;

const allStyled = (site, tabs, level) => {
  site.write('static/site.css', `p { color: ${red(level)} }`);
  return Promise.all(tabs.map((tab) => tab.styled('#text', red(level))));
};

/** Tabs of one browser, which share a worker, a channel, locks and connections. */
const openTabs = async (open, count) => {
  const first = await open('/');
  const others = Array.from({ length: count - 1 }, () => open('/', { beside: first }));
  return [first, ...(await Promise.all(others))];
};

/** Shows whether a page has a stream itself. */
const WATCHED = `window.EventSource = class extends EventSource {
  constructor(...given) {
    super(...given);
    window.stream = this;
  }
};`;

/** Those of the tabs that have a stream. */
const holders = async (tabs) => {
  const states = await Promise.all(
    tabs.map((tab) => tab.evaluate(() => window.stream?.readyState === EventSource.OPEN)),
  );
  return tabs.filter((_, index) => states[index]);
};

/** The tab that has the stream, or the first one where a worker has it. */
const holderOf = async (tabs, used) => {
  if (used === 'worker.js') {
    assert.deepEqual(await holders(tabs), [], 'a worker has the stream');
    return tabs[0];
  }
  let found;
  await until('one tab has a stream', async () => (found = await holders(tabs)).length === 1);
  return found[0];
};

/** The protocol's session with the worker of a tab in Chromium. A page's own does not reach it. */
const workerOf = async (tab) => {
  const target = await tab.page
    .browser()
    .waitForTarget((one) => one.type() === 'shared_worker' && one.url().startsWith(tab.page.url()));
  const session = await target.createCDPSession();
  await session.send('Network.enable');
  return session;
};

/** Its scope is told by no event, unlike a page's. */
const setOffline = (session, offline) =>
  session.send('Network.emulateNetworkConditions', {
    offline,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });

const WITHOUT_WORKERS = `${WATCHED}\ndelete window.SharedWorker;`;

// In WebKit a worker ends with the page in whose process it runs, and pages are not told: not used.
const waysOf = ({ name }) =>
  name === 'webkit'
    ? { 'without a worker': { first: WATCHED, used: 'share.js' } }
    : {
        'with a worker': { first: WATCHED, used: 'worker.js' },
        'without workers': { first: WITHOUT_WORKERS, used: 'share.js' },
      };

// Firefox keeps no page that has used locks.
const keepsPages = ({ name }, used) => name !== 'firefox' || used === 'worker.js';

const REFUSALS = {
  'a policy': { 'content-security-policy': "worker-src 'none'" },
  'trusted types': {
    'content-security-policy': "require-trusted-types-for 'script'; trusted-types 'none'",
  },
};

everywhere((check, engine) => {
  for (const [way, { first, used }] of Object.entries(waysOf(engine))) {
    const files = {
      'app.py': appWith({}),
      'first.js': first,
      'templates/other.html': html('<p id="text">other</p>'),
    };

    check(`${way}, eight tabs have one stream, and a ninth request is answered`, files, async ({ site, open }) => {
      const tabs = await openTabs(open, 8);
      await streamsAre(site, 1);
      const status = await tabs[0].evaluate(async () => (await fetch('/static/site.css')).status);
      assert.equal(status, 200);
      assert.ok(asked(site, used) > 0, `${used} is used`);
      await allStyled(site, tabs, 2);
      await streamsAre(site, 1);
      for (const tab of tabs) assert.equal(await tab.documents(), 1);
    });

    check(`${way}, the tab that has the stream is closed, and the others lose nothing`, files, async ({ site, open }) => {
      const tabs = await openTabs(open, 4);
      for (let level = 2; tabs.length > 1; level++) {
        await streamsAre(site, 1);
        const holder = await holderOf(tabs, used);
        tabs.splice(tabs.indexOf(holder), 1);
        // Nobody waits: the save comes while the tab goes.
        const closing = holder.close();
        await allStyled(site, tabs, level);
        await closing;
      }
      await streamsAre(site, 1);
      assert.equal(await tabs[0].documents(), 1);
      await tabs[0].close();
      await streamsAre(site, 0);
    });

    check(`${way}, a template, and a server that was killed, reload every tab once`, files, async ({ site, open }) => {
      const tabs = await openTabs(open, 3);
      const allShow = async (text, documents) => {
        for (const tab of tabs) {
          await tab.shows('#text', text);
          await tab.connected(documents);
        }
      };
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await allShow('second', 2);
      await streamsAre(site, 1);
      await site.stop('SIGKILL');
      site.write('templates/index.html', html('<p id="text">third</p>'));
      await site.start();
      await allShow('third', 3);
      await allStyled(site, tabs, 2);
      for (const tab of tabs) assert.equal(await tab.documents(), 3);
    });

    check(`${way}, a page that comes back as it was left catches up, and there is one stream`, files, async ({ site, open }) => {
      const [tab, other] = await openTabs(open, 2);
      await tab.evaluate(() => void (window.kept = true));
      await tab.visit(`${site.url}/other`);
      await allStyled(site, [tab, other], 2);
      await tab.back();
      await until('the page is back', () => tab.evaluate(() => location.pathname === '/'));
      await tab.styled('#text', red(2));
      await allStyled(site, [tab, other], 3);
      await streamsAre(site, 1);
      if (keepsPages(engine, used)) assert.equal(await tab.evaluate(() => window.kept), true);
    });
  }

  if (engine.name === 'chromium') {
    check('a browser that was offline, with its stream in a worker, is woken when it is online again', {}, async ({ site, open }) => {
      const tab = await open('/');
      const worker = await workerOf(tab);
      // No wait of the worker ends: the page's word alone can wake it.
      await worker.send('Runtime.evaluate', { expression: 'self.setTimeout = () => 0' });
      await tab.page.setOfflineMode(true);
      await setOffline(worker, true);
      const lost = new Promise((done) => worker.once('Network.loadingFailed', done));
      // To be offline ends no stream that is open already.
      await site.stop('SIGKILL');
      await lost;
      site.write('templates/index.html', html('<p id="text">second</p>'));
      await site.start();
      assert.equal(await tab.text('#text'), 'first');
      await setOffline(worker, false);
      await tab.page.setOfflineMode(false);
      await tab.shows('#text', 'second');
      await tab.connected(2);
      await allStyled(site, [tab], 2);
      assert.equal(await tab.documents(), 2);
    });

    for (const [what, headers] of Object.entries(REFUSALS))
      check(`where ${what} refuses workers, there is one stream`, { 'app.py': appWith(headers) }, async ({ site, open }) => {
        const tabs = await openTabs(open, 3);
        await streamsAre(site, 1);
        assert.equal(asked(site, 'worker.js'), 0);
        await allStyled(site, tabs, 2);
        await streamsAre(site, 1);
      });
  }
});
