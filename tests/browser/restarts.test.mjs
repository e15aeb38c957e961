// Tabs of a server that is killed and started again, twenty times, at random moments, with saves in
// between: each ends on what is newest, and asks for no document without a cause.
//
// RESTARTS_SEED=<number> gives the moments of an earlier run, whose seed is among its diagnostics.
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { APP, everywhere, html, until } from './harness.mjs';

const KILLS = 20;
/** After so many kills the tabs come to rest; some would never be connected otherwise. */
const LAP = 5;
/** So many that a document for each would be more than the saves of templates can be the cause of. */
const STYLES = 4;
const TIMEOUT = 180_000;
const SEED = Number(process.env.RESTARTS_SEED ?? Date.now() % 1_000_000);

const OLD_COPY = 'got an older copy';
const LOOP = 'does loading this page change a watched file?';

// The servers write down who asked which of them for a document: a browser counts its own error pages,
// too, and a page cannot tell of one that it did not get.
const COUNTING = APP.replace(
  'context = {',
  `with open("asked.log", "a") as log:
        log.write(f"{os.getpid()} {request.query_params['tab']}\\n")
    context = {`,
);

// Somebody uses the pages: one that nobody touches, and that is reloaded as often as this, is taken
// for one whose loading changes a watched file.
const HEAD = `<link rel="stylesheet" href="/static/site.css">
<script>
  Object.defineProperty(navigator, 'userActivation', { value: { hasBeenActive: true } });
</script>`;

const FILES = {
  'app.py': COUNTING,
  'templates/index.html': html('<p id="text">{% include "text.html" %}</p>', HEAD),
  'templates/other.html': html('<h1>other</h1><p id="text">{% include "text.html" %}</p>', HEAD),
  'templates/text.html': 'text 0',
  'static/site.css': 'p { color: rgb(0, 0, 0) }',
};

/** Mulberry32: numbers in [0, 1), the same for the same seed. */
const randomOf = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const look = () => ({
  address: document.documentURI,
  state: document.readyState,
  since: performance.timeOrigin,
  hasClient: Symbol.for('starlette-hot-reload') in window,
  hasTag: !!document.querySelector('script[data-cursor]'),
  text: document.querySelector('#text')?.textContent,
  color: getComputedStyle(document.querySelector('#text') ?? document.createElement('p')).color,
  // Chromium makes none for a document of which only the head of the answer has come.
  markup: document.documentElement?.outerHTML.slice(0, 2000),
});

const seen = (tab) => tab.evaluate(look).catch((error) => ({ error: String(error) }));

/**
 * Whether nothing of ours can run in what the tab shows, because the server was killed before it had
 * sent the tag: the browser's error page or, in Chromium, what had come by then. A document that has
 * its tag is none, since the client comes out of the cache; but WebKit asks the server for it whenever
 * it reloads: to it, `immutable` means nothing over HTTP.
 */
const isLost = ({ error, address, state, since, hasClient, hasTag }, restarted, isWebKit) => {
  // Between two documents.
  if (error || hasClient || (hasTag && !isWebKit)) return false;
  // Firefox does not complete its error page, nor Chromium what is cut off: that is of an older server.
  return state === 'complete' || address.startsWith('about:neterror') || since < restarted;
};

/** A site, its tabs, and what happens to them. */
class Course {
  #site;
  #random = randomOf(SEED);
  #isWebKit;
  #edits = 0;
  #text = 'text 0';
  #color = 'rgb(0, 0, 0)';
  #restarted = 0;
  /** How many saves of a template each server lived to see, by its process. */
  #saves = new Map();
  #outputs = [];
  #log = [];
  #start = Date.now();
  tabs = [];

  constructor(site, engine) {
    this.#site = site;
    this.#isWebKit = engine.name === 'webkit';
    this.#saves.set(site.child.pid, 0);
  }

  async add(tab, path) {
    const name = String(this.tabs.length);
    const url = `${this.#site.url}${path}?tab=${name}`;
    await tab.visit(url);
    this.tabs.push(Object.assign(tab, { name, url, losses: 0 }));
  }

