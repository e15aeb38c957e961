// A small Starlette site in a directory of its own, under a real uvicorn.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { forkServer, runServer } from './servers.mjs';
import { DEADLINE, until } from './until.mjs';

const given = new Set();

/** No port twice in one run, since a browser keeps things by origin. */
export const freePort = async () => {
  const port = await new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
  if (given.has(port)) return freePort();
  given.add(port);
  return port;
};

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

// Stands outside everything, where a proxy would. Only what the client asks for is held or refused.
const DOORMAN = `
import asyncio
import os
import signal
from app import app as inner

CLIENT = b'/__starlette_hot_reload/client.js'
FIRST = b'<script src="/first.js"></script>'

def wanted(name, target):
    try:
        with open(f"doorman/{name}", encoding="utf-8") as file:
            return file.read() in target
    except FileNotFoundError:
        return False

class Doorman:
    def __init__(self):
        self.held = 0
        self.refused = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await inner(scope, receive, send)
        target = f"{scope['path']}?{scope['query_string'].decode()}"
        if target.startswith("/first.js?"):
            return await self.first(send)
        if wanted("die", target):
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted("refuse", target):
            open(f"doorman/refused-{self.refused}", "w").close()
            self.refused += 1
            kind = [(b"content-type", b"text/javascript")]
            return await self.whole(send, 500, kind, b"no")
        if wanted("hold", target):
            return await self.hold(scope, receive, send)
        if os.path.exists("first.js"):
            return await inner(scope, receive, self.with_first(send))
        await inner(scope, receive, send)

    async def whole(self, send, status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def first(self, send):
        headers = [(b"content-type", b"text/javascript"), (b"cache-control", b"no-store")]
        with open("first.js", "rb") as file:
            await self.whole(send, 200, headers, file.read())

    async def hold(self, scope, receive, send):
        mark = f"doorman/held-{self.held}"
        self.held += 1
        messages = []
        async def keep(message):
            messages.append(message)
        await inner(scope, receive, keep)
        open(mark, "w").close()
        while os.path.exists(mark):
            await asyncio.sleep(0.01)
        for message in messages:
            await send(message)

    def with_first(self, send):
        start = None
        body = b""
        async def adding(message):
            nonlocal start, body
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                if kind.startswith(b"text/html"):
                    start = message
                    return
            if start is None:
                return await send(message)
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            tag = body.rfind(b"<script", 0, max(0, body.find(CLIENT)))
            if tag >= 0:
                body = body[:tag] + FIRST + body[tag:]
            headers = [(k, v) for k, v in start["headers"] if k != b"content-length"]
            await self.whole(send, start["status"], headers, body)
        return adding

app = Doorman()
`;

/** A whole document around what a test is about. */
export const html = (body, head = '<link rel="stylesheet" href="/static/site.css">') =>
  `<!doctype html>\n<html lang="en"><head><title>demo</title>${head}</head><body>${body}</body></html>\n`;

export class Site {
  /**
   * `files`: text by path, over a demo site of one page and one stylesheet. A file `first.js` runs
   * in each document before anything else, `recorder` before that.
   */
  static async create(files = {}, recorder = '') {
    const site = new Site();
    site.root = mkdtempSync(join(tmpdir(), 'hot-reload-'));
    site.port = await freePort();
    site.url = `http://127.0.0.1:${site.port}`;
    const demo = {
      'app.py': APP,
      'doorman.py': DOORMAN,
      'templates/index.html': html('<p id="text">first</p>'),
      'static/site.css': 'p { color: rgb(1, 0, 0) }',
      'notes/one.txt': '',
    };
    const { 'first.js': first = '', ...rest } = files;
    for (const [path, text] of Object.entries({ ...demo, ...rest })) site.write(path, text);
    if (recorder || first)
      site.write('first.js', `document.currentScript.remove();\n${recorder}\n${first}`);
    mkdirSync(site.path('doorman'));
    return site;
  }

  /** At one moment: who writes in place may be stopped while the file is empty, and be told of twice. */
  write(path, text) {
    const draft = `${this.root}.draft`;
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(draft, text);
    renameSync(draft, this.path(path));
  }

  path(path) {
    return join(this.root, path);
  }

  /** From now on, the answers to requests whose address contains `part` wait for `release`. */
  hold(part) {
    this.write('doorman/hold', part);
    const held = (n) => this.path(`doorman/held-${n}`);
    return {
      /** Waits for the nth such request, counted from 0, to have been answered by the app. */
      asked: (n) => until(`request ${n} for ${part}`, () => existsSync(held(n))),
      /** Lets the nth go. */
      release: (n) => rmSync(held(n)),
      /** Later ones are not held. */
      stop: () => rmSync(this.path('doorman/hold')),
    };
  }

  /** From now on, requests whose address contains `part` fail with a 500. */
  refuse(part) {
    this.write('doorman/refuse', part);
    return {
      times: () =>
        readdirSync(this.path('doorman')).filter((name) => name.startsWith('refused-')).length,
      stop: () => rmSync(this.path('doorman/refuse')),
    };
  }

  /** From now on, a request whose address contains `part` kills the server; waits until one has. */
  async dies(part, ask) {
    this.write('doorman/die', part);
    await ask();
    await until('the server is dead', () => this.child.exitCode !== null);
    rmSync(this.path('doorman/die'));
    this.child = undefined;
  }

  async start(...options) {
    const log = `${this.root}.log`;
    writeFileSync(log, '');
    const given = ['doorman:app', '--port', String(this.port), '--log-level', 'warning', ...options];
    this.child = await (options.length ? runServer : forkServer)(this.root, given, log);
    const { child } = this;
    this.output = () => readFileSync(log, 'utf8');
    try {
      await until('the server answers', async () => {
        assert.equal(child.exitCode, null);
        return (await fetch(`${this.url}/static/site.css`)).ok;
      });
    } catch (error) {
      throw new Error(`${error.message}\n${this.output()}`);
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
      rmSync(`${this.root}.log`, { force: true });
    }
  }
}
