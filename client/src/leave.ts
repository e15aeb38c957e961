// What a reload needs besides itself: a cache without what is old, and the places scrolled to.
import { pathOf, unmarked } from './addresses';
import { isFirefox } from './engine';
import { refresh } from './refresh';
import type { Change } from './wire';

export { keepScroll, restoreScroll } from './scroll';

/** A reload asks for the document, but may take the rest from the cache if that guesses it fresh. */
export const refreshUsed = (changes: readonly Change[]): Promise<unknown> => {
  const changed = new Set(
    changes.map(
      // An image that is newer in its HTTP cache than on the page, Firefox takes for unchanged.
      ({ kind, op, url }) => op !== 'removed' && !(kind === 'image' && isFirefox()) && url,
    ),
  );
  const used = performance
    .getEntriesByType('resource')
    .map(({ name }) => unmarked(name))
    .filter((name) => changed.has(pathOf(name, location.hostname)));
  return refresh([...new Set(used)]);
};