  /** More often than not a short one. */
  moment(longest) {
    return pause(this.#random() ** 2 * longest);
  }

  /** A template, a stylesheet or both. */
  edit() {
    const what = this.#random();
    if (what < 0.7) this.#saveText();
    if (what > 0.4) this.#saveStyle();
  }

  async kill() {
    this.#note('killed');
    const { output } = this.#site;
    await this.#site.stop('SIGKILL');
    this.#outputs.push(output());
  }

  async restart() {
    this.#restarted = Date.now();
    await this.#site.start();
    this.#saves.set(this.#site.child.pid, 0);
    this.#note(`server ${this.#site.child.pid} answers`);
  }

  /** What a person does who sees that a page is lost. The server must be there. */
  async visitLost() {
    for (const tab of this.tabs) {
      const page = await seen(tab);
      if (!isLost(page, this.#restarted, this.#isWebKit)) continue;
      tab.losses++;
      this.#note(`tab ${tab.name} is lost: ${page.state} ${page.address}`);
      await tab.go(tab.url);
      await until(`tab ${tab.name} is back`, async () => (await seen(tab)).hasClient);
    }
  }

  async rest() {
    await until(`each tab shows ${this.#text} in ${this.#color}`, async () => {
      await this.visitLost();
      const pages = await Promise.all(this.tabs.map(seen));
      const isNewest = ({ text, color }) => text === this.#text && color === this.#color;
      return pages.every(isNewest) || pages;
    });
    this.#note('all is shown');
    for (let n = 0; n < STYLES; n++) {
      this.#saveStyle();
      for (const tab of this.tabs) await tab.styled('#text', this.#color);
    }
  }

  /**
   * A restart loses the journal, so it takes one document, which has what was saved while there was
   * no server. A template that is saved while there is one takes one more, a stylesheet none. For a
   * page that was lost the next server is asked instead of for the restart.
   */
  async assertNothingNeedless() {
    const asked = this.#asked();
    for (const [server, saves] of this.#saves)
      for (const { name } of this.tabs) {
        const documents = asked.filter((line) => line === `${server} ${name}`).length;
        const what = `tab ${name}: ${documents} documents of server ${server}, for ${saves} saves`;
        assert.ok(documents <= 1 + saves, what);
      }
    for (const tab of this.tabs) {
      assert.equal(await tab.said(OLD_COPY), 0);
      assert.equal(await tab.said(LOOP), 0);
      assert.deepEqual(await tab.errors(), [], 'nothing is thrown into the page');
    }
  }

  summary() {
    const losses = this.tabs.map((tab) => tab.losses).join(' + ');
    return `${this.#asked().length} documents in ${this.tabs.length} tabs; lost: ${losses}`;
  }

  /** What happened, for one who looks for the reason of a failure. */
  async *story() {
    yield this.#log.join('\n');
    yield `documents, by server and tab: ${this.#asked().join(', ')}`;
    yield `servers: ${this.#outputs.join('').slice(-3000)}`;
    for (const tab of this.tabs) {
      yield `tab ${tab.name}: ${JSON.stringify(await seen(tab))}`;
      yield `console: ${JSON.stringify((await tab.lines()).slice(-40))}`;
    }
  }

  #note(text) {
    this.#log.push(`${Date.now() - this.#start} ${text}`);
  }

  // In one step, since Jinja takes a template whose time is still the same for unchanged: what it had
  // read half-written would stay.
  #save(path, text) {
    const next = this.#site.path('next');
    writeFileSync(next, text);
    renameSync(next, this.#site.path(path));
    this.#note(`saved ${path}: ${text}`);
  }

  #saveText() {
    const server = this.#site.child?.pid;
    if (server) this.#saves.set(server, this.#saves.get(server) + 1);
    this.#text = `text ${++this.#edits}`;
    this.#save('templates/text.html', this.#text);
  }

  #saveStyle() {
    this.#color = `rgb(${++this.#edits}, 0, 0)`;
    this.#save('static/site.css', `p { color: ${this.#color} }`);
  }

  #asked() {
    return readFileSync(this.#site.path('asked.log'), 'utf8').trim().split('\n');
  }
}

const run = async (course, open) => {
  const first = await open();
  await course.add(first, '/');
  await course.add(await open(undefined, { beside: first }), '/other');
  await course.add(await open(), '/');
  for (let kill = 1; kill <= KILLS; kill++) {
    await course.moment(250);
    course.edit();
    await course.moment(250);
    await course.kill();
    course.edit();
    await course.moment(100);
    await course.restart();
    await course.visitLost();
    await course.moment(200);
    course.edit();
    if (kill % LAP === 0) await course.rest();
  }
  await course.assertNothingNeedless();
};

everywhere((check, engine) => {
  check(
    'twenty kills at random moments: the newest is shown, without a needless document',
    FILES,
    async ({ site, open, t }) => {
      t.diagnostic(`RESTARTS_SEED=${SEED}`);
      const course = new Course(site, engine);
      try {
        await run(course, open);
        t.diagnostic(course.summary());
      } catch (error) {
        // As long as a picture is waited for, nothing else tells of it.
        t.diagnostic(error.stack);
        for await (const line of course.story()) t.diagnostic(line);
        throw error;
      }
    },
    TIMEOUT,
  );
});
