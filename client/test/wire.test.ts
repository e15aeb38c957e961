import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootOf, isLater } from '../src/wire';
import { at } from './cursors';

test('a cursor is later than another of its boot only', () => {
  assert.equal(bootOf(at('a', 5)), 'aaaaaaaaaaaaaaaa');
  assert.equal(isLater(at('a', 16), at('a', 9)), true);
  assert.equal(isLater(at('a', 9), at('a', 16)), false);
  assert.equal(isLater(at('a', 9), at('a', 9)), false);
  assert.equal(isLater(at('b', 16), at('a', 9)), false);
});
