// What docs/security.md says and only a browser can show: where a page of one site meets another.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { APP, Tab, everywhere, html, until } from './harness.mjs';
import { freePort } from './site.mjs';

const EVENTS = '/__starlette_hot_reload';

/** Tries what there is to try, and keeps what it got. Runs in a page of another site. */
const attack = (events) => {
  const outcome = (promise) => promise.then(() => 'done', () => 'refused');
  const text = (path, init) => fetch(events + path, init).then((response) => response.text());
  const element = (name, given) =>
    new Promise((done) => {
      const made = Object.assign(document.createElement(name), given);
      made.onload = () => done('done');
      made.onerror = () => done('refused');
      document.body.append(made);
    });
  const stream = new Promise((done) => {
    const source = new EventSource(events);
    source.onopen = () => done('done');
    source.onerror = () => source.readyState === EventSource.CLOSED && done('refused');
  });
  const json = { 'content-type': 'application/json' };
  const body = '{"stream": "", "pages": []}';
  const tries = {
    stream,
    facts: outcome(text('/status.json')),
    told: outcome(text('', { method: 'POST', headers: json, body })),
    module: outcome(import(events + '/client.js')),
    script: element('script', { src: events + '/client.js' }),
    data: element('script', { src: events + '/status.json' }),
    sheet: element('link', { rel: 'stylesheet', href: events + '/status.css' }),
    picture: element('img', { src: events }),
  };
  const run = async () => {
    const found = {};
    for (const [name, tried] of Object.entries(tries)) found[name] = await tried;
    // What cannot be read might be kept open all the same.
    window.kept = await fetch(events, { mode: 'no-cors' }).catch(() => undefined);
    found.client = Symbol.for('starlette-hot-reload') in window;
    window.found = found;
  };
  void run();
};

const hostile = async (events) => {
  const page = `<!doctype html><body><script>(${attack})(${JSON.stringify(events)})</script>`;
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(page);
  });
  const port = await freePort();
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  // To a browser, and unlike 127.0.0.1, another site.
  return { server, url: `http://localhost:${port}/` };
};

/** What is shown comes by a redirect, and so after what runs. */
const ERROR = `<!doctype html><title>x</title>
<script>new Image().src = '/ran'</script>
<body><svg onload="new Image().src = '/ran'"></svg><img src="/first">`;

const FAILING = APP.replace('"notes"])', '"notes"], morph=True)').replace(
  '    if not os',
  `    if name in ("ran", "shown"):
        open(name, "w").close()
        return PlainTextResponse("")
    if name == "first":
        return RedirectResponse("/shown")
    with open("templates/index.html") as file:
        if file.read() == "fail":
            return Response(${JSON.stringify(ERROR)}, 500, media_type="text/html")
    if not os`,
).replace('import PlainTextResponse', 'import PlainTextResponse, RedirectResponse, Response');

const FORGED = `<script data-cursor="${'0'.repeat(16)}.${'0'.repeat(16)}" src="${EVENTS}/client.js"></script>`;

everywhere((check, engine) => {
  check('a page of another site gets nothing and holds nothing', {}, async ({ site }) => {
    const { server, url } = await hostile(site.url + EVENTS);
    // Not one of the site's: what is refused is an error in its console.
    const tab = await Tab.open(engine);
    try {
      await tab.go(url);
      await until('the attack is over', () => tab.evaluate(() => !!window.found));
      assert.deepEqual({ ...(await tab.evaluate(() => window.found)) }, {
        stream: 'refused',
        facts: 'refused',
        told: 'refused',
        module: 'refused',
        script: 'refused',
        data: 'refused',
        sheet: 'refused',
        picture: 'refused',
        client: false,
      });
      const { streams } = await (await fetch(`${site.url}${EVENTS}/status.json`)).json();
      assert.deepEqual(streams, []);
    } finally {
      await tab.close();
      server.close();
      server.closeAllConnections();
    }
  });

  check('an error page in the overlay runs nothing', { 'app.py': FAILING }, async ({ site, open }) => {
    const tab = await open('/');
    site.write('templates/index.html', 'fail');
    await until('the error is shown', () => existsSync(site.path('shown')));
    assert.equal(existsSync(site.path('ran')), false);
    site.write('templates/index.html', html('<p id="text">mended</p>'));
    await tab.shows('#text', 'mended');
  });

  check(
    'a page with a forged tag has one client and stays',
    { 'templates/index.html': html(`${FORGED}<p id="text">first</p>`) },
    async ({ site, open }) => {
      const tab = await open('/');
      for (const color of ['rgb(2, 0, 0)', 'rgb(3, 0, 0)', 'rgb(4, 0, 0)']) {
        site.write('static/site.css', `p { color: ${color} }`);
        await tab.styled('#text', color);
      }
      // The forged one may run first, and takes the page for that of an earlier server, once.
      const documents = await tab.documents();
      assert.ok(documents <= 2, 'no reload after the other');
      assert.ok((await tab.said('[hot reload] connected')) <= documents, 'one in each document');
    },
  );
});
