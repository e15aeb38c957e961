// Stylesheets, images and fonts in place: what changed is loaded first, and the old kept if it fails.
import { marked, pathOf } from './addresses';
import { isFirefox } from './engine';
import { createFonts, replaceFace } from './fonts';
import { visit, type Face, type How } from './images';
import { planUse } from './match';
import { refresh as refreshCache } from './refresh';
import { createStyles, type Outcome, type Refresh } from './stylesheets';
import type { Change } from './wire';

/** An update is waited for no longer, in milliseconds: a later one may overtake it. */
const PATIENCE = 1000;

/** How often, and how often in milliseconds, to look whether a part of a document is there. */
const LOOKS = 300;
const PAUSE = 16;

const loadImage = (href: string, crossOrigin: string | null): Promise<unknown> =>
  new Promise((done, fail) => {
    const image = new Image();
    image.crossOrigin = crossOrigin;
    image.onload = () => done(image);
    image.onerror = fail;
    image.src = href;
  });

/** Only a document that is in use says when it is there, and in Firefox not even by an event. */
const loadPart = async (href: string): Promise<unknown> => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.style.cssText = 'all: initial; position: fixed; width: 1px; height: 1px; visibility: hidden';
  const use = svg.appendChild(document.createElementNS(svg.namespaceURI, 'use')) as SVGUseElement;
  use.setAttribute('href', href);
  document.documentElement.append(svg);
  for (let tries = LOOKS; tries--; await new Promise((done) => setTimeout(done, PAUSE))) {
    const { width, height } = use.getBBox();
    if (width || height) return svg;
  }
  svg.remove();
  throw href;
};

/**
 * Takes what changed and a mark, a name for this state of the files. Settles when all is shown, or
 * is not for long; a later call overtakes an earlier one. Called with no changes, it gives what the
 * document has got since the marks of what it had.
 */
export const createSwap = (document: Document, refresh: Refresh = refreshCache) => {
  const host = document.location.hostname;
  /** Of what is shown in a resource's place: a browser may keep the old one as long as the page. */
  const marks = new Map<string, string>();
  /** The last mark that was asked for. */
  const latest = new Map<string, string>();
  const markOf = (resource: string): string | undefined => marks.get(resource);
  const fonts = createFonts(document);

  const swapStyles = createStyles({ document, refresh, fonts, markOf });

  const load = async (href: string, how: How): Promise<unknown> => {
    if (how instanceof Object)
      return fonts.isLoaded(how) && new FontFace('new', `url("${href}")`).load();
    return how?.startsWith('#') ? loadPart(href + how) : loadImage(href, how);
  };

  const renewAll = (): void => {
    const faces: Face[] = [];
    visit(document, { use: markOf, face: (face) => void faces.push(face) });
    fonts.hold(faces, markOf, (release) => {
      for (const face of faces) replaceFace(face, markOf);
      release();
    });
  };

  /** Each resource of the page, with the ways in which it is shown. */
  const resources = (): Map<string, Set<How>> => {
    const found = new Map<string, Set<How>>();
    visit(document, {
      use(resource, how) {
        const ways = found.get(resource) ?? new Set();
        found.set(resource, ways);
        if (how !== undefined) ways.add(how);
        return undefined;
      },
    });
    return found;
  };

  const paths = (addresses: readonly string[]): string[] =>
    addresses.map((address) => pathOf(address, host));

  /** Whether the page has loaded it for what cannot be reached: a canvas, a closed shadow root. */
  const isUsedElsewhere = (changes: readonly Change[]): boolean => {
    // What was fetched may have been so by `refresh`.
    const loaded = (performance.getEntriesByType('resource') as PerformanceResourceTiming[]).filter(
      ({ initiatorType }) => initiatorType !== 'fetch',
    );
    return planUse(paths(loaded.map(({ name }) => name)), changes).use.size > 0;
  };

  const swapImages = (changes: readonly Change[], mark: string): Outcome => {
    const found = resources();
    const names = [...found.keys()];
    const { use, reload } = planUse(paths(names), changes);
    if (reload) return 'reload';
    if (!use.size) return isUsedElsewhere(changes) ? 'reload' : 'unused';
    const used = [...use].map((index) => names[index]!);
    const loading = used.map(async (resource) => {
      latest.set(resource, mark);
      try {
        const ways = [...found.get(resource)!];
        const loaded = await Promise.all(ways.map((how) => load(marked(resource, mark), how)));
        if (latest.get(resource) === mark) marks.set(resource, mark);
        return loaded;
      } catch {
        return undefined; // The old one stays.
      }
    });
    // While the images that were loaded are held, the page has them at once.
    return Promise.all(loading).then((loaded) => {
      renewAll();
      for (const element of loaded.flat()) if (element instanceof Element) element.remove();
      // Firefox takes its decoded copy for valid when the server says so of a newer one in the cache.
      return isFirefox() || refresh(used.filter((resource) => marks.get(resource) === mark));
    });
  };

  return async (
    changes: readonly Change[],
    mark: string,
  ): Promise<'unused' | 'swapped' | 'reload'> => {
    const sheets = changes.filter(({ kind }) => kind === 'css');
    const others = changes.filter(({ kind }) => kind !== 'css');
    const outcomes = [swapStyles(sheets, mark)];
    if (!changes.length) renewAll();
    if (others.length) {
      // What the parser has not reached may be for a copy that was fetched ahead of it.
      if (document.readyState === 'loading')
        await new Promise((done) => document.addEventListener('DOMContentLoaded', done));
      outcomes.push(swapImages(others, mark));
    }
    if (outcomes.includes('reload')) return 'reload';
    if (outcomes.every((outcome) => outcome === 'unused')) return 'unused';
    await Promise.race([
      Promise.all(outcomes),
      new Promise((done) => setTimeout(done, PATIENCE)),
    ]);
    return 'swapped';
  };
};
