// Programs that tests start, and which package has them.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Says what to install. */
export class Missing extends Error {}

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Of the variable, else of the names on PATH, else of the paths; throws Missing. */
export const executable = ({ variable, names = [], paths = [], packageName }) => {
  if (process.env[variable]) return process.env[variable];
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)))
    .concat(paths)
    .find(isExecutable);
  if (found) return found;
  throw new Missing(
    `${names.concat(paths)[0]} not found: install it (Debian: apt-get install ${packageName}), ` +
      `or name it in the variable ${variable}`,
  );
};
