import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestMatches, planUse } from '../src/match';
import type { Change } from '../src/wire';

const css = (path: string, url: string | null = null, op: Change['op'] = 'modified'): Change => ({
  path,
  url,
  kind: 'css',
  op,
});

const used = (paths: string[], ...changes: Change[]): string[] =>
  [...planUse(paths, changes).use].map((index) => paths[index]!);

test('a url matches the whole path', () => {
  assert.deepEqual(
    bestMatches(['/static/site.css', '/static/admin.css'], 'x', '/static/site.css'),
    [0],
  );
  assert.deepEqual(bestMatches(['/static/mysite.css', '/site.css'], 'x', '/static/site.css'), []);
});

test('a url matches below the prefix of a proxy, if there is no exact match', () => {
  assert.deepEqual(bestMatches(['/app/static/site.css'], 'x', '/static/site.css'), [0]);
  assert.deepEqual(
    bestMatches(['/app/static/site.css', '/static/site.css'], 'x', '/static/site.css'),
    [1],
  );
});

test('a file without a url matches by its longest common tail of whole segments', () => {
  const paths = ['/assets/site.css', '/assets/css/site.css', '/other/css/site.css', '/mysite.css'];
  assert.deepEqual(bestMatches(paths, 'web/assets/css/site.css', null), [1]);
  assert.deepEqual(bestMatches(paths, 'src/css/site.css', null), [1, 2]);
  assert.deepEqual(bestMatches(paths, 'site.css', null), [0, 1, 2]);
  assert.deepEqual(bestMatches(paths, 'src/te.css', null), []);
});

test('all links of one sheet are used', () => {
  assert.deepEqual(bestMatches(['/a.css', '/b.css', '/a.css'], 'a.css', '/a.css'), [0, 2]);
});

test('nothing matches on a page without sheets', () => {
  assert.deepEqual(bestMatches([], 'site.css', null), []);
  assert.deepEqual(bestMatches(['', ''], 'site.css', '/site.css'), []);
});

test('a removed sheet is kept; an added one is used', () => {
  assert.deepEqual(used(['/site.css'], css('site.css', '/site.css', 'removed')), []);
  assert.deepEqual(used(['/site.css'], css('site.css', '/site.css', 'added')), ['/site.css']);
});

test('a new build under a name with another hash reloads', () => {
  const paths = ['/static/site-0a1b2c3d.css'];
  const plan = (path: string, op: Change['op'] = 'added') =>
    planUse(paths, [css(`static/${path}`, `/static/${path}`, op)]).reload;
  assert.equal(plan('site-4e5f6a7b.css'), true);
  assert.equal(plan('site-4e5f6a7b.css', 'modified'), false);
  assert.equal(plan('admin-4e5f6a7b.css'), false);
  assert.equal(plan('site-mobile.css'), false);
  assert.equal(plan('site-0a1b2c3d.css'), false);
  assert.equal(
    planUse(['/static/out.4e5f6a.css'], [css('out.77aa88.css', null, 'added')]).reload,
    true,
  );
});

test('a new sheet beside one without a hash causes nothing', () => {
  const plan = planUse(['/static/site.css'], [css('static/site-4e5f6a7b.css', null, 'added')]);
  assert.deepEqual(plan, { use: new Set(), reload: false });
});

test('a file with two addresses is used where it is, and asks for nothing where it is not', () => {
  const at = (name: string, op: Change['op']): Change[] => [
    css(`css/${name}`, `/css/${name}`, op),
    css(`css/${name}`, `/static/css/${name}`, op),
  ];
  for (const prefix of ['/css', '/static/css']) {
    const paths = [`${prefix}/site.css`, `${prefix}/admin-1a2b3c4d.css`];
    assert.deepEqual(used(paths, ...at('site.css', 'modified')), [`${prefix}/site.css`]);
    const added = planUse(paths, at('admin-1a2b3c4d.css', 'added'));
    assert.deepEqual(added, { use: new Set([1]), reload: false });
    const built = planUse(paths, at('admin-9f8e7d6c.css', 'added'));
    assert.deepEqual(built, { use: new Set(), reload: true });
  }
  const elsewhere = planUse(['/vendor/site.css'], at('site.css', 'modified'));
  assert.deepEqual(elsewhere, { use: new Set(), reload: false });
});
