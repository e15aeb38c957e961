// Where the tag goes, by the parsers of real browsers.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ENGINES, Tab } from './harness.mjs';
import { compareInPage, sample } from './placement-browsers.mjs';

/** How many documents a driver is given in one message. */
const TOGETHER = 200;

const { tag, documents } = sample();

test('the sample is of every kind', () => {
  assert.ok(documents.length >= 150, `${documents.length} documents`);
});

for (const engine of ENGINES) {
  after(() => engine.close());

  test(`${engine.name}: the tag changes nothing but itself`, { timeout: 120_000 }, async () => {
    const tab = await Tab.open(engine);
    const wrong = [];
    for (let begin = 0; begin < documents.length; begin += TOGETHER) {
      const some = documents.slice(begin, begin + TOGETHER);
      wrong.push(...(await tab.evaluate(compareInPage, tag, some)));
    }
    await tab.close();
    assert.equal(wrong.length, 0, wrong.slice(0, 10).join('\n'));
  });
}
