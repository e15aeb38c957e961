import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answerHello,
  nextStreak,
  ownCursor,
  pauseOf,
  recall,
  remember,
  unremembered,
  HASTE,
  type Memory,
} from '../src/memory';
import { bootOf } from '../src/wire';
import { at } from './cursors';

const memory = (...cursors: string[]): Memory => ({ at: 0, streak: 0, cursors });

const hello = (cursor: string, reload = true) => ({ boot: bootOf(cursor), cursor, reload });

const store = () => {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
  };
};

test('the own cursor is the later of the tag and what was reloaded for', () => {
  assert.equal(ownCursor(at('a', 5), memory()), at('a', 5));
  assert.equal(ownCursor(at('a', 5), memory(at('b', 9), at('a', 7))), at('a', 7));
  assert.equal(ownCursor(at('a', 8), memory(at('b', 9), at('a', 7))), at('a', 8));
});

test('a hello without a reload is followed', () => {
  assert.equal(answerHello(hello(at('a', 9), false), at('a', 5), memory(), false), 'follow');
});

test('another boot reloads, unless this page was reloaded for it', () => {
  assert.equal(answerHello(hello(at('b', 9)), at('a', 5), memory(), false), 'reload');
  assert.equal(answerHello(hello(at('b', 9)), at('a', 5), memory(at('a', 3)), false), 'reload');
  assert.equal(answerHello(hello(at('b', 9)), at('a', 5), memory(at('b', 7)), false), at('b', 7));
});

test('two boots that answer in turn end in neither a reload nor a new connection', () => {
  const both = memory(at('a', 3), at('b', 7));
  assert.equal(answerHello(hello(at('a', 9)), at('b', 7), both, true), 'stay');
});

test('a journal that no longer reaches back reloads', () => {
  assert.equal(answerHello(hello(at('a', 99)), at('a', 5), memory(at('a', 5)), true), 'reload');
});

test('what was reloaded for is remembered by address, one cursor a boot', () => {
  const kept = store();
  remember(kept, '/x?a b', at('a', 1), 10, 1);
  remember(kept, '/x?a b', at('b', 2), 20, 2);
  remember(kept, '/x?a b', at('a', 3), 30, 0);
  assert.deepEqual(recall(kept, '/x?a b'), {
    at: 30,
    streak: 0,
    cursors: [at('b', 2), at('a', 3)],
  });
  assert.deepEqual(recall(kept, '/y'), memory());
});

test('the memory of an address is bounded', () => {
  const kept = store();
  for (let n = 0; n < 16; n++) remember(kept, '/', at(n.toString(16), n), n, 0);
  const { cursors } = recall(kept, '/');
  assert.equal(cursors.length, 8);
  assert.equal(cursors[7], at('f', 15));
  assert.equal(cursors[0], at('8', 8));
});

test('what is stored by someone else is survived', () => {
  const kept = store();
  remember(kept, '/', at('a', 1), 1, 0);
  for (const key of kept.items.keys()) kept.items.set(key, 'x y z');
  const strange = recall(kept, '/');
  assert.equal(ownCursor(at('a', 5), strange), at('a', 5));
  assert.equal(pauseOf(nextStreak(strange, 100, 10, false)), 0);
});

test('only reloads right after a load, one after the other, make a streak', () => {
  const last = { at: 100_000, streak: 3, cursors: [] };
  assert.equal(nextStreak(last, 101_000, 500, false), 4);
  assert.equal(nextStreak(last, 101_000, HASTE + 1, false), 0);
  assert.equal(nextStreak(last, 101_000, 500, true), 0);
  assert.equal(nextStreak(last, 200_000, 500, false), 1);
});

test('a streak slows down, and ends', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(pauseOf), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual([6, 7].map(pauseOf), [HASTE, 2 * HASTE]);
  assert.deepEqual([8, 9, 100].map(pauseOf), [undefined, undefined, undefined]);
});

test('without a storage a reloaded page is not reloaded again in haste', () => {
  const now = 5000;
  assert.equal(pauseOf(nextStreak(unremembered(true, now), now + 300, 300, false)), undefined);
  assert.equal(pauseOf(nextStreak(unremembered(true, now), now + 3000, 3000, false)), 0);
  assert.equal(pauseOf(nextStreak(unremembered(false, now), now + 300, 300, false)), 0);
});
