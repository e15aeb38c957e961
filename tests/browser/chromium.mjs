// How Chromium is found and started, also by the benchmark.
import { executable } from './executable.mjs';

/** Throws Missing. */
export const chromium = () =>
  executable({
    variable: 'CHROME',
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    packageName: 'chromium',
  });

/** It runs as root, and talks to nobody by itself. */
export const FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
  '--disable-gpu',
];
