// Chromium and Firefox, driven by puppeteer: one by its own protocol, the other by WebDriver BiDi.
import puppeteer from 'puppeteer-core';
import { FLAGS, chromium } from './chromium.mjs';
import { executable } from './executable.mjs';

export const launchChromium = () =>
  puppeteer.launch({
    browser: 'chrome',
    executablePath: chromium(),
    headless: true,
    args: FLAGS,
    // What puppeteer spares tabs in the background, and people's browsers do not.
    ignoreDefaultArgs: [
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ],
  });

export const launchFirefox = () =>
  puppeteer.launch({
    browser: 'firefox',
    executablePath: executable({
      variable: 'FIREFOX',
      names: ['firefox-esr', 'firefox'],
      packageName: 'firefox-esr',
    }),
    headless: true,
    // What puppeteer switches off, and what people have.
    extraPrefsFirefox: { 'fission.bfcacheInParent': true },
  });

/** What each document of Firefox begins with: puppeteer tells of it only when it has been parsed. */
const DOCUMENT = 'a document of the test';

const announce = (text) => {
  // One without an address stands in while the process changes.
  if (self === top && location.protocol.startsWith('http')) console.debug(text);
};

class PuppetPage {
  /** Ends with the last of its pages. */
  #context;
  #lines = [];
  #errors = [];
  #documents = 0;

  static async open(browser, { beside, speaks }) {
    const made = new PuppetPage();
    made.#context = beside?.#context ?? {
      browsers: await browser.createBrowserContext(),
      pages: new Set(),
    };
    made.page = await made.#context.browsers.newPage();
    made.#context.pages.add(made);
    made.page.on('console', (message) => made.#hear(message));
    made.page.on('pageerror', (error) => made.#errors.push(String(error)));
    if (speaks) await made.page.evaluateOnNewDocument(announce, DOCUMENT);
    else
      made.page.on('framenavigated', (frame) => {
        // A new tab may be told of late.
        if (frame === made.page.mainFrame() && frame.url() !== 'about:blank') made.#documents++;
      });
    return made;
  }

  #hear(message) {
    if (message.text() === DOCUMENT) this.#documents++;
    else this.#lines.push(`${message.type()}: ${message.text()}`);
  }

  /** Not waited for, since Firefox answers only when scripts that block the parser have run. */
  async go(url) {
    void this.page.goto(url, { waitUntil: [] }).catch(() => undefined);
  }

  evaluate(task, ...given) {
    return this.page.evaluate(task, ...given);
  }

  async record() {
    return { lines: this.#lines, errors: this.#errors, documents: this.#documents };
  }

  async screenshot() {
    return Buffer.from(await this.page.screenshot());
  }

  front() {
    return this.page.bringToFront();
  }

  async close() {
    const { browsers, pages } = this.#context;
    if (!pages.delete(this)) return;
    await (pages.size ? this.page.close() : browsers.close());
  }
}

/** A browser that is launched when a page is first asked for. */
export class Puppet {
  #launch;
  #browser;

  constructor(name, launch) {
    this.name = name;
    this.#launch = launch;
  }

  async page(beside) {
    this.#browser ??= this.#launch();
    return PuppetPage.open(await this.#browser, { beside, speaks: this.name === 'firefox' });
  }

  async close() {
    const browser = await this.#browser?.catch(() => undefined);
    this.#browser = undefined;
    await browser?.close();
  }
}
