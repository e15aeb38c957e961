// Node runs no TypeScript: translate every file of src/ and test/ by itself, so that the coverage can
// be told by file, and run the tests there. Less than 95 % of the lines of src/ is a failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const LINES = 95;

const client = dirname(dirname(fileURLToPath(import.meta.url)));
const outdir = mkdtempSync(join(tmpdir(), 'hot-reload-client-'));
const sources = (directory) =>
  readdirSync(join(client, directory))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, name));

/** Files of ours stay files; what comes from npm is taken in. */
const separate = {
  name: 'separate',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\// }, ({ path, importer }) =>
      !importer || importer.includes('node_modules')
        ? undefined
        : { path: `${path}.mjs`, external: true },
    ),
};

try {
  await build({
    absWorkingDir: client,
    entryPoints: [...sources('src'), ...sources('src/status'), ...sources('test')],
    outbase: '.',
    bundle: true,
    treeShaking: false,
    platform: 'node',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    // Some packages for Node are CommonJS, and ask for its modules.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    define: { BUILD: '"build"' },
    plugins: [separate],
    sourcemap: 'inline',
    logLevel: 'warning',
    outdir,
  });
  const files = readdirSync(join(outdir, 'test'))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => join(outdir, 'test', name));
  const coverage = [
    join(client, 'node_modules/c8/bin/c8.js'),
    '--check-coverage',
    `--lines=${LINES}`,
    '--all',
    '--src=src',
    '--include=src/**/*.ts',
    '--exclude-after-remap',
    `--temp-directory=${join(outdir, 'coverage')}`,
    '--reporter=text',
  ];
  const tests = [process.execPath, '--test', '--test-reporter=spec'];
  const { status } = spawnSync(
    process.execPath,
    [...coverage, ...tests, ...files, ...process.argv.slice(2)],
    { cwd: client, stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
