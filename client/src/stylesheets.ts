import { planStyles } from './match';
import { decoded, type Change } from './wire';

export type StyleOutcome = 'unused' | 'swapped' | 'reload';

/** Makes the HTTP cache hold what the server has now. Settles, never rejects. */
export type Refresh = (urls: readonly string[]) => Promise<unknown>;

/** The element whose load brings a sheet. */
type Owner = HTMLLinkElement | HTMLStyleElement;

interface Sheet {
  owner: Owner;
  href: string;
  imported: boolean;
}

const isLink = (element: Element): element is HTMLLinkElement => element.localName === 'link';

/** The address as the page knows it. */
export const unmarked = (href: string): string => href.replace(/[?&]hot-reload=\w*/, '');

/** Never more than one mark; the rest of the query stays byte for byte. */
export const marked = (href: string, mark: string): string => {
  const url = new URL(unmarked(href));
  url.search += `${url.search ? '&' : '?'}hot-reload=${mark}`;
  return url.href;
};

/** The decoded pathname of an address of this host; what nothing matches, of any other. */
export const pathOf = (href: string, host: string): string => {
  try {
    const url = new URL(href);
    return url.hostname === host ? decoded(url.pathname) : '';
  } catch {
    return '';
  }
};

export const createStyles = (document: Document, refresh: Refresh) => {
  /** Of each sheet in force the successor that loads beside it. */
  const successors = new Map<Owner, Owner>();

  const addImports = (sheets: Sheet[], owner: Owner, sheet: CSSStyleSheet | null): void => {
    try {
      for (const rule of sheet!.cssRules as Iterable<Partial<CSSImportRule>>) {
        if (!rule.href) continue;
        const { href } = new URL(rule.href, sheet!.href ?? document.baseURI);
        sheets.push({ owner, href, imported: true });
        addImports(sheets, owner, rule.styleSheet!);
      }
    } catch {
      // Not loaded, or of another origin and not for us to read.
    }
  };

  const addSheets = (sheets: Sheet[], root: ParentNode): Sheet[] => {
    const loading = new Set<Element>(successors.values());
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) addSheets(sheets, element.shadowRoot);
      const link = isLink(element);
      if (
        loading.has(element) ||
        !(link ? element.relList.contains('stylesheet') : element.localName === 'style')
      )
        continue;
      const owner = element as Owner;
      if (link) sheets.push({ owner, href: element.href, imported: false });
      addImports(sheets, owner, owner.sheet);
    }
    return sheets;
  };

  const swap = (old: Owner, mark: string): void => {
    const previous = successors.get(old);
    const next = old.cloneNode(true) as Owner;
    if (isLink(old) && isLink(next)) {
      next.href = marked(old.href, mark);
      if (next.href === old.href || next.href === (previous as HTMLLinkElement | undefined)?.href)
        return;
      if (old.disabled || old.relList.contains('alternate')) {
        // Mostly not in force; and that script has enabled it is a state of this very element.
        old.href = next.href;
        return;
      }
      // The hash of the old bytes can only refuse the new ones.
      next.removeAttribute('integrity');
    }
    next.nonce = old.nonce!;
    previous?.remove();
    successors.set(old, next);
    const isCurrent = (): boolean => successors.get(old) === next && successors.delete(old);

    next.addEventListener('load', () => {
      if (!isCurrent()) return;
      // The page may have taken the old one out in the meantime, and meant it.
      if (!old.isConnected) return next.remove();
      // Script may have switched the sheet off without a trace in the element.
      if (old.sheet) next.sheet!.disabled = old.sheet.disabled;
      old.remove();
      if (isLink(next)) void refresh([unmarked(next.href)]);
    });
    next.addEventListener(
      'error',
      (event) => {
        // The page's own handler is for the sheet in force, which is well.
        event.stopImmediatePropagation();
        isCurrent();
        next.remove();
      },
      true,
    );
    old.after(next);
  };

  /** `mark` names this state of the files; what is marked with it already is left alone. */
  const apply = (changes: readonly Change[], mark: string, refreshed?: boolean): StyleOutcome => {
    const sheets = addSheets([], document);
    const { use, reload } = planStyles(
      sheets.map(({ href }) => pathOf(href, document.location.hostname)),
      changes,
    );
    if (reload) return 'reload';
    const used = sheets.filter((_, index) => use.has(index));
    // The importing sheet will ask for the imported one by the address it always had.
    const stale = refreshed ? [] : used.filter(({ imported }) => imported);
    if (stale.length)
      void refresh(stale.map(({ href }) => href)).then(() => apply(changes, mark, true));
    for (const { owner } of used)
      if (!stale.some((other) => other.owner === owner)) swap(owner, mark);
    return used.length ? 'swapped' : 'unused';
  };

  return (changes: readonly Change[], mark: string): StyleOutcome => {
    // A link that the parser has not reached may be for a copy that was fetched ahead of it.
    if (document.readyState === 'loading')
      document.addEventListener('DOMContentLoaded', () => apply(changes, mark));
    return apply(changes, mark);
  };
};
