// One stream for all pages of a browser, with a worker and without one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { APP, Site, html, launch, until } from './harness.mjs';

const TIMEOUT = 60_000;

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

const oneStream = (site) =>
  until('there is one stream', () => streams(site) === 1 || requests(site).slice(-20));

let launched;
const browser = () => (launched ??= launch());
after(async () => (await launched)?.close());

/** Tabs of one browser, which share a worker, a channel, locks and connections. */
class Window {
  static async open(site) {
    const made = new Window();
    made.site = site;
    made.context = await (await browser()).createBrowserContext();
    return made;
  }

  async tab(path = '/') {
    const page = await this.context.newPage();
    const lines = [];
    page.on('console', (message) => lines.push(message.text()));
    page.on('pageerror', (error) => lines.push(`thrown: ${error}`));
    const tab = {
      page,
      lines,
      said: (text) => lines.filter((line) => line.includes(text)).length,
      connected: (times = 1) =>
        until(
          `${times} documents connected`,
          () => tab.said('[hot reload] connected') >= times || lines,
        ),
      styled: (color) =>
        until(`a tab is ${color}`, async () => {
          const now = await page.$eval('#text', (element) => getComputedStyle(element).color);
          return now === color || [now, lines];
        }),
      shows: (text) =>
        until(`a tab shows ${text}`, async () => {
          const now = await page.$eval('#text', (element) => element.textContent);
          return now === text || [now, lines];
        }),
    };
    await page.goto(this.site.url + path, { waitUntil: 'domcontentloaded' });
    await tab.connected();
    return tab;
  }

  async tabs(count) {
    const made = [];
    for (let n = 0; n < count; n++) made.push(await this.tab());
    return made;
  }
}

const check = (name, files, run) =>
  test(name, { timeout: TIMEOUT }, async (t) => {
    const site = await Site.create(files);
    let window;
    try {
      await site.start();
      window = await Window.open(site);
      await run({ site, window, t });
    } catch (error) {
      t.diagnostic(`server: ${site.output?.().slice(-2000)} ${requests(site).slice(-60)}`);
      throw error;
    } finally {
      await window?.context.close();
      await site.remove();
    }
  });

const red = (level) => `rgb(${level}, 0, 0)`;

const allStyled = (site, tabs, level) => {
  site.write('static/site.css', `p { color: ${red(level)} }`);
  return Promise.all(tabs.map((tab) => tab.styled(red(level))));
};

const modes = {
  'with a worker': {
    files: { 'app.py': appWith({}) },
    used: 'worker.js',
  },
  'where a policy refuses workers': {
    files: { 'app.py': appWith({ 'content-security-policy': "worker-src 'none'" }) },
    used: 'share.js',
  },
  'under trusted types': {
    files: {
      'app.py': appWith({
        'content-security-policy': "require-trusted-types-for 'script'; trusted-types 'none'",
      }),
    },
    used: 'share.js',
  },
};

for (const [mode, { files, used }] of Object.entries(modes))
  describe(mode, () => {
    check(
      `eight tabs have one stream, and a ninth request is answered`,
      files,
      async ({ site, window }) => {
        const tabs = await window.tabs(8);
        await oneStream(site);
        const answer = tabs[0].page.evaluate(async () => (await fetch('/static/site.css')).status);
        assert.equal(await answer, 200);
        assert.ok(asked(site, used) > 0, `${used} is used`);
        await allStyled(site, tabs, 2);
        await oneStream(site);
      },
    );

    check('any tab can be closed, and the others lose nothing', files, async ({ site, window }) => {
      const tabs = await window.tabs(4);
      for (let level = 2; tabs.length; level++) {
        const [gone] = tabs.splice(level % tabs.length, 1);
        // Nobody waits: the save comes while the tab goes.
        const closing = gone.page.close();
        await allStyled(site, tabs, level);
        await closing;
        if (tabs.length) await oneStream(site);
      }
      await until('no stream is left', () => streams(site) === 0 || requests(site).slice(-5));
    });

    check('a template reloads every tab, once', files, async ({ site, window }) => {
      const tabs = await window.tabs(3);
      site.write('templates/index.html', html('<p id="text">second</p>'));
      for (const tab of tabs) {
        await tab.shows('second');
        await tab.connected(2);
      }
      await oneStream(site);
      for (const tab of tabs) assert.equal(tab.said('[hot reload] reload'), 1, tab.lines);
    });

    check(
      'a server that is killed and started again refreshes every tab, once',
      files,
      async ({ site, window }) => {
        const tabs = await window.tabs(3);
        await site.stop('SIGKILL');
        site.write('templates/index.html', html('<p id="text">second</p>'));
        await site.start();
        for (const tab of tabs) {
          await tab.shows('second');
          await tab.connected(2);
        }
        await allStyled(site, tabs, 3);
        for (const tab of tabs) assert.equal(tab.said('[hot reload] reload'), 1, tab.lines);
      },
    );

    check(
      'a page comes out of the back/forward cache, and is told of later saves',
      { ...files, 'templates/other.html': html('<p id="text">other</p>') },
      async ({ site, window }) => {
        const tab = await window.tab();
        await tab.page.evaluate(() => (window.kept = true));
        await tab.page.goto(`${site.url}/other`);
        await tab.connected(2);
        await tab.page.goBack({ waitUntil: [] });
        await until('the page was kept', () => tab.page.evaluate(() => window.kept === true));
        await allStyled(site, [tab], 4);
        await oneStream(site);
        assert.equal(await tab.page.evaluate(() => window.kept), true);
      },
    );
  });

check(
  'a page that was changed while it was away catches up',
  { 'app.py': appWith({}), 'templates/other.html': html('<p id="text">other</p>') },
  async ({ site, window }) => {
    const [tab, other] = await window.tabs(2);
    await tab.page.evaluate(() => (window.kept = true));
    await tab.page.goto(`${site.url}/other`);
    await tab.connected(2);
    await allStyled(site, [tab, other], 5);
    await tab.page.goBack({ waitUntil: [] });
    await tab.styled(red(5));
    assert.equal(await tab.page.evaluate(() => window.kept), true);
    await oneStream(site);
  },
);
