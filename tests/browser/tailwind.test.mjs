// The example with Tailwind's own command line: one save is one update, and no frame shows a class
// that has no style yet.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENGINES, everywhere, until } from './harness.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const EXAMPLE = resolve(HERE, '../../examples/tailwind');
const MODULES = join(HERE, 'node_modules');
const CLI = 'node_modules/.bin/tailwindcss';
const PAGE = 'templates/index.html';
const SOURCE = 'styles/app.css';
const BUILT = 'static/app.css';

assert.ok(existsSync(join(MODULES, '@tailwindcss/cli')), 'run npm ci in tests/browser');

const example = (path) => readFileSync(join(EXAMPLE, path), 'utf8');

// The packages are those of these tests, and what any stream tells is written down.
const LINK = `import os
os.path.lexists("node_modules") or os.symlink(${JSON.stringify(MODULES)}, "node_modules")
`;
const TELLTALE = `
class Telltale:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        async def noting(message):
            for line in message.get("body", b"").split(b"\\n"):
                if line.startswith(b"data: ") and b'"files"' in line:
                    with open("told.log", "ab") as log:
                        log.write(line[6:] + b"\\n")
            await send(message)
        is_stream = scope["type"] == "http" and scope["path"] == "/__starlette_hot_reload"
        await self.app(scope, receive, noting if is_stream else send)

app = Telltale(app)
`;

// Collects what each frame shows, in all documents of the tab.
const PROBE = `
const look = () => {
  const shown = document.querySelector('h1');
  if (shown) {
    const seen = JSON.parse(sessionStorage.getItem('seen') ?? '[]');
    const now = shown.textContent + ' ' + getComputedStyle(shown).color;
    if (seen.at(-1) !== now) sessionStorage.setItem('seen', JSON.stringify([...seen, now]));
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
`;

const texts = (folder) =>
  Object.fromEntries(
    readdirSync(join(EXAMPLE, folder)).map((name) => [
      `${folder}/${name}`,
      example(`${folder}/${name}`),
    ]),
  );

const exampleWith = (change = (app) => app) => ({
  'app.py': LINK + change(example('app.py')) + TELLTALE,
  // A build on a busy machine may take longer than a person would want to wait.
  'tailwind.py': example('tailwind.py').replace(/^PATIENCE = .*$/m, 'PATIENCE = 20'),
  ...texts('templates'),
  ...texts('styles'),
  'static/icon.svg': example('static/icon.svg'),
  'first.js': PROBE,
});

/** A heading in a colour for which no class was there before. */
const heading = (text, level) =>
  example(PAGE).replace('">Tides', ` text-[rgb(${level},0,0)]">${text}`);
const red = (text, level) => `${text} rgb(${level}, 0, 0)`;
const FIRST = 'Tides rgb(28, 43, 51)';

const seen = (tab) => tab.evaluate(() => JSON.parse(sessionStorage.getItem('seen')));

