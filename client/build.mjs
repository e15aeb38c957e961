// Bundle the client: build.mjs DIRECTORY [DEPFILE], or build.mjs --dist into the tree that
// `meson dist` packs.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** What every page loads. */
const CLIENT_LIMIT = 3000;
/** All that a page may load while nothing is wrong, the morph included. */
const PAGE_LIMIT = 7000;
const PAGE = ['client.js', 'swap.js', 'morph.js'];

const here = dirname(fileURLToPath(import.meta.url));
const esbuild = await import('esbuild').catch(() => {
  console.error('esbuild is missing: run `npm ci` in client/');
  process.exit(1);
});

const [target, depfile] = process.argv.slice(2);
if (!target) {
  console.error('usage: build.mjs DIRECTORY [DEPFILE] | --dist');
  process.exit(2);
}
const directory =
  target === '--dist' ? join(process.env.MESON_DIST_ROOT, 'client/dist') : resolve(target);

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

const modules = ['share', 'swap', 'morph', 'notice'].filter((name) =>
  existsSync(join(here, `src/${name}.ts`)),
);
const files = new Map([['worker.js', await bundle('worker', 'iife')]]);
for (const name of modules) files.set(`${name}.js`, await bundle(name, 'esm'));

// A page must not meet the hub of another version, nor a part of one.
const hash = createHash('sha256');
for (const code of files.values()) hash.update(code);
const BUILD = JSON.stringify(hash.digest('hex').slice(0, 8));
files.set('client.js', await bundle('main', 'iife', { BUILD }));

const sizes = new Map(
  [...files].map(([name, code]) => [name, gzipSync(code, { level: 9 }).length]),
);
const page = PAGE.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
for (const [name, size] of sizes) console.log(`${name}: ${size} bytes gzipped`);
console.log(`${PAGE.join(' + ')}: ${page} bytes gzipped`);

const demand = (what, size, limit) => {
  if (size <= limit) return;
  console.error(`${what}: ${size} bytes gzipped; the limit is ${limit}`);
  process.exit(1);
};
demand('client.js', sizes.get('client.js'), CLIENT_LIMIT);
demand('what a page may load', page, PAGE_LIMIT);

mkdirSync(directory, { recursive: true });
for (const [name, code] of files) writeFileSync(join(directory, name), code);

if (depfile) {
  const outputs = [...files.keys()].map((name) => relative('', join(directory, name)));
  const escaped = [...inputs].map((path) => path.replaceAll(' ', '\\ '));
  writeFileSync(depfile, `${outputs.join(' ')}: ${escaped.join(' ')}\n`);
}
