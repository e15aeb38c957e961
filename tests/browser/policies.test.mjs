// Pages under a Content-Security-Policy, as real navigations: each is reloaded when its template is
// saved, and its own scripts, styles, images and requests fare as they do without hot reload.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { everywhere, until } from './harness.mjs';

const HASHED = "document.documentElement.dataset.hashed = 1";
const HASH = `'sha256-${createHash('sha256').update(HASHED).digest('base64')}'`;

// `{nonce}` is new for each response. Several policies in one header, and several headers.
const POLICIES = {
  'none at all': [],
  self: ["script-src 'self'"],
  'self, and inline': ["script-src 'self' 'unsafe-inline'"],
  'inline without self': ["script-src 'unsafe-inline'"],
  'inline by default-src': ["default-src 'unsafe-inline'; img-src 'self'"],
  'a nonce': ["script-src 'nonce-{nonce}'"],
  'a nonce, and inline for old browsers': ["script-src 'nonce-{nonce}' 'unsafe-inline'"],
  'a nonce and strict-dynamic': ["script-src 'nonce-{nonce}' 'strict-dynamic' https: 'unsafe-inline'"],
  'a nonce in default-src': ["default-src 'self' 'nonce-{nonce}'"],
  'no script': ["script-src 'none'"],
  'no script by an empty list': ['script-src'],
  'no script element': ["script-src-elem 'none'; script-src 'self' 'unsafe-inline'"],
  'nothing at all': ["default-src 'none'"],
  'nothing but styles': ["default-src 'none'; style-src 'self' 'unsafe-inline'"],
  hashes: [`script-src ${HASH}`],
  'hashes and strict-dynamic': [`script-src ${HASH} 'strict-dynamic'`],
  'strict-dynamic in default-src': [`default-src ${HASH} 'strict-dynamic'; img-src 'self'`],
  'another host': ['script-src https://cdn.example.com'],
  'no connections': ["connect-src 'none'"],
  'no connections, no workers': ["script-src 'self'; connect-src 'none'; worker-src 'none'"],
  'connections elsewhere': ["default-src 'self'; connect-src https://api.example.com"],
  'no workers': ["worker-src 'none'"],
  'trusted types': ["require-trusted-types-for 'script'; trusted-types 'none'"],
  'two, joined': ["script-src 'nonce-{nonce}', default-src 'self' 'unsafe-inline'"],
  'two headers': ["script-src 'nonce-{nonce}'", "default-src 'none'; img-src 'self'"],
  'report-only': [],
};
const REPORT_ONLY = { 'report-only': ["default-src 'none'; script-src 'nonce-{nonce}'"] };
const NAMES = Object.keys(POLICIES);

/** Of all of them, one after the other. */
const TIMEOUT = 180_000;

const app = `
import json, os, secrets
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette_hot_reload import HotReloadMiddleware

ENFORCED = json.loads(${JSON.stringify(JSON.stringify(Object.values(POLICIES)))})
WATCHED = json.loads(${JSON.stringify(JSON.stringify(NAMES.map((name) => REPORT_ONLY[name] ?? [])))})

def page(request):
    number = request.path_params["number"]
    nonce = secrets.token_urlsafe(8)
    with open(f"templates/{number}.html", encoding="utf-8") as file:
        text = file.read().replace("{nonce}", nonce)
        response = HTMLResponse(text.replace("{how}", request.scope.get("how", "with")))
    for name, values in [("", ENFORCED[number]), ("-report-only", WATCHED[number])]:
        for value in values:
            key = f"content-security-policy{name}"
            response.headers.append(key, value.replace("{nonce}", nonce))
    return response

routes = [Mount("/static", StaticFiles(directory="static")), Route("/{number:int}", page)]
bare = Starlette(routes=routes)
reloading = HotReloadMiddleware(bare, watch_dirs=["templates"])

async def app(scope, receive, send):
    if scope.get("path", "").startswith("/without"):
        scope = {**scope, "path": scope["path"].removeprefix("/without"), "how": "without"}
        await bare(scope, receive, send)
    else:
        await reloading(scope, receive, send)
`;

