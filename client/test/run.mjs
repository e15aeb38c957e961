// Node runs no TypeScript: bundle the tests into a directory of their own, and run them there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const outdir = mkdtempSync(join(tmpdir(), 'hot-reload-client-'));
try {
  await build({
    absWorkingDir: here,
    entryPoints: readdirSync(here).filter((name) => name.endsWith('.test.ts')),
    bundle: true,
    platform: 'node',
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    sourcemap: 'inline',
    logLevel: 'warning',
    outdir,
  });
  const files = readdirSync(outdir).map((name) => join(outdir, name));
  const options = ['--enable-source-maps', '--test', '--test-reporter=spec'];
  const { status } = spawnSync(process.execPath, [...options, ...files, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
