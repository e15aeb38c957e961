// Saves files and takes the time until a page shows it. Reads from standard input
//
//   { "files": { "style": { "name": …, "content": … }, "template": … },
//     "contenders": [{ "name": …, "url": …, "directory": …, "saves": 60, "told": false,
//                      "pause": { "least": …, "most": … } }] }
//
// where NUMBER in a content, at most 255, tells one save from the next, a page that is `told` has no
// client: it hears of each save from here, and `pause` is null for the usual. Prints
//
//   { "samples": [{ contender, kind, ms, unstyled }], "browser", "frame", "clocks", … }
//
// `ms` is null where the page did not show the save in time. Exits 2 with a line that says what to
// install, if something is missing.
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FLAGS, chromium } from '../../tests/browser/chromium.mjs';
import { Missing } from '../../tests/browser/executable.mjs';
import { frameInterval, probe, show } from './probe.mjs';

// As wide as the longest period of a poll here, so that saves meet every phase of it alike, and
// beyond the 300 ms in which our watcher takes a second save for a part of the same burst.
const PAUSE = { least: 310, most: 560 };
const MISSED = 3_000;
const KINDS = ['style', 'template'];

const clock = () => performance.timeOrigin + performance.now();

const launch = async () => {
  const executablePath = chromium();
  const { default: puppeteer } = await import('puppeteer-core').catch((error) => {
    throw new Missing(`${error.message}; run npm ci in bench/pixels`);
  });
  return puppeteer.launch({ executablePath, headless: true, args: FLAGS });
};

/** Answers the time just before the file was closed. */
const save = (path, content) => {
  const file = openSync(path, 'w');
  writeSync(file, content);
  const time = clock();
  closeSync(file);
  return time;
};

class Contender {
  samples = [];
  #page;
  #directory;
  #files;
  #told;
  #saves;
  #pause;
  #shown = { style: 0, template: 0 };
  #presented = () => undefined;
  #todo = [];

  constructor({ name, directory, told, saves, pause }, files) {
    this.name = name;
    this.#directory = directory;
    this.#files = files;
    this.#told = told;
    this.#saves = saves;
    this.#pause = pause ?? PAUSE;
  }

  async open(browser, url) {
    const context = await browser.createBrowserContext(); // its own window, so that it is visible
    this.#page = await context.newPage();
    await this.#page.exposeFunction('benchPresented', (state) => this.#presented(state));
    await this.#page.evaluateOnNewDocument(probe);
    await this.#page.goto(url, { waitUntil: 'load' });
  }

  async warmUp() {
    for (const kind of KINDS) await this.#warmUp(kind);
  }

  /** Until a save is shown: the page's client may still be connecting, or load more of itself. */
  async #warmUp(kind) {
    for (let tries = 0; tries < 3; tries++) {
      const { ms } = await this.#save(kind);
      await sleep(this.#pause.most);
      if (ms !== null) return;
    }
    throw new Error(`${this.name}: a saved ${kind} was not shown`);
  }

  plan() {
    this.#todo = KINDS.flatMap((kind) => Array(this.#saves).fill(kind));
    for (let last = this.#todo.length - 1; last > 0; last--) {
      const other = Math.floor(Math.random() * (last + 1));
      [this.#todo[last], this.#todo[other]] = [this.#todo[other], this.#todo[last]];
    }
  }

  /** When its next save may be. */
  after() {
    const { least, most } = this.#pause;
    return clock() + least + Math.random() * (most - least);
  }

  get isDone() {
    return this.#todo.length === 0;
  }

  async measure() {
    const kind = this.#todo.pop();
    this.samples.push({ contender: this.name, kind, ...(await this.#save(kind)) });
  }

  async #save(kind) {
    this.#shown[kind]++;
    const { style, template } = this.#shown;
    const { name, content } = this.#files[kind];
    const text = content.replace('NUMBER', this.#shown[kind]);
    await this.#look(true);
    let unstyled = false;
    let start;
    const shown = new Promise((resolve) => {
      this.#presented = (state) => {
        if (state.style === null) unstyled = true;
        if (state.style === style && state.template === template) resolve(state.time - start);
      };
    });
    start = save(join(this.#directory, name), text);
    if (this.#told) void this.#page.evaluate(show, kind, this.#shown[kind]).catch(() => undefined);
    const patience = new AbortController();
    const missed = sleep(MISSED, null, { signal: patience.signal }).catch(() => null);
    const ms = await Promise.race([shown, missed]);
    patience.abort();
    await this.#look(false);
    return { ms, unstyled };
  }

  /** A page that is about to be another cannot be told, and need not be. */
  async #look(wanted) {
    await this.#page.evaluate((on) => window.benchLook(on), wanted).catch(() => undefined);
  }

  frameInterval() {
    return this.#page.evaluate(frameInterval);
  }

  /** By how much the page's clock is ahead of ours, in milliseconds, and how sure that is. */
  async clock() {
    let best = { ahead: 0, within: Infinity };
    for (let tries = 0; tries < 20; tries++) {
      const asked = clock();
      const theirs = await this.#page.evaluate(() => performance.timeOrigin + performance.now());
      const within = (clock() - asked) / 2;
      if (within < best.within) best = { ahead: theirs - asked - within, within };
    }
    return best;
  }

  isVisible() {
    return this.#page.evaluate(() => document.visibilityState === 'visible');
  }
}

/** One save at a time, each contender a while after its last one was shown. */
const takeTurns = async (contenders) => {
  const due = new Map(contenders.map((contender) => [contender, contender.after()]));
  while (due.size) {
    const [contender, time] = [...due].reduce((a, b) => (a[1] <= b[1] ? a : b));
    await sleep(Math.max(0, time - clock()));
    await contender.measure();
    if (contender.isDone) due.delete(contender);
    else due.set(contender, contender.after());
  }
};

const measure = async (browser, { files, contenders: listed }) => {
  const contenders = [];
  for (const one of listed) {
    const contender = new Contender(one, files);
    await contender.open(browser, one.url);
    if (one.pause) await sleep(one.pause.most);
    await contender.warmUp();
    contender.plan();
    contenders.push(contender);
  }
  for (const contender of contenders)
    if (!(await contender.isVisible())) throw new Error(`${contender.name}: its page is hidden`);
  const frame = await contenders[0].frameInterval();
  await takeTurns(contenders);
  const clocks = [];
  for (const contender of contenders) clocks.push(await contender.clock());
  return {
    samples: contenders.flatMap(({ samples }) => samples),
    browser: await browser.version(),
    frame,
    clocks,
    pause: PAUSE,
    missed: MISSED,
  };
};

const read = async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks));
};

let browser;
let isEnding = false;
try {
  browser = await launch();
  process.once('SIGTERM', () => {
    isEnding = true;
    process.exitCode = 143;
    void browser.close();
  });
  console.log(JSON.stringify(await measure(browser, await read())));
} catch (error) {
  if (error instanceof Missing) {
    console.error(error.message);
    process.exitCode = 2;
  } else if (!isEnding) throw error;
} finally {
  await browser?.close();
}
