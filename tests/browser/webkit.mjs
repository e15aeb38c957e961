// WebKit: MiniBrowser of WebKitGTK on a display of its own, driven by WebDriver.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Builder, Capabilities } from 'selenium-webdriver';
import { executable } from './executable.mjs';
import { freePort } from './site.mjs';
import { until } from './until.mjs';

const LIBRARIES = '/usr/lib';
const PORTS = ['webkit2gtk-4.1', 'webkitgtk-6.0', 'webkit2gtk-4.0'];

const miniBrowsers = () =>
  (existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : []).flatMap((triplet) =>
    PORTS.map((port) => join(LIBRARIES, triplet, port, 'MiniBrowser')),
  );

/**
 * WebDriver tells nothing of a page's console, errors and navigations, and MiniBrowser writes no
 * console for an automated, hence private, session. So the page itself keeps them in its
 * sessionStorage, which outlives a reload. The test site puts this script before all others.
 */
const RECORDER = `(() => {
  const storage = sessionStorage;
  const get = storage.getItem.bind(storage);
  const set = storage.setItem.bind(storage);
  const keep = (kind, text) =>
    set('recorder', (get('recorder') ?? '') + JSON.stringify([kind, text]) + '\\n');
  for (const level of ['debug', 'log', 'info', 'warn', 'error']) {
    const plain = console[level].bind(console);
    console[level] = (...given) => {
      keep('line', level + ': ' + given.map(String).join(' '));
      plain(...given);
    };
  }
  addEventListener('error', ({ message, target }) => {
    if (target === window) keep('error', message);
  });
  addEventListener('unhandledrejection', ({ reason }) => keep('error', String(reason)));
  keep('document', location.href);
  Object.defineProperty(window, Symbol.for('recorder'), { value: () => get('recorder') });
})();`;

const readRecord = () => window[Symbol.for('recorder')]?.() ?? '';

const forget = () => {
  try {
    sessionStorage.clear();
    localStorage.clear();
  } catch {
    // A page without storage.
  }
};

/** Runs in the page, which tells the driver the outcome by a callback. */
const answer = (task) => `
  const given = [...arguments];
  const done = given.pop();
  (async () => (${task})(...given))().then(
    (value) => done({ value }),
    (error) => done({ error: String(error) }),
  );`;

class WebKitPage {
  #driver;
  #release;
  #text = '';

  constructor(driver, release) {
    this.#driver = driver;
    this.#release = release;
  }

  go(url) {
    return this.#driver.get(url);
  }

  async evaluate(task, ...given) {
    const { value, error } = await this.#driver.executeAsyncScript(answer(task), ...given);
    if (error) throw new Error(error);
    return value === null ? undefined : value;
  }

  async record() {
    // Between two documents there is nobody to ask.
    const text = await this.evaluate(readRecord).catch(() => '');
    if (text.length > this.#text.length) this.#text = text;
    const entries = this.#text.split('\n').filter(Boolean).map(JSON.parse);
    const of = (wanted) => entries.filter(([kind]) => kind === wanted).map(([, value]) => value);
    return { lines: of('line'), errors: of('error'), documents: of('document').length };
  }

  async screenshot() {
    return Buffer.from(await this.#driver.takeScreenshot(), 'base64');
  }

  close() {
    return this.#release();
  }
}

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

const start = (path, args, options) => {
  const child = spawn(path, args, options);
  children.add(child);
  child.ended = new Promise((done) => {
    child.once('error', done);
    child.once('exit', done);
  });
  void child.ended.then(() => children.delete(child));
  return child;
};

const end = async (child) => {
  child.kill();
  await child.ended;
};

const startDisplay = async () => {
  const path = executable({ variable: 'XVFB', names: ['Xvfb'], packageName: 'xvfb' });
  const args = ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
  const child = start(path, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const number = await new Promise((done, fail) => {
    child.stdio[3].once('data', (data) => done(String(data).trim()));
    void child.ended.then(() => fail(new Error('Xvfb did not start')));
  });
  return { child, name: `:${number}` };
};

/** A driver has one session; a session is a browser without a past. */
const startSession = async (display) => {
  const path = executable({
    variable: 'WEBKITWEBDRIVER',
    names: ['WebKitWebDriver'],
    packageName: 'webkit2gtk-driver',
  });
  const binary = executable({
    variable: 'MINIBROWSER',
    paths: miniBrowsers(),
    packageName: 'webkit2gtk-driver',
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = start(path, [`--port=${port}`], {
    env: { ...process.env, DISPLAY: display },
    stdio: 'ignore',
  });
  await until('WebKitWebDriver answers', async () => (await fetch(`${url}/status`)).ok);
  const capabilities = new Capabilities({
    browserName: 'MiniBrowser',
    pageLoadStrategy: 'none',
    'webkitgtk:browserOptions': { binary, args: ['--automation'] },
  });
  const driver = await new Builder().usingServer(url).withCapabilities(capabilities).build();
  return { child, driver };
};

/** Sessions are lent, one to a page, and wiped in between: each site has an origin of its own. */
export class WebKit {
  name = 'webkit';
  recorder = RECORDER;
  #display;
  #idle = [];

  async page() {
    this.#display ??= startDisplay();
    const { name } = await this.#display;
    const session = this.#idle.pop() ?? (await startSession(name));
    return new WebKitPage(session.driver, () => this.#take(session));
  }

  async #take(session) {
    try {
      await session.driver.executeScript(forget);
      await session.driver.manage().deleteAllCookies();
      await session.driver.get('about:blank');
      this.#idle.push(session);
    } catch {
      await this.#end(session);
    }
  }

  async #end({ driver, child }) {
    await driver.quit().catch(() => undefined);
    await end(child);
  }

  async close() {
    await Promise.all(this.#idle.splice(0).map((session) => this.#end(session)));
    const display = await this.#display?.catch(() => undefined);
    this.#display = undefined;
    if (display) await end(display.child);
  }
}
