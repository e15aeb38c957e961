import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, createConnection } from '../src/connection';
import { FakeSource, fakeTimers } from './fakes';

const setup = () => {
  const sources: FakeSource[] = [];
  const heard: string[] = [];
  const { timer, live, fire } = fakeTimers();
  const clock = { now: 0 };
  const connection = createConnection({
    source() {
      const source = new FakeSource();
      sources.push(source);
      return source;
    },
    hello: (data) => heard.push(`hello ${data}`),
    message: (data, cursor) => heard.push(`${cursor} ${data}`),
    lost: () => heard.push('lost'),
    timer,
    clock: () => clock.now,
    random: () => 0.5,
  });
  const last = () => sources.at(-1)!;
  const open = () => sources.filter(({ closed }) => !closed).length;
  return { connection, sources, heard, clock, live, fire, last, open };
};

test('the backoff begins at 50 ms and never exceeds 5 s, with jitter all the way', () => {
  assert.equal(backoff(0, 0), 50);
  assert.ok(backoff(0, 0.999) <= 100);
  assert.ok(backoff(3, 0) > backoff(2, 0.9));
  for (const failures of [6, 20, 5000]) {
    assert.equal(backoff(failures, 0), 2500);
    assert.ok(backoff(failures, 0.999) <= 5000);
  }
});

test('what arrives is handed on, and so is the end', () => {
  const { connection, heard, last } = setup();
  connection.open();
  last().greet('h');
  last().send('m', 'c');
  last().fail();
  assert.deepEqual(heard, ['hello h', 'c m', 'lost']);
});

test('it tries for ever, with growing pauses and one stream at a time', () => {
  const { connection, last, fire, open, sources } = setup();
  connection.open();
  let pause = 0;
  for (let n = 0; n < 50; n++) {
    last().fail();
    assert.equal(open(), 0);
    const next = fire();
    assert.ok(next >= pause);
    pause = next;
    assert.equal(open(), 1);
  }
  assert.equal(sources.length, 51);
});

test('a stream that lived for a while begins the pauses anew', () => {
  const { connection, last, fire, clock } = setup();
  connection.open();
  for (let n = 0; n < 10; n++) {
    last().fail();
    fire();
  }
  last().greet('h');
  clock.now += 2000;
  last().fail();
  assert.equal(fire(), 75);
});

test('a stream that ends as soon as it greets does not', () => {
  const { connection, last, fire } = setup();
  connection.open();
  for (let n = 0; n < 10; n++) {
    last().greet('h');
    last().fail();
    fire();
  }
  last().greet('h');
  last().fail();
  assert.equal(fire(), 600);
});

test('a greeting forgives the many failures before it, but not the last few', () => {
  const { connection, last, fire } = setup();
  connection.open();
  for (let n = 0; n < 10; n++) {
    last().fail();
    fire();
  }
  last().greet('h');
  last().fail();
  assert.equal(fire(), 600);
  last().fail();
  assert.equal(fire(), 1200);
});

test('a wake ends a wait, and only a wait', () => {
  const { connection, last, live, sources } = setup();
  connection.open();
  connection.wake();
  assert.equal(sources.length, 1);
  last().fail();
  connection.wake();
  assert.equal(sources.length, 2);
  assert.equal(live().length, 0);
});

test('a closed connection stays closed until it is woken', () => {
  const { connection, last, live, sources, open } = setup();
  connection.open();
  connection.close();
  last().fail();
  assert.equal(live().length, 0);
  assert.equal(open(), 0);
  connection.wake();
  assert.equal(sources.length, 2);
});

test('closing ends a wait', () => {
  const { connection, last, live } = setup();
  connection.open();
  last().fail();
  connection.close();
  assert.equal(live().length, 0);
});

test('a stream that was replaced is not heard any more', () => {
  const { connection, sources, heard, live, open } = setup();
  connection.open();
  connection.open();
  sources[0]!.greet('old');
  sources[0]!.send('old', 'c');
  sources[0]!.fail();
  assert.deepEqual(heard, []);
  assert.equal(live().length, 0);
  assert.equal(open(), 1);
});
