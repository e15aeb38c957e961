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

class PuppetPage {
  #context;
  #lines = [];
  #errors = [];
  #documents = 0;

  static async open(browser) {
    const made = new PuppetPage();
    made.#context = await browser.createBrowserContext();
    made.page = await made.#context.newPage();
    made.page.on('console', (message) => made.#lines.push(`${message.type()}: ${message.text()}`));
    made.page.on('pageerror', (error) => made.#errors.push(String(error)));
    made.page.on('framenavigated', (frame) => {
      if (frame === made.page.mainFrame()) made.#documents++;
    });
    return made;
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

  close() {
    return this.#context.close();
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

  async page() {
    this.#browser ??= this.#launch();
    return PuppetPage.open(await this.#browser);
  }

  async close() {
    const browser = await this.#browser?.catch(() => undefined);
    this.#browser = undefined;
    await browser?.close();
  }
}