const told = (site) =>
  existsSync(site.path('told.log'))
    ? readFileSync(site.path('told.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).files.sort())
    : [];

let fences = 0;
/** The updates of all streams so far, none of which can still be under way. */
const updates = async (site) => {
  const fence = `static/fence-${++fences}.css`;
  site.write(fence, '');
  await until('the fence is told', () => told(site).flat().includes(fence) || told(site));
  return told(site).filter(([file]) => file !== fence);
};

const shows = (tab, wanted) =>
  until(`a frame shows ${wanted}`, async () => {
    const frames = await seen(tab);
    return frames.at(-1) === wanted || frames;
  });

/** What the frames of the first document showed while it was loading is left out. */
const begin = async (open) => {
  const tab = await open('/');
  await shows(tab, FIRST);
  await tab.evaluate(() => sessionStorage.removeItem('seen'));
  await shows(tab, FIRST);
  return tab;
};

const save = async (site, tab, text, level) => {
  site.write(PAGE, heading(text, level));
  await shows(tab, red(text, level));
};

const SOURCE_TEXT = example(SOURCE);
const saveStyle = async (site, tab, padding) => {
  site.write(SOURCE, SOURCE_TEXT.replace('px-5', `px-[${padding}]`));
  await tab.styled('.button', padding, 'paddingLeft');
};

/** Runs beside the server, and is ended with the test. */
const watching = async (site, run) => {
  const cli = spawn(CLI, ['--input', SOURCE, '--output', BUILT, '--watch=always'], {
    cwd: site.root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((done) => cli.once('exit', done));
  let output = '';
  cli.stderr.on('data', (data) => (output += data));
  try {
    await until('the CLI watches', () => output.includes('Done in') || output);
    await run();
  } finally {
    cli.kill();
    await ended;
  }
};

everywhere((check, engine) => {
  check(
    'one save is one update in a page that is changed in place',
    exampleWith((app) => app.replace('on_change=', 'morph=True, on_change=')),
    async ({ site, open }) => {
      const tab = await begin(open);
      await save(site, tab, 'Ebb', 10);
      await save(site, tab, 'Flood', 20);
      assert.deepEqual(await updates(site), [
        [BUILT, PAGE],
        [BUILT, PAGE],
      ]);
      assert.deepEqual(await seen(tab), [FIRST, red('Ebb', 10), red('Flood', 20)]);
      assert.equal(await tab.documents(), 1);
    },
  );

  // The rest is the server's doing, and one browser sees it as well as another.
  if (engine !== ENGINES[0]) return;

  check('one save is one update', exampleWith(), async ({ site, open }) => {
    const tab = await begin(open);
    await save(site, tab, 'Ebb', 10);
    await tab.connected(2);
    await saveStyle(site, tab, '77px');
    assert.deepEqual(await updates(site), [
      [BUILT, PAGE],
      [BUILT, SOURCE],
    ]);
    assert.deepEqual(await seen(tab), [FIRST, red('Ebb', 10)], 'no frame without its style');
    assert.equal(await tab.documents(), 2, 'one for the template, none for the style');
  });

  check('an error is logged and takes no update away', exampleWith(), async ({ site, open }) => {
    const tab = await begin(open);
    site.write(SOURCE, `${SOURCE_TEXT}\n.broken { @apply nonsense; }`);
    // What is saved while the hook still runs would be part of its update.
    await until('the save is told', () => told(site).length === 1);
    const error = /Tailwind failed:[^]*unknown utility class `nonsense`/;
    await until('the error is logged', () => error.test(site.output()) || site.output());
    site.write(PAGE, example(PAGE).replace('>Tides', '>Ebb'));
    await shows(tab, FIRST.replace('Tides', 'Ebb'));
    await tab.connected(2);
    await saveStyle(site, tab, '77px');
    await save(site, tab, 'Flood', 20);
    await tab.connected(3);
    assert.deepEqual(await updates(site), [
      [SOURCE],
      [PAGE],
      [BUILT, SOURCE],
      [BUILT, PAGE],
    ]);
    assert.deepEqual(await seen(tab), [FIRST, FIRST.replace('Tides', 'Ebb'), red('Flood', 20)]);
    assert.equal(await tab.documents(), 3);
  });

  check(
    'one save is one update where Tailwind watches beside the server',
    exampleWith((app) => app.replace('tailwind.rebuild', 'tailwind.wait')),
    ({ site, open }) =>
      watching(site, async () => {
        const tab = await begin(open);
        await save(site, tab, 'Ebb', 10);
        await tab.connected(2);
        await saveStyle(site, tab, '77px');
        assert.deepEqual(await updates(site), [
          [BUILT, PAGE],
          [BUILT, SOURCE],
        ]);
        assert.deepEqual(await seen(tab), [FIRST, red('Ebb', 10)]);
        assert.equal(await tab.documents(), 2);
      }),
  );
});
