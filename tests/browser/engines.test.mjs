import assert from 'node:assert/strict';
import { everywhere, html } from './harness.mjs';

const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

everywhere((check, engine) => {
  check('a saved stylesheet restyles, a saved template reloads', {}, async ({ site, open }) => {
    const tab = await open('/');
    await tab.styled('#text', 'rgb(1, 0, 0)');
    site.write('static/site.css', 'p { color: rgb(200, 0, 0) }');
    await tab.styled('#text', 'rgb(200, 0, 0)');
    assert.equal(await tab.documents(), 1);
    site.write('templates/index.html', html('<p id="text">second</p>'));
    await tab.shows('#text', 'second');
    await tab.styled('#text', 'rgb(200, 0, 0)');
    await tab.connected(2);
    assert.equal(await tab.documents(), 2);
    const picture = await tab.screenshot(`${engine.name}`);
    assert.deepEqual(picture.subarray(0, PNG.length), PNG);
  });
});
