import { answerHello, nextStreak, ownCursor, paceOf, HASTE, type Memory } from './memory';
import type { StyleOutcome } from './stylesheets';
import { decoded, type Change, type Hello, type Update } from './wire';

/** What carries the decisions out. */
export interface Page {
  /** `mark` names this state of the files. */
  styles(changes: readonly Change[], mark: string): StyleOutcome;
  /** Makes the HTTP cache hold what the server has now, of what the page has used. */
  refresh(changes: readonly Change[]): Promise<unknown>;
  /** Remembers why, and reloads. */
  reload(cursor: string, streak: number): void;
  /** Whether a person has done something to this page since it was loaded. */
  active(): boolean;
  debug(text: string): void;
  warn(text: string): void;
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
}

/** A reload that has not happened by then was most likely refused by a person, in milliseconds. */
const LEAVING = 10_000;
const OLD_COPY = 'reloaded, but got an older copy: does a cache or a service worker answer?';

export const createClient = ({ page, tag, memory, clock, timer }: ClientDeps): Client => {
  const started = clock();
  let own = ownCursor(tag, memory);
  let resumed = own !== tag;
  let connected = false;
  let missed: Change[] = [];
  let cancel: (() => void) | undefined;
  let leaving = false;
  let late = false;

  const reload = (changes: readonly Change[]): void => {
    missed.push(...changes);
    // The next document is under way, and will ask for what its request was too early for. To
    // remember a later cursor now would tell it that it has that already.
    late = leaving;
    if (leaving) return;
    const now = clock();
    const streak = nextStreak(memory, now, now - started, page.active());
    const pace = paceOf(streak);
    const go = (): void => {
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
    if (pace === 'now') go();
    else if (pace === 'settle') cancel = timer(go, HASTE);
    else page.warn('not reloaded: does loading this page change a watched file?');
  };

  if (resumed) page.warn(OLD_COPY);

  return {
    cursor: () => own,

    hello(hello) {
      if (!connected) page.debug('connected');
      connected = true;
      const answer = answerHello(hello, own, memory, resumed);
      if (answer === 'follow') return false;
      if (answer === 'reload') {
        own = hello.cursor;
        page.debug('reload: the server restarted');
        reload([]);
        return false;
      }
      page.warn(OLD_COPY);
      const again = answer !== 'stay';
      own = again ? answer : hello.cursor;
      resumed = true;
      return again;
    },

    update({ type, changes, files }, cursor) {
      if (type !== 'css' && type !== 'reload') return;
      for (const change of changes) change.url &&= decoded(change.url);
      own = cursor || own;
      const outcome = type === 'css' ? page.styles(changes, bootless(own)) : type;
      if (outcome !== 'unused') page.debug(`${outcome}: ${files.join(', ')}`);
      if (outcome === 'reload') reload(changes);
    },
  };
};

const bootless = (cursor: string): string => cursor.split('.')[1]!;
