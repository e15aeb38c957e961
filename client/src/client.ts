import { answerHello, nextStreak, ownCursor, pauseOf, type Memory } from './memory';
import { decoded, isLater, type Change, type Hello, type Update } from './wire';

/** What carries the decisions out. */
export interface Page {
  /** Changes stylesheets, images and fonts in place. `mark` names this state of the files. */
  swap(changes: readonly Change[], mark: string): Promise<'unused' | 'swapped' | 'reload'>;
  /** Asks for the page again, runs `before`, and at once changes the document into it. */
  morph(before: () => Promise<unknown>): Promise<'morphed' | 'reload' | 'failed'>;
  /** Whether the page's own code lets the morph be. */
  mayMorph(changes: readonly Change[]): boolean;
  updated(kind: 'swap' | 'morph', changes: readonly Change[]): void;
  /** Makes the HTTP cache hold what the server has now, of what the page has used. */
  refresh(changes: readonly Change[]): Promise<unknown>;
  /** Remembers why, and reloads. */
  reload(cursor: string, streak: number): void;
  /** Whether a person has done something to this page since it was loaded. */
  active(): boolean;
  debug(text: string): void;
  warn(what: unknown): void;
  /** Shows what is wrong; nothing is, without a text. */
  notice(text?: string): void;
}

export interface ClientDeps {
  page: Page;
  /** The cursor of the page's tag. */
  tag: string;
  memory: Memory;
  /** Milliseconds since the epoch. */
  clock(): number;
  /** Runs `task` after `milliseconds`; returns what cancels it. */
  timer(task: () => void, milliseconds: number): () => void;
}

export interface Client {
  /** Of the last state of the files that the page is good for. */
  cursor(): string;
  /** Returns whether to connect again, with the cursor of now. */
  hello(hello: Hello): boolean;
  update(update: Update, cursor: string): void;
  away(): void;
  /** A person looks at the page. */
  seen(): void;
}

/** A reload that has not happened by then was most likely refused by a person, in milliseconds. */
const LEAVING = 10_000;
const OLD_COPY = 'reloaded, but got an older copy: does a cache or a service worker answer?';
const LOOP = 'not reloaded: does loading this page change a watched file?';
const AWAY = 'the server is away';

const isSwapped = ({ kind }: Change): boolean => /css|image|font/.test(kind);

export const createClient = ({ page, tag, memory, clock, timer }: ClientDeps): Client => {
  const started = clock();
  let own = ownCursor(tag, memory);
  let resumed = own !== tag;
  let connected = false;
  let morphs = false;
  let missed: Change[] = [];
  let cancel: (() => void) | undefined;
  let leaving = false;
  let late = false;
  let trouble: string | undefined;
  /** A reload that was refused. */
  let refused: (() => void) | undefined;
  let waiting: Change[] = [];
  let isBusy = false;

  const warn = (text: string): void => {
    page.warn(text);
    page.notice((trouble = text));
  };

  const reload = (changes: readonly Change[]): void => {
    missed.push(...changes);
    // The next document is under way, and will ask for what its request was too early for. To
    // remember a later cursor now would tell it that it has that already.
    late = leaving;
    if (leaving) return;
    const now = clock();
    const streak = nextStreak(memory, now, now - started, page.active());
    const pause = pauseOf(streak);
    const go = (): void => {
      refused = undefined;
      const refreshed = page.refresh(missed);
      missed = [];
      void refreshed.then(() => {
        leaving = true;
        timer(() => {
          leaving = false;
          if (late) reload([]);
        }, LEAVING);
        page.reload(own, streak);
      });
    };
    cancel?.();
    if (pause) cancel = timer(go, pause);
    else if (pause === 0) go();
    else {
      refused = go;
      warn(LOOP);
    }
  };

  const log = (outcome: string, changes: readonly Change[]): void =>
    page.debug(`${outcome}: ${[...new Set(changes.map(({ path }) => path))].join(', ')}`);

  const reloadFor = (changes: readonly Change[]): void => {
    log('reload', changes);
    reload(changes);
  };

  const done = (kind: 'swap' | 'morph', outcome: string, changes: readonly Change[]): void => {
    log(outcome, changes);
    page.updated(kind, changes);
    page.notice((trouble = undefined));
  };

  const apply = async (changes: readonly Change[], mark: string): Promise<void> => {
    const swaps = changes.filter(isSwapped);
    const rest = changes.filter((change) => !isSwapped(change));
    if (rest.length && (!morphs || rest.some(({ kind }) => kind === 'script')))
      return reloadFor(changes);
    const swap = async (): Promise<string> => {
      const outcome = swaps.length ? await page.swap(swaps, mark) : 'unused';
      if (outcome === 'swapped') done('swap', outcome, swaps);
      return outcome;
    };
    let swapping: Promise<string> | undefined;
    const swapOnce = (): Promise<string> => (swapping ??= swap());
    if (!rest.length) {
      if ((await swapOnce()) !== 'reload') return;
      if (!morphs) return reloadFor(changes);
    }
    if (!page.mayMorph(changes)) return void (await swapOnce());
    // A new sheet may have no style for what is shown, and the old one none for what comes.
    const morphed = await page.morph(swapOnce);
    if (morphed === 'reload') reloadFor(changes);
    else if (morphed === 'morphed') done('morph', morphed, changes);
    else log('failed', changes);
  };

  /** One after the other; what comes meanwhile is one. */
  const work = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    try {
      while (waiting.length) {
        const changes = waiting;
        waiting = [];
        // A part of the client could not be had.
        await apply(changes, own.split('.')[1]!).catch(() => reloadFor(changes));
      }
    } finally {
      isBusy = false;
    }
  };

  if (resumed) warn(OLD_COPY);

  return {
    cursor: () => own,

    hello(hello) {
      page.notice(trouble);
      if (!connected) page.debug('connected');
      connected = true;
      morphs = !!hello.morph;
      const answer = answerHello(hello, own, memory, resumed);
      if (answer === 'follow') return false;
      if (answer === 'reload') {
        own = hello.cursor;
        page.debug('reload: the server restarted');
        reload([]);
        return false;
      }
      warn(OLD_COPY);
      const again = answer !== 'stay';
      own = again ? answer : hello.cursor;
      resumed = true;
      return again;
    },

    update({ type, changes }, cursor) {
      // What the stream had to repeat for another page is known here.
      if ((type !== 'css' && type !== 'reload') || !isLater(cursor, own)) return;
      own = cursor;
      for (const change of changes)
        waiting.push({ ...change, url: change.url && decoded(change.url) });
      work().catch(page.warn);
    },

    away: () => page.notice(AWAY),

    // Once each time, so that it is no loop.
    seen: () => refused?.(),
  };
};
