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

/** A window, since a tab is opened behind the others, and no command brings it to the front. */
class WebKitPage {
  #window;
  #release;
  #text = '';

  constructor(session, window, release) {
    this.session = session;
    this.#window = window;
    this.#release = release;
  }

  do(command) {
    return this.session.do(this.#window, command);
  }

  go(url) {
    return this.do((driver) => driver.get(url));
  }

  async evaluate(task, ...given) {
    const { value, error } = await this.do((driver) =>
      driver.executeAsyncScript(answer(task), ...given),
    );
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
    return Buffer.from(await this.do((driver) => driver.takeScreenshot()), 'base64');
  }

  async front() {
    for (const page of this.session.pages)
      if (page !== this) await page.do((driver) => driver.manage().window().minimize());
    // Whatever places a window shows it, too.
    await this.do((driver) => driver.manage().window().setRect({ x: 0, y: 0 }));
  }

  async close() {
    const { pages } = this.session;
    if (!pages.delete(this)) return;
    if (pages.size) await this.session.closeWindow(this.#window);
    else await this.#release();
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

/** A browser, and the driver that has it alone. Commands go to the window that was chosen last. */
class Session {
  pages = new Set();
  #driver;
  #child;
  #window;
  #last = Promise.resolve();

  constructor(driver, child) {
    this.#driver = driver;
    this.#child = child;
  }

  /** Between the choice of a window and its command comes no other. */
  do(window, command) {
    return this.#queue(async () => {
      if (this.#window !== window) await this.#driver.switchTo().window(window);
      this.#window = window;
      return command(this.#driver);
    });
  }

  firstWindow() {
    return this.#queue(async () => (this.#window = await this.#driver.getWindowHandle()));
  }

  newWindow() {
    return this.#queue(async () => {
      await this.#driver.switchTo().newWindow('window');
      return (this.#window = await this.#driver.getWindowHandle());
    });
  }

  closeWindow(window) {
    return this.do(window, (driver) => {
      this.#window = undefined;
      return driver.close();
    });
  }

  async end() {
    await this.#driver.quit().catch(() => undefined);
    await end(this.#child);
  }

  #queue(task) {
    return (this.#last = this.#last.then(task, task));
  }
}

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
  return new Session(driver, child);
};

/** Sessions are lent, and wiped in between: each site has an origin of its own. */
export class WebKit {
  name = 'webkit';
  recorder = RECORDER;
  #display;
  #idle = [];

  async page(beside) {
    if (beside) return this.#pageOf(beside.session, await beside.session.newWindow());
    this.#display ??= startDisplay();
    const { name } = await this.#display;
    const session = this.#idle.pop() ?? (await startSession(name));
    return this.#pageOf(session, await session.firstWindow());
  }

  #pageOf(session, window) {
    const page = new WebKitPage(session, window, () => this.#take(page));
    session.pages.add(page);
    return page;
  }

  async #take(page) {
    try {
      await page.front();
      await page.do(async (driver) => {
        await driver.executeScript(forget);
        await driver.manage().deleteAllCookies();
        await driver.get('about:blank');
      });
      this.#idle.push(page.session);
    } catch {
      await page.session.end();
    }
  }

  async close() {
    await Promise.all(this.#idle.splice(0).map((session) => session.end()));
    const display = await this.#display?.catch(() => undefined);
    this.#display = undefined;
    if (display) await end(display.child);
  }
}
