import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTeller } from '../src/tell';
import { fakeTimers, settled } from './fakes';

const setup = (answer: () => Promise<number>) => {
  const told: { stream: string; pages: string[] }[] = [];
  const pages = ['/a'];
  const { timer, live, fire } = fakeTimers();
  const teller = createTeller({
    pages: () => [...pages],
    post(body) {
      told.push(JSON.parse(body));
      return answer();
    },
    timer,
  });
  return { teller, told, pages, live, fire };
};

test('nothing is told unless the server asks', () => {
  const { teller, told, live } = setup(async () => 202);
  teller.changed();
  assert.deepEqual([told, live()], [[], []]);
});

test('a server that asks is told, and from then on of what changes, at most now and then', async () => {
  const { teller, told, pages, live, fire } = setup(async () => 202);
  teller.ask('s');
  await settled();
  assert.deepEqual(told, [{ stream: 's', pages: ['/a'] }]);
  pages.push('/b');
  teller.changed();
  teller.changed();
  assert.equal(live().length, 1);
  fire();
  assert.deepEqual(told.at(-1), { stream: 's', pages: ['/a', '/b'] });
  await settled();
  teller.changed();
  assert.equal(live().length, 1);
});

for (const status of [204, 404, 403, 500])
  test(`a server that answers ${status} is not told again until it asks`, async () => {
    const { teller, told, live } = setup(async () => status);
    teller.ask('s');
    await settled();
    teller.changed();
    assert.equal(live().length, 0);
    teller.ask('s');
    assert.equal(told.length, 2);
  });

test('a server that has lost interest before the time has come is not told', async () => {
  const statuses = [202, 204];
  const { teller, told, fire } = setup(async () => statuses.shift()!);
  teller.ask('s');
  await settled();
  teller.changed();
  teller.ask('s');
  await settled();
  fire();
  assert.equal(told.length, 2);
});

test('an answer that comes late does not end what a later stream has asked', async () => {
  const answers: ((status: number) => void)[] = [];
  const { teller, live } = setup(() => new Promise((done) => answers.push(done)));
  teller.ask('old');
  teller.ask('new');
  answers[1]!(202);
  answers[0]!(404);
  await settled();
  teller.changed();
  assert.equal(live().length, 1);
});

test('a server that cannot be reached is told the next time', async () => {
  const { teller, live } = setup(() => Promise.reject(new Error('offline')));
  teller.ask('s');
  await settled();
  teller.changed();
  assert.equal(live().length, 1);
});
