import { bootOf, isLater, type Hello } from './wire';

/** What this tab remembers of one address over a navigation. */
export interface Memory {
  /** When the address was last reloaded, in milliseconds since the epoch. */
  at: number;
  /** How many reloads in a row came right after a load. */
  streak: number;
  /** The cursors for which it was reloaded: the last one of each boot, oldest first. */
  cursors: string[];
}

/** A cursor says: this page is an old copy, ask again with what it was reloaded for. */
export type HelloAnswer = 'follow' | 'reload' | 'stay' | `${string}.${string}`;

/** A reload this soon after a load, without a person's doing, may be the load's own doing. */
export const HASTE = 2000;
/** A longer pause ends a streak. */
const FORGET = 10_000;
const QUICK_RELOADS = 5;
const LAST_RELOAD = 7;
const BOOTS = 8;

/** Of the cursor in the page's tag and those remembered, the one that the page is good for. */
export const ownCursor = (tag: string, memory: Memory): string =>
  memory.cursors.find((cursor) => isLater(cursor, tag)) ?? tag;

/**
 * What to do about a hello. `sent` is the cursor of the connection, `memory` what was remembered
 * when this document started: what a newer document of the same address wrote since says nothing
 * about this one.
 */
export const answerHello = (
  hello: Hello,
  sent: string,
  memory: Memory,
  resumed: boolean,
): HelloAnswer => {
  if (!hello.reload) return 'follow';
  const known = memory.cursors.find((cursor) => bootOf(cursor) === hello.boot);
  if (!known || bootOf(sent) === hello.boot) return 'reload';
  return resumed ? 'stay' : (known as HelloAnswer);
};

/** How many quick reloads in a row a reload now would make. `age`: of the document, milliseconds. */
export const nextStreak = (memory: Memory, now: number, age: number, active: boolean): number =>
  age > HASTE || active ? 0 : 1 + (now - age - memory.at > FORGET ? 0 : memory.streak);

/**
 * Milliseconds of quiet before a reload, or undefined for none. A page that changes a watched file
 * whenever it is loaded would reload for ever, so after some quick reloads the next ones wait, longer
 * each time, and the one after those is refused. A burst of saves ends with its last one shown, unless
 * a save follows upon the heels of each of these reloads, too.
 */
export const pauseOf = (streak: number): number | undefined =>
  streak <= QUICK_RELOADS ? 0 : streak <= LAST_RELOAD ? HASTE * (streak - QUICK_RELOADS) : undefined;

/** For a tab without a storage: a page that came by a reload is not reloaded again in haste. */
export const unremembered = (reloaded: boolean, now: number): Memory => ({
  at: now,
  streak: reloaded ? LAST_RELOAD : 0,
  cursors: [],
});

type Store = Pick<Storage, 'getItem' | 'setItem'>;

const keyOf = (address: string): string => `starlette-hot-reload ${address}`;

/** Of the places that the page was scrolled to when it was reloaded. */
export const scrollKeyOf = (address: string): string => `${keyOf(address)} scroll`;

export const isScrolled = (store: Store, address: string): boolean =>
  !!store.getItem(scrollKeyOf(address));

export const recall = (store: Store, address: string): Memory => {
  const [at, streak, ...cursors] = (store.getItem(keyOf(address)) ?? '0 0').split(' ');
  return { at: +at! || 0, streak: +streak! || 0, cursors };
};

/** Remembers that `address` is reloaded for `cursor`; throws where the storage does. */
export const remember = (
  store: Store,
  address: string,
  cursor: string,
  at: number,
  streak: number,
): void => {
  const cursors = recall(store, address).cursors.filter((old) => bootOf(old) !== bootOf(cursor));
  store.setItem(keyOf(address), [at, streak, ...cursors.slice(1 - BOOTS), cursor].join(' '));
};
