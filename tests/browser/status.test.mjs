// The status page, as a person sees it while pages of the site are open beside it.
import assert from 'node:assert/strict';
import { everywhere, until } from './harness.mjs';

const STATUS = '/__starlette_hot_reload';
const HOSTILE = '<img src=x onerror=alert(1)>.css';

const texts = (tab, selector) =>
  tab.evaluate(
    (wanted) => [...document.querySelectorAll(wanted)].map(({ textContent }) => textContent.trim()),
    selector,
  );

/** The page may not be there yet. */
const state = (tab, wanted) =>
  until(`the state is ${wanted}`, async () => {
    const [found] = await texts(tab, '#state');
    return found === wanted || found;
  });

/** Opens it next to the other tabs, whose browser need not be the same one. */
const look = async (site, open) => {
  const tab = await open();
  await tab.go(site.url + STATUS);
  await state(tab, 'Watching natively');
  return tab;
};

const lists = (tab, selector, wanted) =>
  until(`${selector} holds ${wanted}`, async () => {
    const found = await texts(tab, selector);
    return found.includes(wanted) || found;
  });

everywhere((check, engine) => {
  check('the status shows saves and pages as they come and go', {}, async ({ site, open }) => {
    const page = await open('/');
    const status = await look(site, open);
    assert.deepEqual(await texts(status, '#roots tr td:first-child code'), [
      'templates',
      'static',
      'notes',
    ]);
    await lists(status, '#streams li ul li', 'this page');
    await lists(status, '#streams a', '/');

    site.write('static/site.css', 'p { color: rgb(2, 0, 0) }');
    await lists(status, '#batches code', 'static/site.css');
    await lists(status, '#batches b', 'swap');
    await page.styled('#text', 'rgb(2, 0, 0)');
    site.write(`static/${HOSTILE}`, '');
    await lists(status, '#batches code', `static/${HOSTILE}`);
    assert.equal(await status.evaluate(() => document.querySelectorAll('img').length), 0);

    await page.visit(`${site.url}/index?second`);
    await lists(status, '#streams a', '/index?second');
    await status.screenshot(`${engine.name}-status`);
    // WebKit's sessions are lent: nothing is closed there.
    if (engine.name !== 'webkit') {
      await page.close();
      await until('the page has gone', async () => {
        const links = await texts(status, '#streams a');
        return !links.length || links;
      });
    }
    assert.deepEqual(await status.lines(), [], 'the console is silent');
  });

  check('the status outlives its server', {}, async ({ site, open }) => {
    const status = await look(site, open);
    await site.stop();
    await state(status, 'The server is away');
    await site.start();
    await state(status, 'Watching natively');
  });

  check('the status can be read by whoever reads it, and however', {}, async ({ site, open }) => {
    const status = await look(site, open);
    const { page } = status;
    const found = await status.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title.startsWith('Hot reload · '),
      landmarks: ['header', 'main', 'footer'].map((tag) => document.querySelectorAll(tag).length),
      headings: [...document.querySelectorAll('h1, h2')].map(({ tagName }) => tagName[1]),
      unnamed: [...document.querySelectorAll('section')].filter(
        (one) => !document.getElementById(one.getAttribute('aria-labelledby'))?.textContent,
      ).length,
      headless: [...document.querySelectorAll('th')].filter(({ scope }) => scope !== 'col').length,
      mark: document.querySelectorAll('[role=status]').length,
      inline: document.querySelectorAll('style, script:not([src])').length,
    }));
    assert.equal(found.lang, 'en');
    assert.ok(found.title);
    assert.deepEqual(found.landmarks, [1, 1, 1]);
    assert.equal(found.headings.join('').replace(/2+$/, ''), '1');
    assert.deepEqual([found.unnamed, found.headless, found.mark, found.inline], [0, 0, 1, 0]);
    const isSideways = await status.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
    );
    assert.equal(isSideways, false);
    // Elsewhere a driver cannot ask for a scheme.
    if (engine.name !== 'chromium') return;
    const pictures = [];
    for (const [width, height] of [
      [1180, 900],
      [390, 844],
    ])
      for (const value of ['light', 'dark']) {
        await page.setViewport({ width, height });
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
        pictures.push(await status.screenshot(`status-${value}-${width}`));
      }
    assert.ok(!pictures[0].equals(pictures[1]) && !pictures[2].equals(pictures[3]));
  });
});
