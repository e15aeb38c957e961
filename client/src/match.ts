import type { Change } from './wire';

/** What changed files ask of a page. */
export interface Plan {
  /** What to load again, as positions in the list of what the page has. */
  use: Set<number>;
  /** A new build of a file in use has a name of its own, which only the server can tell the page. */
  reload: boolean;
}

const segments = (path: string): string[] => path.split('/').reverse();

/**
 * The positions of the paths that a file is most likely served under.
 *
 * A url is matched whole, with or without a prefix that a proxy put before it; without a url the
 * longest common tail of whole segments decides. The empty segment before the first slash makes an
 * exact match longer than one with a prefix.
 */
export const bestMatches = (
  paths: readonly string[],
  path: string,
  url: string | null,
): number[] => {
  const wanted = segments(url ?? path);
  const sizes = paths.map((candidate) => {
    const found = segments(candidate);
    let size = 0;
    while (size < wanted.length && found[size] === wanted[size]) size++;
    return size;
  });
  const best = Math.max(url ? wanted.length - 1 : 1, ...sizes);
  return sizes.flatMap((size, index) => (size === best ? [index] : []));
};

/** `site-4f3a9c21.css` without what a build tool made of its content. */
const withoutHash = (path: string): string => path.replace(/[.-](?=\w*\d)\w{6,}(?=\.\w+$)/, '.#');

/** `paths`: the decoded pathnames of all that the page has of these kinds of files. */
export const planUse = (paths: readonly string[], changes: readonly Change[]): Plan => {
  const use = new Set<number>();
  let reload = false;
  for (const { path, url, op } of changes) {
    if (op === 'removed') continue;
    const found = bestMatches(paths, path, url);
    found.forEach((index) => use.add(index));
    const stem = withoutHash(path);
    if (op === 'added' && !found.length && stem !== path)
      reload ||= !!bestMatches(paths.map(withoutHash), stem, url && withoutHash(url)).length;
  }
  return { use, reload };
};
