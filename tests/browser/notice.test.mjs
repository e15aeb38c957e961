// The badge: there while something is wrong, and nothing of the page's otherwise.
import assert from 'node:assert/strict';
import { everywhere, html, until } from './harness.mjs';

const page = html(
  '<p id="text">first</p><input autofocus><button>after</button>',
  `
<style>
  html, body { margin: 0; height: 100% }
  * { color: red !important; display: block !important; transform: translate(5px) !important }
  body ~ * { border: 50px solid !important }
</style>`,
);

const badges = (tab) => tab.evaluate(() => document.querySelectorAll('hot-reload-notice').length);

const isThere = (tab, count) =>
  until(`${count} badges`, async () => {
    const now = await badges(tab);
    return now === count || now;
  });

const layout = () => ({
  width: document.documentElement.scrollWidth,
  height: document.documentElement.scrollHeight,
  body: JSON.stringify(document.body.getBoundingClientRect()),
  focused: document.activeElement.localName,
});

everywhere((check, engine) => {
  check(
    'it is there while the server is away, and changes nothing of the page',
    { 'templates/index.html': page },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.canTell();
      await tab.evaluate(() => document.querySelector('input').focus());
      assert.equal(await badges(tab), 0);
      const before = await tab.evaluate(layout);
      await site.stop();
      await isThere(tab, 1);
      assert.deepEqual(await tab.evaluate(layout), before);
      const badge = await tab.evaluate(() => {
        const host = document.querySelector('hot-reload-notice');
        const { left, top, right, bottom, width, height } = host.getBoundingClientRect();
        const style = getComputedStyle(host);
        return {
          isSmall: width > 20 && width < 500 && height > 10 && height < 100,
          isInside: left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight,
          isOnTop: document.elementFromPoint((left + right) / 2, (top + bottom) / 2) === host,
          isApart: document.elementFromPoint(innerWidth / 2, 5) !== host,
          isClosed: host.shadowRoot === null,
          style: [style.position, style.transform, style.borderTopWidth],
        };
      });
      assert.deepEqual(badge, {
        isSmall: true,
        isInside: true,
        isOnTop: true,
        isApart: true,
        isClosed: true,
        style: ['fixed', 'none', '0px'],
      });
      await tab.screenshot(`${engine.name}-notice`);
      await site.start();
      await isThere(tab, 0);
    },
  );

  check(
    'it is no stop on the way through the page, and can be dismissed',
    { 'templates/index.html': html('<p id="text">first</p><input>') },
    async ({ site, open, t }) => {
      const tab = await open('/');
      await tab.canTell();
      await tab.evaluate(() => document.querySelector('input').focus());
      await site.stop();
      await isThere(tab, 1);
      if (!tab.page) return t.diagnostic('keys and clicks cannot be made in this engine');
      await tab.page.keyboard.press('Tab');
      assert.notEqual(
        await tab.evaluate(() => document.activeElement.localName),
        'hot-reload-notice',
      );
      await tab.evaluate(() => document.querySelector('input').focus());
      const [x, y] = await tab.evaluate(() => {
        const { right, top, bottom } = document
          .querySelector('hot-reload-notice')
          .getBoundingClientRect();
        return [right - 14, (top + bottom) / 2];
      });
      await tab.page.mouse.click(x, y);
      await isThere(tab, 0);
      assert.equal(await tab.evaluate(() => document.activeElement.localName), 'input');
    },
  );
});
