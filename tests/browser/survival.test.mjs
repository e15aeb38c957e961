// What a tab survives: servers that are killed, frozen or out of reach, proxies that get in the way,
// and tabs that are hidden or closed. In the end each shows what is newest, and was not reloaded
// without a cause.
import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { APP, everywhere, html, until } from './harness.mjs';
import { freePort } from './site.mjs';

const BADGE = 'hot-reload-notice';

const red = (level) => `rgb(${level}, 0, 0)`;

const writeText = (site, text) =>
  site.write('templates/index.html', html(`<p id="text">${text}</p>`));

const writeColor = (site, level) =>
  site.write('static/site.css', `p { color: ${red(level)} }`);

let rests = 0;

/** Nothing is left to come: a stylesheet that is saved now comes through, and no document did. */
const atRest = async (site, tab, documents) => {
  const swapped = await tab.said('swapped');
  // New each time, since a file that is the same is not told of.
  const color = `rgb(0, 255, ${++rests})`;
  site.write('static/site.css', `p { color: ${color} }`);
  await tab.styled('#text', color);
  await tab.says('swapped', swapped + 1);
  assert.equal(await tab.documents(), documents);
};

/** A reverse proxy in front of the site, with the faults that such have. */
class Proxy {
  static async open(site) {
    const proxy = new Proxy();
    proxy.refused = 0;
    proxy.held = 0;
    proxy.server = createServer((request, response) => proxy.answer(site, request, response));
    proxy.port = await freePort();
    await new Promise((done) => proxy.server.listen(proxy.port, '127.0.0.1', done));
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    return proxy;
  }

  /** Ends what is under way, and answers 502 until `mend`. */
  fail() {
    this.isFailing = true;
    this.server.closeAllConnections();
  }

  mend() {
    this.isFailing = false;
  }

  /** Keeps the bytes of streams to itself, or those of their bodies only. */
  buffer(what) {
    this.buffers = what;
  }

