// Bundle the client: build.mjs OUTPUT, or build.mjs --dist into the tree that `meson dist` packs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const LIMIT = 3000;

const here = dirname(fileURLToPath(import.meta.url));
const esbuild = await import('esbuild').catch(() => {
  console.error('esbuild is missing: run `npm ci` in client/');
  process.exit(1);
});

const target = process.argv[2];
if (!target) {
  console.error('usage: build.mjs OUTPUT | --dist');
  process.exit(2);
}
const output =
  target === '--dist'
    ? join(process.env.MESON_DIST_ROOT, 'client/dist/client.js')
    : resolve(target);

const { outputFiles } = await esbuild.build({
  absWorkingDir: here,
  entryPoints: ['src/main.ts'],
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2020',
  charset: 'utf8',
  legalComments: 'none',
  write: false,
});
const code = outputFiles[0].contents;
const size = gzipSync(code, { level: 9 }).length;
if (size > LIMIT) {
  console.error(`client.js is ${size} bytes gzipped; the limit is ${LIMIT}`);
  process.exit(1);
}
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, code);
console.log(`client.js: ${code.length} bytes, ${size} gzipped`);