const PAGE = (text) => `<!doctype html><html><head>
<meta charset="utf-8"><link rel="icon" href="data:,">
<script nonce="{nonce}">document.documentElement.dataset.nonced = 1</script>
<script>document.documentElement.dataset.inline = 1</script>
<script>${HASHED}</script>
<script nonce="{nonce}" src="/static/own.js"></script>
<script src="/static/plain.js"></script>
<style>#styled { color: rgb(1, 2, 3) }</style>
</head><body><p id="text">{how} ${text}</p><p id="styled" style="font-weight: 900">styled</p>
<img id="image" src="/static/dot.svg"></body></html>
`;

// Whatever runs tells of itself in an attribute.
const OWN = `
const told = document.documentElement.dataset;
const tell = (name, value = 1) => void (told[name] = value);
tell('own');
const script = document.createElement('script');
window.pending = [
  fetch('/static/plain.js').then(() => tell('fetched'), () => tell('fetched', 'refused')),
  new Promise((done) => {
    script.onload = script.onerror = done;
    try { script.src = '/static/child.js'; } catch { done(tell('child', 'refused')); }
    document.head.append(script);
  }),
  new Promise((done) => {
    try {
      const worker = new Worker('/static/worker.js');
      worker.onmessage = () => done(tell('worked'));
      worker.onerror = () => done(tell('worked', 'refused'));
    } catch { done(tell('worked', 'refused')); }
  }),
  new Promise((done) => addEventListener('load', () => {
    const text = document.getElementById('styled');
    try { text.setAttribute('onclick', "document.documentElement.dataset.clicked = 1"); } catch {}
    text.click();
    done();
  })),
];
try { (0, eval)('document.documentElement.dataset.evaluated = 1'); } catch {}
`;

const files = {
  'app.py': app,
  'static/own.js': OWN,
  'static/plain.js': 'document.documentElement.dataset.plain = 1;',
  'static/child.js': 'document.documentElement.dataset.child = 1;',
  'static/worker.js': 'postMessage(1);',
  'static/dot.svg': '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"/>',
};

/** What became of all that the page does. */
const fate = (tab) =>
  tab.evaluate(async () => {
    if (document.readyState !== 'complete')
      await new Promise((done) => addEventListener('load', done));
    await Promise.all(window.pending ?? []);
    const styled = getComputedStyle(document.getElementById('styled'));
    return {
      ...document.documentElement.dataset,
      color: styled.color,
      weight: styled.fontWeight,
      image: document.getElementById('image').naturalWidth,
    };
  });

const shown = (tab, text) =>
  until(`${text} is shown`, async () => {
    const now = await tab.evaluate(() => document.getElementById('text')?.textContent);
    return now === text || now;
  });

const pages = Object.fromEntries(
  NAMES.map((_, number) => [`templates/${number}.html`, PAGE('first')]),
);

everywhere((check) => {
  check(
    'a page under a policy',
    { ...files, ...pages },
    async ({ site, open, t }) => {
      const tab = await open();
      for (const [number, name] of NAMES.entries())
        await t.test(`${name}: it is reloaded, and else fares as without us`, async () => {
          await tab.go(`${site.url}/without/${number}`);
          await shown(tab, 'without first');
          const before = await fate(tab);

          await tab.go(`${site.url}/${number}`);
          await shown(tab, 'with first');
          assert.deepEqual(await fate(tab), before);
          site.write(`templates/${number}.html`, PAGE('second'));
          await shown(tab, 'with second');
          assert.deepEqual(await fate(tab), before);
          site.write(`templates/${number}.html`, PAGE('third'));
          await shown(tab, 'with third');
        });
    },
    TIMEOUT,
  );
});
