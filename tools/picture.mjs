// Films the example site while its files are edited: picture.mjs DIRECTORY PYTHON
//
// The pictures go into DIRECTORY with their times, and picture.py makes one of them. The editor is
// drawn (picture.html), the rest is real: the server, the browser, the saves, and the time it takes.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../tests/browser/puppets.mjs';
import { until } from '../tests/browser/until.mjs';

const [output, python] = process.argv.slice(2);
const SITE = fileURLToPath(new URL('../examples/site', import.meta.url));
const STAGE = new URL('picture.html', import.meta.url).href;
const SIZE = { width: 1200, height: 675 };
const LINES = 19;
const FILES = ['site.css', 'index.html'];
const EDITS = [
  { name: 'site.css', path: 'static/site.css', old: '#d03a24', text: '#2f63e0', pace: 95 },
  {
    name: 'index.html',
    path: 'templates/index.html',
    old: 'Save a file,',
    text: 'Write a line,',
    pace: 75,
  },
];

const freePort = () =>
  new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** A copy, which does not show where it lies. */
const copySite = (directory) => {
  cpSync(SITE, directory, { recursive: true, filter: (path) => !path.endsWith('__pycache__') });
  const main = join(directory, 'main.py');
  const text = readFileSync(main, 'utf8');
  const shown = text.replace('"here": HERE', '"here": "~/daybreak"');
  if (shown === text) throw new Error(`${main} says in another way where it lies`);
  writeFileSync(main, shown);
};

/** Runs `visit` with the address of the site, while that is served. */
const serving = async (directory, visit) => {
  const port = await freePort();
  const options = ['-m', 'uvicorn', 'main:app', '--port', String(port), '--log-level', 'warning'];
  const child = spawn(resolve(python), options, { cwd: directory, stdio: 'inherit' });
  const ended = new Promise((done) => child.once('exit', done));
  const url = `http://127.0.0.1:${port}/`;
  try {
    await until('the site answers', async () => (await fetch(url)).ok);
    return await visit(url);
  } finally {
    child.kill('SIGINT');
    await ended;
  }
};

/** Every frame that the browser draws from now on; `stop` returns their names and times. */
const film = async (page, directory) => {
  const session = await page.createCDPSession();
  const frames = [];
  session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    const name = `${String(frames.length).padStart(4, '0')}.png`;
    writeFileSync(join(directory, name), data, 'base64');
    frames.push({ name, time: metadata.timestamp });
    void session.send('Page.screencastFrameAck', { sessionId });
  });
  await session.send('Page.startScreencast', { format: 'png' });
  return async () => {
    await session.send('Page.stopScreencast');
    return { frames, end: Date.now() / 1000 };
  };
};

/** The editor, with a file of the site in it. */
const open = (page, directory, { name, path, old }) => {
  const text = readFileSync(join(directory, path), 'utf8');
  const lines = text.split('\n');
  const line = lines.findIndex((one) => one.includes(old));
  const [before, after] = lines[line].split(old);
  const from = Math.max(0, line - 7);
  const show = (now, { chosen = false, changed = true } = {}) =>
    page.evaluate((state) => show(state), {
      files: FILES,
      open: name,
      changed: changed ? name : undefined,
      lines: lines.slice(from, from + LINES),
      first: from + 1,
      edit: { line: line + 1, before, text: now, after, chosen },
    });
  const save = (now) => writeFileSync(join(directory, path), text.replace(old, now));
  return { show, save };
};

const edit = async (page, directory, change) => {
  const { show, save } = open(page, directory, change);
  await show(change.old, { changed: false });
  await pause(650);
  await show(change.old, { chosen: true, changed: false });
  await pause(400);
  for (let size = 1; size <= change.text.length; size++) {
    await show(change.text.slice(0, size));
    await pause(change.pace);
  }
  await pause(350);
  save(change.text);
  await show(change.text, { changed: false });
  await page.evaluate(() => press(true));
  await pause(900);
  await page.evaluate(() => press(false));
  await pause(500);
};

const play = async (directory, url) => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.setViewport(SIZE);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
    await page.goto(STAGE);
    await open(page, directory, EDITS[0]).show(EDITS[0].old, { changed: false });
    await page.evaluate((address) => visit(address, 'Daybreak'), url);
    const shown = () => page.frames().find((frame) => frame.url() === url);
    await until('the site is shown', async () => (await shown()?.title())?.includes('Daybreak'));
    await page.waitForNetworkIdle({ idleTime: 1500, concurrency: 2 });
    const stop = await film(page, output);
    for (const change of EDITS) await edit(page, directory, change);
    return await stop();
  } finally {
    await browser.close();
  }
};

mkdirSync(output, { recursive: true });
const place = mkdtempSync(join(tmpdir(), 'hot-reload-'));
try {
  const directory = join(place, 'daybreak');
  copySite(directory);
  const film = await serving(directory, (url) => play(directory, url));
  writeFileSync(join(output, 'frames.json'), JSON.stringify(film));
  console.log(`${film.frames.length} frames`);
} finally {
  rmSync(place, { recursive: true });
}
