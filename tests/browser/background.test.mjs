// A tab that is not looked at while files are saved, since another tab is. BACKGROUND_SECONDS says for
// how long: browsers slow its timers down at once, and further when it has been hidden for longer.
import assert from 'node:assert/strict';
import { setTimeout as pass } from 'node:timers/promises';
import { everywhere, html, until } from './harness.mjs';

const SECONDS = Number(process.env.BACKGROUND_SECONDS ?? 2);
const TIMEOUT = 60_000 + SECONDS * 1000;

const red = (level) => `rgb(${level}, 0, 0)`;

const writeColor = (site, level) => site.write('static/site.css', `p { color: ${red(level)} }`);

const writeText = (site, text) =>
  site.write('templates/index.html', html(`<p id="text">${text}</p>`));

const ways = {
  'as the browser shares it': '',
  'without workers': 'delete window.SharedWorker;',
};

everywhere((check) => {
  for (const [way, first] of Object.entries(ways))
    check(`a tab in the background, its stream ${way}: in front again it shows what is newest, each save once`, { 'first.js': first }, async ({ site, open }) => {
      const tab = await open('/');
      const other = await open('/', { beside: tab });
      await other.front();
      await until('the tab is hidden', () => tab.evaluate(() => document.hidden));
      writeText(site, 'second');
      await other.shows('#text', 'second');
      await other.connected(2);
      // Hidden, it is reloaded all the same; a style that comes first would come with the document.
      await tab.connected(2);
      await pass(SECONDS * 1000);
      writeColor(site, 2);
      await other.styled('#text', red(2));
      await tab.front();
      await tab.shows('#text', 'second');
      await tab.styled('#text', red(2));
      await tab.connected(2);
      // Nothing is left to come: what is saved now is the third and last of all updates.
      writeColor(site, 3);
      await tab.styled('#text', red(3));
      // A line may come after what it tells of.
      await tab.says('[hot reload] swapped', 2);
      assert.equal(await tab.said('[hot reload] reload'), 1);
      assert.equal(await tab.said('[hot reload] swapped'), 2);
      assert.equal(await tab.documents(), 2);
    }, TIMEOUT);
});
