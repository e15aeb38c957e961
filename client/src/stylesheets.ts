import { marked, pathOf, unmarked } from './addresses';
import { isFirefox } from './engine';
import { replaceFace, type Fonts, type MarkOf } from './fonts';
import { visitSheet, type Face, type Visitor } from './images';
import { planUse } from './match';
import type { Change } from './wire';

/** Makes the HTTP cache hold what the server has now. Settles, never rejects. */
export type Refresh = (urls: readonly string[]) => Promise<unknown>;

/** What is begun settles when it is shown, or given up. */
export type Outcome = 'unused' | 'reload' | Promise<unknown>;

export interface StyleDeps {
  document: Document;
  refresh: Refresh;
  fonts: Fonts;
  markOf: MarkOf;
}

/** The element whose load brings a sheet. */
type Owner = HTMLLinkElement | HTMLStyleElement;

interface Sheet {
  owner: Owner;
  href: string;
  imported: boolean;
}

interface Successor {
  next: Owner;
  /** Whether it takes over or not. */
  end(): void;
}

const isLink = (element: Element): element is HTMLLinkElement => element.localName === 'link';

const visitOwn = ({ sheet, baseURI }: Owner, visitor: Visitor): void => {
  if (sheet) visitSheet(sheet, sheet.href ?? baseURI, visitor);
};

export const createStyles = ({ document, refresh, fonts, markOf }: StyleDeps) => {
  /** Gives the images and fonts of a sheet the marks that they have elsewhere. */
  const renewing: Visitor = { use: markOf, face: (face) => replaceFace(face, markOf) };
  /** Of each sheet in force what loads beside it. */
  const successors = new Map<Owner, Successor>();
  /** The last mark of each file. */
  const latest = new Map<string, string>();

  const addSheets = (sheets: Sheet[], root: ParentNode): Sheet[] => {
    const loading = new Set<Element>([...successors.values()].map(({ next }) => next));
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
      visitOwn(owner, { imported: (href) => void sheets.push({ owner, href, imported: true }) });
    }
    return sheets;
  };

  /** The faces of the sheet in force, which the next one most likely has too. */
  const facesOf = (owner: Owner): Face[] => {
    const faces: Face[] = [];
    visitOwn(owner, { face: (face) => void faces.push(face) });
    return faces;
  };

  /** Lets `next` take over once it is loaded. */
  const succeed = (old: Owner, successor: Successor): void => {
    const { next } = successor;
    const isCurrent = (): boolean => successors.get(old) === successor;
    const settle = (): void => {
      successors.delete(old);
      successor.end();
    };
    // The page may take the old one out in the meantime, and mean it.
    if (!old.isConnected) return settle();

    next.addEventListener('load', () => {
      if (!isCurrent()) return;
      if (!old.isConnected) next.remove();
      else {
        visitOwn(next, renewing);
        // Script may have switched the sheet off without a trace in the element.
        if (old.sheet) next.sheet!.disabled = old.sheet.disabled;
        old.remove();
        if (isLink(next)) void refresh([unmarked(next.href)]);
      }
      settle();
    });
    next.addEventListener(
      'error',
      (event) => {
        // The page's own handler is for the sheet in force, which is well.
        event.stopImmediatePropagation();
        next.remove();
        if (isCurrent()) settle();
      },
      true,
    );
    old.after(next);
    // The sheet may be in force for a frame before its element is told.
    const beforePaint = (): void => {
      if (!isCurrent()) return;
      visitOwn(next, renewing);
      requestAnimationFrame(beforePaint);
    };
    beforePaint();
  };

  const swap = (old: Owner, mark: string, done: () => void): void => {
    const previous = successors.get(old);
    const next = old.cloneNode(true) as Owner;
    if (isLink(old) && isLink(next)) {
      next.href = marked(old.href, mark);
      if (next.href === old.href || next.href === (previous?.next as HTMLLinkElement)?.href)
        return done();
      if (old.disabled || old.relList.contains('alternate')) {
        // Mostly not in force; and that script has enabled it is a state of this very element.
        old.addEventListener('load', () => visitOwn(old, renewing), { once: true });
        old.href = next.href;
        return done();
      }
      // The hash of the old bytes can only refuse the new ones.
      next.removeAttribute('integrity');
    }
    next.nonce = old.nonce!;
    previous?.next.remove();
    previous?.end();
    const successor = { next, end: done };
    successors.set(old, successor);
    fonts.hold(facesOf(old), markOf, (release) => {
      successor.end = () => {
        release();
        done();
      };
      if (successors.get(old) === successor) succeed(old, successor);
      else release();
    });
  };

  /** What is marked with `mark` already is left alone. */
  const apply = (given: readonly Change[], mark: string, refreshed?: boolean): Outcome => {
    // What was overtaken meanwhile must not come back: the browser has a copy of it by that address.
    const changes = given.filter(({ path }) => latest.get(path) === mark);
    const sheets = addSheets([], document);
    const { use, reload } = planUse(
      sheets.map(({ href }) => pathOf(href, document.location.hostname)),
      changes,
    );
    if (reload) return 'reload';
    if (!use.size) return 'unused';
    const used = sheets.filter((_, index) => use.has(index));
    // The importing sheet will ask for the imported one by the address it always had.
    const stale = refreshed ? [] : used.filter(({ imported }) => imported);
    // Firefox takes the copy that the document has, whatever the cache holds.
    if (stale.length && isFirefox()) return 'reload';
    const owners = [...new Set(used.map(({ owner }) => owner))];
    const now = owners.filter((owner) => !stale.some((other) => other.owner === owner));
    return Promise.all([
      stale.length &&
        refresh(stale.map(({ href }) => href)).then(() => apply(changes, mark, true)),
      ...now.map((owner) => new Promise<void>((done) => swap(owner, mark, done))),
    ]);
  };

  return (changes: readonly Change[], mark: string): Outcome => {
    for (const { path } of changes) latest.set(path, mark);
    // A link that the parser has not reached may be for a copy that was fetched ahead of it.
    if (document.readyState === 'loading')
      document.addEventListener('DOMContentLoaded', () => apply(changes, mark));
    return apply(changes, mark);
  };
};
