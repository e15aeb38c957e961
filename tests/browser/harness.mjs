// A Chromium, and a small Starlette site in a directory of its own under a real uvicorn.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const here = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? resolve(here, '../../.venv/bin/python');
const DEADLINE = 15_000;

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const findChrome = () => {
  if (process.env.CHROME) return process.env.CHROME;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)))
    .find(isExecutable);
  if (found) return found;
  throw new Error(
    'no Chromium found: install it (Debian: apt-get install chromium), or name one in the variable CHROME',
  );
};

export const launch = () =>
  puppeteer.launch({
    browser: 'chrome',
    executablePath: findChrome(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-quic',
      '--disable-gpu',
    ],
  });

/** Asks until the answer is true, and says what it was last if it never is. */
export const until = async (what, ask, deadline = DEADLINE) => {
  const end = Date.now() + deadline;
  let last;
  do {
    try {
      last = await ask();
      if (last === true) return;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 20));
  } while (Date.now() < end);
  throw new Error(
    `never happened: ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
  );
};

const freePort = () =>
  new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

export const APP = `
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette_hot_reload import HotReload

VERSION = "one"
templates = Jinja2Templates("templates")

def page(request):
    name = request.path_params.get("name") or "index"
    if not os.path.exists(f"templates/{name}.html"):
        return PlainTextResponse("not found", 404)
    context = {"version": VERSION, "notes": sorted(os.listdir("notes"))}
    return templates.TemplateResponse(request, f"{name}.html", context)

app = Starlette(debug=True, routes=[
    Mount("/static", StaticFiles(directory="static")),
    Route("/{name}", page),
    Route("/", page),
])
HotReload(watch_dirs=["templates", "static", "notes"]).setup(app)
`;

/** The same site, but browsers are told to keep its static files. */
export const CACHING = APP.replace(
  'def page',
  `class Kept(StaticFiles):
    def file_response(self, *given, **named):
        response = super().file_response(*given, **named)
        response.headers["cache-control"] = "max-age=3600"
        return response

def page`,
).replace('StaticFiles(directory', 'Kept(directory');

/** A whole document around what a test is about. */
export const html = (body, head = '<link rel="stylesheet" href="/static/site.css">') =>
  `<!doctype html>\n<html lang="en"><head><title>demo</title>${head}</head><body>${body}</body></html>\n`;

export class Site {
  /** `files`: text by path, over a demo site of one page and one stylesheet. */
  static async create(files = {}) {
    const site = new Site();
    site.root = mkdtempSync(join(tmpdir(), 'hot-reload-'));
    site.port = await freePort();
    site.url = `http://127.0.0.1:${site.port}`;
    const demo = {
      'app.py': APP,
      'templates/index.html': html('<p id="text">first</p>'),
      'static/site.css': 'p { color: rgb(1, 0, 0) }',
      'notes/one.txt': '',
    };
    for (const [path, text] of Object.entries({ ...demo, ...files })) site.write(path, text);
    return site;
  }

  write(path, text) {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  path(path) {
    return join(this.root, path);
  }

  async start(...options) {
    let output = '';
    this.child = spawn(
      PYTHON,
      [
        '-m',
        'uvicorn',
        'app:app',
        '--port',
        String(this.port),
        '--log-level',
        'warning',
        ...options,
      ],
      // A module rewritten within a second must not be mistaken for its cached bytecode.
      {
        cwd: this.root,
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' },
      },
    );
    const child = this.child;
    this.output = () => output;
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.ended = new Promise((done) =>
      child.once('exit', (code, signal) => done({ code, signal })),
    );
    try {
      await until('the server answers', async () => {
        assert.equal(child.exitCode, null, output);
        return (await fetch(`${this.url}/static/site.css`)).ok;
      });
    } catch (error) {
      throw new Error(`${error.message}\n${output}`);
    }
  }

  /** Follows the stream as another client would. */
  async batch() {
    const abort = new AbortController();
    const response = await fetch(`${this.url}/__starlette_hot_reload`, { signal: abort.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const read = async (wanted) => {
      while (!text.includes(wanted)) {
        const { done, value } = await reader.read();
        assert.ok(!done, `the stream ended before ${wanted}`);
        text += value;
      }
    };
    await read('event: hello');
    return {
      /** Waits until a file is named, and leaves. */
      names: async (file) => {
        await read(file);
        abort.abort();
      },
    };
  }

  /** Ends the server with a signal; fails if it does not end within the deadline. */
  async stop(signal = 'SIGINT', deadline = DEADLINE) {
    const { child } = this;
    if (!child) return;
    this.child = undefined;
    child.kill(signal);
    let timer;
    const late = new Promise((done) => (timer = setTimeout(done, deadline, 'late')));
    const outcome = await Promise.race([child.ended, late]);
    clearTimeout(timer);
    if (outcome !== 'late') return outcome;
    child.kill('SIGKILL');
    await child.ended;
    throw new Error(`the server did not end within ${deadline} ms of ${signal}\n${this.output()}`);
  }

  async remove() {
    try {
      await this.stop();
    } finally {
      rmSync(this.root, { recursive: true, force: true });
    }
  }
}

/** A tab that counts its navigations and keeps what its console said. */
export class Tab {
  static async open(browser, url, prepare = async () => {}) {
    const tab = new Tab();
    // A context of its own, so that no test meets another's cache or storage.
    tab.context = await browser.createBrowserContext();
    tab.page = await tab.context.newPage();
    tab.console = [];
    tab.errors = [];
    tab.navigations = 0;
    tab.page.on('console', (message) => tab.console.push(`${message.type()}: ${message.text()}`));
    tab.page.on('pageerror', (error) => tab.errors.push(String(error)));
    tab.page.on('framenavigated', (frame) => {
      if (frame === tab.page.mainFrame()) tab.navigations++;
    });
    await prepare(tab);
    if (url) await tab.visit(url);
    return tab;
  }

  async visit(url) {
    await this.page.goto(url, { waitUntil: 'domcontentloaded' });
    await this.connected(this.navigations);
  }

  said(text) {
    return this.console.filter((line) => line.includes(text)).length;
  }

  /** Each document says once that it is connected. */
  connected(times) {
    return until(`${times} documents connected`, () => {
      const said = this.said('[hot reload] connected');
      return said >= times || this.console;
    });
  }

  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent.trim());
  }

  shows(selector, text) {
    return until(`${selector} shows ${text}`, async () => {
      const shown = await this.text(selector);
      return shown === text || shown;
    });
  }

  style(selector, property = 'color') {
    return this.page.$eval(selector, (element, name) => getComputedStyle(element)[name], property);
  }

  styled(selector, value, property = 'color') {
    return until(`${property} of ${selector} is ${value}`, async () => {
      const now = await this.style(selector, property);
      return now === value || now;
    });
  }

  close() {
    return this.context.close();
  }
}

/** Runs a test with a site and tabs, cleans up, and leaves a picture of a failure. */
export const scenario = (browser, files, run) => async (t) => {
  const site = await Site.create(files);
  const tabs = [];
  const open = async (path, prepare) => {
    const tab = await Tab.open(
      browser(),
      path === undefined ? undefined : site.url + path,
      async (made) => {
        tabs.push(made);
        await prepare?.(made);
      },
    );
    return tab;
  };
  try {
    await site.start();
    await run({ site, open, t });
    for (const tab of tabs) assert.deepEqual(tab.errors, [], 'nothing is thrown into the page');
  } catch (error) {
    const output = join(here, 'output');
    mkdirSync(output, { recursive: true });
    const name = t.name.replace(/\W+/g, '-').slice(0, 80);
    for (const [index, tab] of tabs.entries()) {
      await tab.page
        .screenshot({ path: join(output, `${name}-${index}.png`) })
        .catch(() => undefined);
      t.diagnostic(`console: ${JSON.stringify(tab.console)}`);
    }
    t.diagnostic(`server: ${site.output?.().slice(-3000)}`);
    throw error;
  } finally {
    await Promise.all(tabs.map((tab) => tab.close().catch(() => undefined)));
    await site.remove();
  }
};
