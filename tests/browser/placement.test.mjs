// Where the tag goes: a document with the tag is the same document, and the tag runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PACKAGES,
  handMadeDocuments,
  html5lib,
  html5libMissing,
  pages,
  randomDocuments,
} from './placement-documents.mjs';
import { LIMIT, inject } from './placement-inject.mjs';
import { reasonToLeave, showsDocument, tagDifference } from './placement-tree.mjs';

const excerpt = ({ name, data }) => `${name}: ${JSON.stringify(data.toString().slice(0, 200))}`;

/** Documents that the injector has looked at, whole: { documents, tag, places }. */
const place = (documents) => {
  const { tag, answers } = inject(documents.map(({ data }) => data));
  return { documents, tag, places: answers.map((answer) => answer.place) };
};

/** What is wrong with a document that is left untouched, or that gets the tag. */
const wrongs = (document, at, tag) => {
  const reason = reasonToLeave(document.data);
  if (at < 0) return reason ? [] : ['left untouched for no reason'];
  if (reason && reason !== 'cut off') return [`not left untouched: ${reason}`];
  return document.scripting
    .map((scripting) => tagDifference(document.data, at, tag, scripting))
    .filter((difference) => difference !== undefined);
};

/**
 * Parses every document with and without the tag; those that are left untouched must have a reason.
 * Returns how many of each outcome there were.
 */
const checkTrees = ({ documents, tag, places }) => {
  const found = [];
  const count = { right: 0, untouched: {}, differ: 0 };
  for (const [index, document] of documents.entries()) {
    const wrong = wrongs(document, places[index], tag);
    found.push(...wrong.map((what) => `at ${places[index]}: ${what}: ${excerpt(document)}`));
    if (wrong.length) {
      count.differ++;
    } else if (places[index] < 0) {
      const reason = reasonToLeave(document.data);
      count.untouched[reason] = (count.untouched[reason] ?? 0) + 1;
    } else {
      count.right++;
    }
  }
  assert.equal(count.differ, 0, found.slice(0, 10).join('\n'));
  return count;
};

/** Looked at in pieces the places are the same. Returns the most that was looked at. */
const checkPieces = ({ documents, places }, pieces) => {
  let most = 0;
  for (const piece of pieces) {
    const { answers } = inject(
      documents.map(({ data }) => data),
      { piece },
    );
    for (const [index, answer] of answers.entries())
      assert.equal(answer.place, places[index], `by ${piece}: ${excerpt(documents[index])}`);
    if (piece === 1) most = answers.reduce((longest, { fed }) => Math.max(longest, fed), 0);
  }
  assert.ok(most > 0 && most <= LIMIT, `${most} bytes were looked at`);
  return most;
};

/**
 * Where the request does not say so, only what shows that it is a document gets the tag. A parser
 * drops the tag that a document is cut off in, so that one may have shown it or not.
 */
const checkDoubt = ({ documents, places }) => {
  const { answers } = inject(
    documents.map(({ data }) => data),
    { certain: false },
  );
  for (const [index, document] of documents.entries()) {
    const allowed = [showsDocument(document.data) ? places[index] : -1];
    if (reasonToLeave(document.data) === 'cut off') allowed.push(-1, places[index]);
    assert.ok(allowed.includes(answers[index].place), excerpt(document));
  }
};

const check = (t, documents, pieces = [1, 2, 3, 7]) => {
  const placed = place(documents);
  const count = checkTrees(placed);
  checkDoubt(placed);
  t.diagnostic(`${JSON.stringify(count)}, at most ${checkPieces(placed, pieces)} bytes looked at`);
  return count;
};

test('the tag is one element on one line, whatever is in it', () => {
  const { tag } = inject([]);
  assert.match(tag.toString(), /^<script data-cursor="[^"\n\r]*" async="" [^<>\n\r]*><\/script>$/);
});

test(
  "it changes nothing but itself in html5lib's tree-construction cases",
  { skip: html5libMissing },
  (t) => {
    const documents = html5lib();
    assert.ok(documents.length > 800, `${documents.length} cases`);
    check(t, documents);
  },
);

for (const name of Object.keys(PACKAGES))
  test(`it changes nothing but itself in the pages of ${name}`, (t) => {
    const documents = pages(name);
    const count = check(t, documents, [1]);
    assert.equal(count.right, documents.length);
  });

test('it changes nothing but itself in documents made to be difficult', (t) => {
  check(t, handMadeDocuments());
});

test('it changes nothing but itself in pieces of markup in any order', (t) => {
  check(t, randomDocuments(5000));
});
