// Where the tag goes, by the parsers of real browsers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './harness.mjs';
import { compareInPage, sample } from './placement-browsers.mjs';

let chrome;
before(async () => {
  chrome = await launch();
});
after(() => chrome?.close());

const TOGETHER = 200;

/** A driver hands over one message a time: not all documents at once. */
const compareAll = async (evaluate) => {
  const { tag, documents } = sample();
  const wrong = [];
  for (let index = 0; index < documents.length; index += TOGETHER)
    wrong.push(...(await evaluate(compareInPage, tag, documents.slice(index, index + TOGETHER))));
  assert.ok(documents.length >= 150, `${documents.length} documents`);
  assert.equal(wrong.length, 0, wrong.slice(0, 10).join('\n'));
  return documents;
};

test('chromium: the tag changes nothing but itself', { timeout: 120_000 }, async (t) => {
  const page = await chrome.newPage();
  const documents = await compareAll((run, ...given) => page.evaluate(run, ...given));
  const size = documents.reduce((sum, { text }) => sum + text.length, 0);
  t.diagnostic(`${documents.length} documents, ${size} characters`);
});
