import { createStyles, type Refresh, type StyleOutcome } from './stylesheets';
import type { Change } from './wire';

export const createSwap = (document: Document, refresh: Refresh) => {
  const styles = createStyles(document, refresh);
  return (changes: readonly Change[], mark: string): Promise<StyleOutcome> =>
    Promise.resolve(
      changes.every(({ kind }) => kind === 'css') ? styles(changes, mark) : 'reload',
    );
};
