import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFonts, replaceFace, type MarkOf } from '../src/fonts';
import { visitSheet, type Face } from '../src/images';
import { FakeSheet, ORIGIN, openPage, type FakeFace, type Page } from './cssom';
import { settled } from './fakes';

const none: MarkOf = () => undefined;
const two: MarkOf = (resource) => (resource === `${ORIGIN}/a.ttf` ? '2' : undefined);
const FACE = '@font-face { font-family: "A B"; src: url("/a.ttf"); }';

const facesOf = (sheet: FakeSheet): Face[] => {
  const faces: Face[] = [];
  visitSheet(sheet as never, sheet.href ?? `${ORIGIN}/`, { face: (face) => void faces.push(face) });
  return faces;
};

/** A page whose text is shown in the faces of its sheet. */
const shown = async (css = FACE): Promise<Page & { found: Face[]; old: FakeFace[] }> => {
  const page = openPage(`<style>${css}</style>`);
  const old = page.faces();
  for (const face of old) void face.load();
  page.network.answer('');
  await settled();
  page.network.asked.length = 0;
  return { ...page, found: facesOf(page.sheet('style')), old };
};

test('a face of a rule is put in anew, at its place, with the marked address', () => {
  openPage('');
  const sheet = new FakeSheet(`p { color: red; } ${FACE} q { color: red; }`);
  replaceFace(facesOf(sheet)[0]!, two);
  assert.deepEqual(
    sheet.cssRules.map(({ cssText }) => cssText),
    [
      'p { color: red; }',
      '@font-face { font-family: "A B"; src: url("/a.ttf?hot-reload=2"); }',
      'q { color: red; }',
    ],
  );
});

test('a face within a group stays in it', () => {
  openPage('');
  const sheet = new FakeSheet(`@media screen { q { color: red; } ${FACE} }`);
  replaceFace(facesOf(sheet)[0]!, two);
  const [group, ...others] = sheet.cssRules;
  assert.deepEqual(others, []);
  assert.match(group!.cssRules![1]!.cssText, /hot-reload=2/);
  assert.equal(group!.cssRules!.length, 2);
});

test('a rule that needs no mark, or was taken out, is not touched', () => {
  openPage('');
  const sheet = new FakeSheet(FACE);
  const [face] = facesOf(sheet);
  const [rule] = sheet.cssRules;
  replaceFace(face!, none);
  assert.equal(sheet.cssRules[0], rule);
  sheet.deleteRule(0);
  replaceFace(face!, two);
  assert.equal(sheet.cssRules.length, 0);
});

test('a face is loaded where text is shown in it, however the engine writes it', async () => {
  const page = await shown(
    `@font-face { font-family: 'A B'; font-weight: 700; unicode-range: u+41-5a; src: url(/a.ttf) }
     @font-face { font-family: 'A B'; font-weight: 400; unicode-range: u+41-5a; src: url(/b.ttf) }`,
  );
  page.old[1]!.status = 'unloaded';
  const { isLoaded } = createFonts(page.document);
  assert.deepEqual(page.found.map(isLoaded), [true, false]);
});

test('where no text is shown in a face, nothing is loaded and the task runs at once', () => {
  const page = openPage(`<style>${FACE}</style>`);
  const { hold } = createFonts(page.document);
  let ran = false;
  hold(facesOf(page.sheet('style')), two, (release) => {
    ran = true;
    release();
  });
  assert.equal(ran, true);
  assert.deepEqual(page.network.asked, []);
  assert.equal(page.added.size, 0);
});

test('the new face is loaded and stands in before the rule is replaced, until the rule has it', async () => {
  const page = await shown();
  const { hold } = createFonts(page.document);
  const releases: (() => void)[] = [];
  hold(page.found, two, (release) => {
    releases.push(release);
    replaceFace(page.found[0]!, two);
  });
  assert.equal(releases.length, 0, 'it waits');
  assert.deepEqual(page.network.asked, ['/a.ttf?hot-reload=2']);
  page.network.answer('/a.ttf');
  await settled();
  assert.equal(releases.length, 1, 'it ran');
  const [standing] = page.added;
  assert.equal(standing!.family, '"A B"');
  assert.equal(standing!.status, 'loaded');

  releases[0]!();
  await settled();
  assert.deepEqual([...page.added], [standing], 'until the face of the rule is loaded');
  page.network.answer('/a.ttf');
  await settled();
  assert.equal(page.added.size, 0);
  assert.deepEqual(
    page.faces().map(({ status }) => status),
    ['loaded'],
  );
});

test('a font that fails to load does not stand in, and does not stop the task', async () => {
  const page = await shown();
  const { hold } = createFonts(page.document);
  const standing: number[] = [];
  hold(page.found, two, (release) => {
    standing.push(page.added.size);
    release();
  });
  page.network.refuse('/a.ttf');
  await settled();
  assert.deepEqual(standing, [0]);
});

test('a face that stands in is resolved against its sheet and has all descriptors', async () => {
  const page = await shown(
    `@font-face { font-family: A; font-weight: 700; unicode-range: U+41; src: url(/a.ttf) }`,
  );
  const { hold } = createFonts(page.document);
  hold([{ ...page.found[0]!, base: `${ORIGIN}/css/site.css` }], none, () => undefined);
  page.network.answer('/a.ttf');
  await settled();
  const [{ source, weight, unicodeRange }] = [...page.added] as [FakeFace];
  assert.deepEqual([source, weight, unicodeRange], [`url("${ORIGIN}/a.ttf")`, '700', 'U+41']);
});

test('what is loaded already stands in at once, and is not loaded again', async () => {
  const page = await shown();
  const { hold } = createFonts(page.document);
  hold(page.found, two, (release) => release());
  page.network.answer('/a.ttf');
  await settled();
  page.network.asked.length = 0;
  let ran = false;
  hold(page.found, two, () => (ran = true));
  assert.equal(ran, true);
  assert.deepEqual(page.network.asked, []);
});

test('a face of another mark is loaded anew', async () => {
  const page = await shown();
  const { hold } = createFonts(page.document);
  hold(page.found, two, (release) => release());
  page.network.answer('/a.ttf');
  await settled();
  hold(page.found, () => '3', () => undefined);
  assert.deepEqual(page.network.asked.slice(-1), ['/a.ttf?hot-reload=3']);
});

test('the faces that stand in stay until the last of two holds is released', async () => {
  const page = await shown();
  const { hold } = createFonts(page.document);
  const releases: (() => void)[] = [];
  hold(page.found, two, (release) => releases.push(release));
  page.network.answer('/a.ttf');
  await settled();
  hold(page.found, two, (release) => releases.push(release));
  assert.equal(releases.length, 2);
  releases[0]!();
  await settled();
  assert.equal(page.added.size, 1);
  releases[1]!();
  await settled();
  assert.equal(page.added.size, 0);
});
