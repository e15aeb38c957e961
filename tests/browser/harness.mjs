// What a browser test is made of. A test for all engines reads:
//
//   import { everywhere, html } from './harness.mjs';
//
//   everywhere((check, engine) => {
//     const files = { 'templates/a.html': html('…') };
//     check('a saved template is shown', files, async ({ site, open }) => {
//       const tab = await open('/a');
//       site.write('templates/a.html', html('<p id="text">new</p>'));
//       await tab.shows('#text', 'new');
//     });
//   });
//
// `check` makes a site of the files, runs the test once in each engine, and cleans up; each tab has
// cookies, storage and cache of its own, but for one that is opened `beside` another, in the same
// browser: `open('/a', { beside: tab })`. The engines are those of the variable BROWSERS, a list of
// names of `chromium,firefox,webkit`, or all; one that is not installed fails. What must run before
// the client does goes into a file `first.js`; what a server or proxy does to requests is `hold`,
// `refuse` and `dies` of the site: no engine's own protocol is needed for either. `tab.page` is
// puppeteer's page, and is not there in WebKit.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Puppet, launchChromium, launchFirefox } from './puppets.mjs';
import { Site } from './site.mjs';
import { until } from './until.mjs';
import { WebKit } from './webkit.mjs';

export { APP, CACHING, Site, html } from './site.mjs';
export { launchChromium as launch } from './puppets.mjs';
export { until } from './until.mjs';

const OUTPUT = join(dirname(fileURLToPath(import.meta.url)), 'output');
const TIMEOUT = 60_000;

const known = [
  new Puppet('chromium', launchChromium),
  new Puppet('firefox', launchFirefox),
  new WebKit(),
];

const selected = () => {
  const names = process.env.BROWSERS?.split(',') ?? known.map(({ name }) => name);
  return names.map((name) => {
    const engine = known.find((one) => one.name === name.trim());
    if (engine) return engine;
    throw new Error(`BROWSERS: ${name} is none of ${known.map((one) => one.name).join(', ')}`);
  });
};

/** Each has a `name`, is launched when `page` is first called, and ended by `close`. */
export const ENGINES = selected();

/** A page of an engine, with what tests ask of it. */
export class Tab {
  #carrier;

  static async open(engine, { beside } = {}) {
    const tab = new Tab();
    tab.#carrier = await engine.page(beside?.#carrier);
    tab.page = tab.#carrier.page;
    return tab;
  }

  /** Waits for nothing. */
  go(url) {
    return this.#carrier.go(url);
  }

  /** Waits until the new document is whole and its client connected. */
  async visit(url) {
    const before = await this.documents();
    const connected = await this.said('[hot reload] connected');
    await this.go(url);
    await until(`${url} is there`, async () => (await this.documents()) > before);
    // Not once for each document: a page that changes its own address counts as one in Chromium.
    await this.connected(connected + 1);
    await this.whole();
  }

  /** Waits until the page is loaded: its text may be there, and its client be connected, before. */
  whole() {
    return until('the page is whole', () =>
      this.evaluate(() => document.readyState === 'complete'),
    );
  }

  /** Waits until what shows the badge is there: it is fetched once the page is connected. */
  canTell() {
    return until('the notice is fetched', () =>
      this.evaluate(() =>
        performance.getEntriesByType('resource').some(({ name }) => name.includes('/notice.js')),
      ),
    );
  }

  /** Of those beside each other, this one alone is looked at, until another is brought to the front. */
  async front() {
    await this.#carrier.front();
    await until('the tab is in front', () => this.evaluate(() => !document.hidden));
  }

  back() {
    return this.evaluate(() => void setTimeout(() => history.back()));
  }

  /** `task` runs in the page, so it must use nothing from outside but what it is `given`. */
  evaluate(task, ...given) {
    return this.#carrier.evaluate(task, ...given);
  }

  /** What the console said, each line with its level. */
  async lines() {
    return (await this.#carrier.record()).lines;
  }

  /** What was thrown and not caught. Firefox lists there what a policy refused, too. */
  async errors() {
    const { errors } = await this.#carrier.record();
    return errors.filter((error) => !error.startsWith('Error: Content-Security-Policy:'));
  }

  /** How many documents were loaded; one that comes back as it was left does not count. */
  async documents() {
    return (await this.#carrier.record()).documents;
  }

  async said(text) {
    return (await this.lines()).filter((line) => line.includes(text)).length;
  }

  says(text, times = 1) {
    return until(`the console says ${times} times: ${text}`, async () => {
      const lines = await this.lines();
      return lines.filter((line) => line.includes(text)).length >= times || lines;
    });
  }

  /** Each document says once that it is connected. */
  connected(times) {
    return this.says('[hot reload] connected', times);
  }

  text(selector) {
    return this.evaluate(
      (wanted) => document.querySelector(wanted).textContent.trim(),
      selector,
    );
  }

  shows(selector, text) {
    return until(`${selector} shows ${text}`, async () => {
      const shown = await this.text(selector);
      return shown === text || shown;
    });
  }

  style(selector, property = 'color') {
    return this.evaluate(
      (wanted, name) => getComputedStyle(document.querySelector(wanted))[name],
      selector,
      property,
    );
  }

  styled(selector, value, property = 'color') {
    return until(`${property} of ${selector} is ${value}`, async () => {
      const now = await this.style(selector, property);
      return now === value || now;
    });
  }

  /** Leaves a picture in `output`. */
  async screenshot(name) {
    const picture = await this.#carrier.screenshot();
    mkdirSync(OUTPUT, { recursive: true });
    writeFileSync(join(OUTPUT, `${name}.png`), picture);
    return picture;
  }

  close() {
    return this.#carrier.close();
  }
}

/** Runs a test with a site and tabs, cleans up, and leaves a picture of a failure. */
export const scenario = (engine, files, run) => async (t) => {
  const site = await Site.create(files, engine.recorder);
  const tabs = [];
  const open = async (path, options) => {
    const tab = await Tab.open(engine, options);
    tabs.push(tab);
    if (path !== undefined) await tab.visit(site.url + path);
    return tab;
  };
  try {
    await site.start();
    await run({ site, open, t });
    for (const tab of tabs)
      assert.deepEqual(await tab.errors(), [], 'nothing is thrown into the page');
  } catch (error) {
    // A picture of a tab that is not in front may never be taken, and the test end by its timeout.
    t.diagnostic(String(error));
    const name = `${engine.name}-${t.name}`.replace(/\W+/g, '-').slice(0, 80);
    for (const [index, tab] of tabs.entries()) {
      await tab.screenshot(`${name}-${index}`).catch(() => undefined);
      t.diagnostic(`console: ${JSON.stringify(await tab.lines())}`);
      t.diagnostic(`documents: ${await tab.documents().catch(() => 'unknown')}`);
    }
    t.diagnostic(`server: ${site.output?.().slice(-3000)}`);
    throw error;
  } finally {
    await Promise.all(tabs.map((tab) => tab.close().catch(() => undefined)));
    await site.remove();
  }
};

/** Declares tests once for each engine. */
export const everywhere = (declare) => {
  for (const engine of ENGINES)
    describe(engine.name, () => {
      after(() => engine.close());
      const check = (name, files, run, timeout = TIMEOUT) =>
        test(name, { timeout }, scenario(engine, files, run));
      declare(check, engine);
    });
};
