// Bundle the client: build.mjs DIRECTORY [DEPFILE], build.mjs --dist into the tree that `meson dist`
// packs, or build.mjs --check. What is too large is a failure, but while one works (with a DEPFILE).
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** Bytes, gzipped. */
const LIMITS = [
  { what: 'every page', names: ['client.js'], limit: 3000 },
  { what: 'a page with the morph', names: ['client.js', 'morph.js'], limit: 7000 },
  { what: 'the status page', names: ['status.html', 'status.css', 'status.js'], limit: 6000 },
];

const here = dirname(fileURLToPath(import.meta.url));
const esbuild = await import('esbuild').catch(() => {
  console.error('esbuild is missing: run `npm ci` in client/');
  process.exit(1);
});

const [target, depfile] = process.argv.slice(2);
if (!target) {
  console.error('usage: build.mjs DIRECTORY [DEPFILE] | --dist | --check');
  process.exit(2);
}
const directory =
  target === '--dist' ? join(process.env.MESON_DIST_ROOT, 'client/dist') : resolve(target);
const writes = target !== '--check';

const inputs = new Set();

const bundle = async (entry, format, define = {}) => {
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: here,
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    minify: true,
    format,
    define,
    target: 'es2020',
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    write: false,
  });
  Object.keys(metafile.inputs).forEach((input) => inputs.add(resolve(here, input)));
  return outputFiles[0].contents;
};

const modules = ['share', 'swap', 'morph', 'notice', 'leave'];
const files = new Map([['worker.js', await bundle('worker', 'iife')]]);
for (const name of modules) files.set(`${name}.js`, await bundle(name, 'esm'));

// A page must not meet the hub of another version, nor a part of one.
const hash = createHash('sha256');
for (const code of files.values()) hash.update(code);
const BUILD = JSON.stringify(hash.digest('hex').slice(0, 8));
files.set('client.js', await bundle('main', 'iife', { BUILD }));

const statusPage = (name) => {
  const path = join(here, 'src/status', name);
  inputs.add(path);
  return readFileSync(path, 'utf8');
};
files.set('status.html', Buffer.from(statusPage('status.html')));
const css = await esbuild.transform(statusPage('status.css'), { loader: 'css', minify: true });
files.set('status.css', Buffer.from(css.code));
files.set('status.js', await bundle('status/main', 'iife'));

const sizes = new Map(
  [...files].map(([name, code]) => [name, gzipSync(code, { level: 9 }).length]),
);
for (const [name, size] of sizes) console.log(`${name}: ${size} bytes gzipped`);
for (const { what, names, limit } of LIMITS) {
  const sum = names.reduce((total, name) => total + sizes.get(name), 0);
  console.log(`${what}: ${sum} bytes gzipped of ${limit}`);
  if (sum <= limit) continue;
  console.error(`too large for ${what}: ${names.join(' + ')}`);
  if (!depfile) process.exitCode = 1;
}
const all = ['client.js', 'swap.js', 'morph.js', 'notice.js'];
console.log(
  `${all.join(' + ')}: ${all.reduce((sum, name) => sum + sizes.get(name), 0)} bytes gzipped`,
);

if (writes) {
  mkdirSync(directory, { recursive: true });
  for (const [name, code] of files) writeFileSync(join(directory, name), code);
}

if (depfile) {
  const outputs = [...files.keys()].map((name) => relative('', join(directory, name)));
  const escaped = [...inputs].map((path) => path.replaceAll(' ', '\\ '));
  writeFileSync(depfile, `${outputs.join(' ')}: ${escaped.join(' ')}\n`);
}
