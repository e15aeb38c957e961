import { planMerge } from './merge';
import { createOverlay, type Failure } from './overlay';

/** `unused`: the page went elsewhere meanwhile. */
export type MorphOutcome = 'morphed' | 'reload' | 'failed' | 'unused';

/** The page before any script that its parser does not wait for; its root before any script. */
export interface Original {
  /** Path and query. */
  address: string;
  /** Empty where it is not known. */
  markup: string;
}

/** What the server says of an address. */
interface Answer extends Failure {
  type: ResponseType;
}

/** What cannot be changed in a page that runs. */
const CODE = 'script,template,base,meta[http-equiv]';
/** What may have changed the page before its parser was done. */
const BLOCKING =
  'script:not([src][defer],[src][async],[type=module],[type$=json],[type=importmap])';

export const judge = ({ status, type, isHtml }: Answer): 'page' | 'reload' | 'failed' => {
  if (type === 'opaqueredirect') return 'reload';
  if (!status || status >= 500) return 'failed';
  return isHtml ? 'page' : 'reload';
};

/** A nonce is of one answer, and hidden in a live document. */
export const parsed = (markup: string): Document => {
  const document = new DOMParser().parseFromString(markup, 'text/html');
  document.querySelectorAll('[nonce]').forEach((element) => element.setAttribute('nonce', ''));
  return document;
};

const codeOf = (document: Document): string =>
  [...document.querySelectorAll(CODE)].map(({ outerHTML }) => outerHTML).join('\n');

/** Milliseconds from giving up to being gone. */
const LEAVING = 100;
const NO_ANSWER: Answer = { status: 0, type: 'error', text: '', isHtml: false };

const ask = async (address: string, signal: AbortSignal): Promise<Answer> => {
  try {
    const response = await fetch(address, {
      signal,
      cache: 'no-store',
      redirect: 'manual',
      headers: { accept: 'text/html' },
    });
    return {
      status: response.status,
      type: response.type,
      text: await response.text(),
      isHtml: /^text\/html\b/i.test(response.headers.get('content-type') ?? ''),
    };
  } catch {
    return NO_ANSWER;
  }
};

export const createMorph = (document: Document, original?: Original) => {
  const { location } = document;
  const overlay = createOverlay(document);
  let base: { address: string; document: Document; isOriginal: boolean } | undefined;
  let run: AbortController | undefined;
  let last: Promise<MorphOutcome>;
  let departures = 0;
  addEventListener('pagehide', () => departures++);

  const addressNow = (): string => location.pathname + location.search;

  const merge = (next: Document): MorphOutcome => {
    const address = addressNow();
    const root = next.documentElement;
    if (original?.markup)
      base ??= { address: original.address, document: parsed(original.markup), isOriginal: true };
    if (
      base?.address !== address ||
      next.compatMode !== document.compatMode ||
      codeOf(next) !== codeOf(base.document)
    )
      return 'reload';
    const { document: before, isOriginal } = base;
    const blocking = isOriginal && [...before.querySelectorAll(BLOCKING)].at(-1);
    // A script can add to whatever has begun before it.
    const mayBeScripts = (place: Node): boolean =>
      !!blocking &&
      place !== before.documentElement &&
      !!(place.compareDocumentPosition(blocking) & Node.DOCUMENT_POSITION_FOLLOWING);
    const plan = planMerge(document.documentElement, before.documentElement, root, mayBeScripts);
    if (!plan) return 'reload';
    const focused = document.activeElement as HTMLElement | null;
    plan.apply();
    if (focused?.isConnected && focused !== document.activeElement)
      focused.focus({ preventScroll: true });
    base = { address, document: next, isOriginal: false };
    // What is new does nothing otherwise; what is known is left alone.
    (globalThis as any).htmx?.process(document.body);
    return 'morphed';
  };

  const morph = async (
    mine: AbortController,
    before: () => Promise<unknown>,
  ): Promise<MorphOutcome> => {
    const address = addressNow();
    const departed = departures;
    const answer = await ask(location.href, mine.signal);
    // The browser gives up what was asked for shortly before a page is left, which may come back:
    // time stands still for it in between.
    if (!answer.status) await new Promise((done) => setTimeout(done, LEAVING));
    await before();
    if (mine !== run) return last;
    if (departed !== departures) return morph(mine, before);
    if (address !== addressNow()) return 'unused';
    const verdict = judge(answer);
    if (verdict === 'failed') overlay.show(answer);
    if (verdict !== 'page') return verdict;
    overlay.hide();
    try {
      // Other encodings are known to the parser of a document only.
      return document.characterSet === 'UTF-8' ? merge(parsed(answer.text)) : 'reload';
    } catch {
      return 'reload';
    }
  };

  /** The last one asked for wins. */
  return (before = async (): Promise<unknown> => 0): Promise<MorphOutcome> => {
    run?.abort();
    return (last = morph((run = new AbortController()), before));
  };
};