  answer(site, request, response) {
    if (this.isFailing) return this.refuse(response);
    const { method, url: path, headers } = request;
    const inner = ask({ host: '127.0.0.1', port: site.port, method, path, headers, agent: false });
    inner.on('response', (answer) => {
      const isStream = answer.headers['content-type']?.startsWith('text/event-stream');
      if (isStream && this.buffers) this.held++;
      if (isStream && this.buffers === 'all') return answer.resume();
      response.writeHead(answer.statusCode, answer.headers);
      if (isStream && this.buffers === 'body') {
        response.flushHeaders();
        return answer.resume();
      }
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    inner.on('error', () => (response.headersSent ? response.destroy() : this.refuse(response)));
    response.on('close', () => inner.destroy());
    request.pipe(inner);
  }

  refuse(response) {
    this.refused++;
    response.writeHead(502, { 'content-type': 'text/plain' }).end('bad gateway');
  }

  async close() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }
}

/** Runs a test with a proxy in front of its site. */
const proxied = (run) => async (given) => {
  const proxy = await Proxy.open(given.site);
  try {
    await run({ ...given, proxy });
  } finally {
    await proxy.close();
  }
};

const hasBadge = (tab) =>
  tab.evaluate((name) => document.querySelectorAll(name).length === 1, BADGE);

const badge = (tab, isThere) =>
  until(`the badge is ${isThere ? 'there' : 'gone'}`, async () =>
    (await hasBadge(tab)) === isThere || (await tab.lines()),
  );

const scripted = {
  'templates/index.html': html('<p id="text">first</p><script src="/static/app.js"></script>'),
  'static/app.js': 'window.version = 1',
};

const withoutWorkers = {
  'app.py': APP.replace(
    'f"{name}.html", context)',
    `f"{name}.html", context, headers={"content-security-policy": "worker-src 'none'"})`,
  ),
};

/** Shows which page has the stream, and counts the documents of the first one. */
const watched = {
  'first.js': `if (self === top && !opener) sessionStorage.loads = 1 + Number(sessionStorage.loads ?? 0);
  window.EventSource = class extends EventSource {
    constructor(...given) {
      super(...given);
      window.stream = this;
      // Before the client hears of it.
      this.addEventListener('message', (event) => window.beforeUpdate?.(event));
    }
  };`,
};

everywhere((check, engine) => {
  const isChromium = engine.name === 'chromium';
  const isWebKit = engine.name === 'webkit';

  check('a server that goes away as a reload is due: it is waited for', scripted, async ({ site, open }) => {
    const tab = await open('/');
    await tab.canTell();
    // What the page uses is asked for before the reload, but waited for no longer than a moment: it is
    // this very request that the server dies of, so that the reload cannot come first.
    await site.dies('/static/app.js', () => site.write('static/app.js', 'window.version = 2'));
    await badge(tab, true);
    await site.start();
    await until('the new script runs', async () => (await tab.evaluate(() => window.version)) === 2);
    await tab.connected(2);
    await atRest(site, tab, 2);
  });

  check('a frozen server: what was saved meanwhile comes, once', {}, async ({ site, open }) => {
    const tab = await open('/');
    site.child.kill('SIGSTOP');
    writeColor(site, 2);
    writeColor(site, 3);
    site.child.kill('SIGCONT');
    await tab.styled('#text', red(3));
    assert.equal(await tab.documents(), 1);
    site.child.kill('SIGSTOP');
    writeText(site, 'second');
    writeColor(site, 4);
    writeText(site, 'third');
    site.child.kill('SIGCONT');
    await tab.shows('#text', 'third');
    await tab.styled('#text', red(4));
    await tab.connected(2);
    await atRest(site, tab, 2);
  });

  // Not with a worker, which this does not take offline: that the page is, and the stream is not, happens
  // nowhere else.
  if (isChromium)
    check('a browser that was offline catches up, once', withoutWorkers, async ({ site, open }) => {
      const tab = await open('/');
      await tab.page.setOfflineMode(true);
      const batch = await site.batch();
      writeText(site, 'second');
      writeColor(site, 2);
      await batch.names('index.html');
      assert.equal(await tab.text('#text'), 'first');
      await tab.page.setOfflineMode(false);
      await tab.shows('#text', 'second');
      await tab.styled('#text', red(2));
      await tab.connected(2);
      await atRest(site, tab, 2);
    });

  check('a proxy that answers 502 while the server restarts', {}, proxied(async ({ site, open, proxy }) => {
    const tab = await open();
    await tab.visit(proxy.url);
    await tab.canTell();
    await site.stop('SIGKILL');
    await until('the stream was refused three times', () => proxy.refused >= 3);
    writeText(site, 'second');
    await badge(tab, true);
    assert.equal(await tab.text('#text'), 'first');
    await site.start();
    await tab.shows('#text', 'second');
    await tab.connected(2);
    await atRest(site, tab, 2);
    await badge(tab, false);
  }));

  check('a proxy that keeps streams to itself: the person is told', {}, proxied(async ({ site, open, proxy }) => {
    const tab = await open();
    proxy.buffer('all');
    await tab.go(proxy.url);
    await tab.shows('#text', 'first');
    await badge(tab, true);
    writeText(site, 'second');
    proxy.buffer('body');
    // Not told, the page stays as it is, and can still be asked for again.
    await tab.evaluate(() => void setTimeout(() => location.reload()));
    await tab.shows('#text', 'second');
    await badge(tab, true);
    assert.equal(proxy.held, 2, 'one stream a document');
    assert.equal(await tab.documents(), 2);
    assert.equal(await tab.said('connected'), 0);
  }));

  if (!isWebKit)
    check('a hidden tab shows what is newest when it is looked at again, once', {}, async ({ site, open }) => {
      const tab = await open('/');
      const other = await open('/', { beside: tab });
      await other.page.bringToFront();
      await until('the tab is hidden', () => tab.evaluate(() => document.hidden));
      writeText(site, 'second');
      await other.shows('#text', 'second');
      writeColor(site, 2);
      await other.styled('#text', red(2));
      await tab.page.bringToFront();
      await tab.shows('#text', 'second');
      await tab.styled('#text', red(2));
      await tab.connected(2);
      await atRest(site, tab, 2);
    });

  if (isChromium)
    check('a tab that was frozen in the background catches up, once', {}, async ({ site, open }) => {
      const tab = await open('/');
      const other = await open('/', { beside: tab });
      await other.page.bringToFront();
      const session = await tab.page.createCDPSession();
      await session.send('Page.setWebLifecycleState', { state: 'frozen' });
      writeText(site, 'second');
      await other.shows('#text', 'second');
      writeColor(site, 2);
      await other.styled('#text', red(2));
      await session.send('Page.setWebLifecycleState', { state: 'active' });
      await tab.page.bringToFront();
      await tab.shows('#text', 'second');
      await tab.styled('#text', red(2));
      await tab.connected(2);
      await atRest(site, tab, 2);
    });

  // A window cannot be opened by a script in an automated WebKit: there a frame is the other page.
  const holder = isWebKit ? 'frame' : 'tab';
  check(`a ${holder} that holds the stream is closed while a save is on its way`, { ...withoutWorkers, ...watched }, async ({ site, open }) => {
    const tab = await open('/');
    await tab.evaluate((isFrame) => {
      const frame = document.createElement('iframe');
      frame.src = '/?other';
      window.other = isFrame ? document.body.appendChild(frame).contentWindow : open('/?other');
      window.closeOther = () => (isFrame ? frame.remove() : window.other.close());
    }, isWebKit);
    await until('the other page alone has the stream', () =>
      tab.evaluate(() => window.other.stream?.readyState === 1 && window.stream.readyState === 2),
    );
    // It has come as far as the other page, which tells nobody of it any more.
    await tab.evaluate(() => {
      window.other.beforeUpdate = (event) => {
        event.stopImmediatePropagation();
        window.closeOther();
      };
    });
    writeText(site, 'second');
    await tab.shows('#text', 'second');
    await atRest(site, tab, await tab.documents());
    assert.equal(await tab.evaluate(() => Number(sessionStorage.loads)), 2);
  });

  const content = {
    'templates/index.html': html(
      '<p id="text">first</p><a href="#a">one</a> <input> <button>two</button><footer>end</footer>',
      `<link rel="stylesheet" href="/static/site.css">
      <style>* { outline: 3px solid !important } footer { position: absolute; bottom: 0; right: 0 }</style>`,
    ),
  };

  /** Where all is, what it looks like, and what has the focus. */
  const look = (tab) =>
    tab.evaluate(() => [
      document.activeElement.tagName,
      document.documentElement.scrollWidth,
      document.documentElement.scrollHeight,
      ...[...document.querySelectorAll('html, head, body, body *')].map((element) => [
        element.tagName,
        JSON.stringify(element.getBoundingClientRect()),
        Object.entries(getComputedStyle(element)).join(),
      ]),
    ]);

  /** What the Tab key leads to, where there is one to be pressed. */
  const order = async (tab) => {
    const stops = [];
    for (let presses = 0; tab.page && presses < 6; presses++) {
      await tab.page.keyboard.press('Tab');
      stops.push(await tab.evaluate(() => document.activeElement.tagName));
    }
    return stops;
  };

  check('the badge is there while the server is away, and changes nothing of the page', content, proxied(async ({ site, open, proxy }) => {
    const tab = await open();
    await tab.visit(proxy.url);
    await tab.canTell();
    const focus = () => tab.evaluate(() => document.querySelector('input').focus());
    await focus();
    const stops = await order(tab);
    await focus();
    const before = await look(tab);
    assert.equal(await hasBadge(tab), false);
    proxy.fail();
    await badge(tab, true);
    assert.deepEqual(await look(tab), before);
    const badged = await tab.evaluate((name) => {
      const host = document.querySelector(name);
      const { left, top, width, height } = host.getBoundingClientRect();
      const inside = document.elementFromPoint(left + width / 2, top + height / 2);
      return { isClosed: host.shadowRoot === null, isOnTop: inside === host, width, height };
    }, BADGE);
    assert.ok(badged.isClosed && badged.isOnTop, JSON.stringify(badged));
    assert.ok(badged.width > 60 && badged.height > 15, JSON.stringify(badged));
    assert.deepEqual(await order(tab), stops);
    if (isChromium) {
      const tree = JSON.stringify(await tab.page.accessibility.snapshot({ interestingOnly: false }));
      assert.match(tree, /the server is away/);
    }
    proxy.mend();
    await badge(tab, false);
    await focus();
    assert.deepEqual(await look(tab), before);
    // A stream that was interrupted is no reason for a reload, even if something was saved meanwhile.
    proxy.fail();
    const batch = await site.batch();
    writeColor(site, 2);
    await batch.names('site.css');
    proxy.mend();
    await tab.styled('#text', red(2));
    await atRest(site, tab, 1);
  }));
});
