// What a page keeps when a template is saved and `morph` is on, and what it does when it cannot.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { APP, everywhere, html, until } from './harness.mjs';

const require = createRequire(import.meta.url);
const library = (path) => readFileSync(require.resolve(path), 'utf8');

const MORPH = APP.replace('"notes"])', '"notes"], morph=True)');
const withMorph = (files = {}) => ({ 'app.py': MORPH, ...files });

/** One second of silence, made as long as asked. */
const silence = (seconds) => {
  const rate = 8000;
  const size = rate * seconds;
  const wav = Buffer.alloc(44 + size, 0x80);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + size, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate, 28);
  wav.writeUInt16LE(1, 32);
  wav.writeUInt16LE(8, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(size, 40);
  return wav;
};

const everything = (text, more = '') =>
  html(`
<h1 id="text">${text}</h1>
<form>
  <input name="typed" value="${text}">
  <textarea name="long">${text}</textarea>
  <input name="box" type="checkbox"> <input name="radio" type="radio" value="1">
  <input name="radio" type="radio" value="2">
  <select name="one"><option>a<option>b</select>
  <select name="many" multiple><option>a<option>b<option>c</select>
</form>
<div class="editable" contenteditable>${text}</div>
<details><summary>more</summary>${text}</details>
<dialog>${text}</dialog>
<div popover>${text}</div>
<div class="scroll" style="height:50px;overflow:auto"><p style="height:900px">${text}</div>
<audio src="/static/silence.wav" muted loop></audio>
<canvas width="4" height="4"></canvas>
<iframe src="/static/frame.txt"></iframe>
<hot-part>${text}</hot-part>
<p style="height:3000px">${text}</p>${more}`);

/** Brings the page into a state that no server knows of. */
const disturb = async () => {
  const $ = (selector) => document.querySelector(selector);
  window.kept = true;
  $('[name=long]').value = 'typed long';
  $('[name=box]').checked = true;
  $('[name=radio][value="2"]').checked = true;
  $('[name=one]').options[1].selected = true;
  $('[name=many]').options[0].selected = $('[name=many]').options[2].selected = true;
  $('[name=typed]').focus();
  document.execCommand('selectAll');
  document.execCommand('insertText', false, 'typed text');
  $('[name=typed]').setSelectionRange(2, 5);
  $('details').open = true;
  $('[popover]').showPopover?.();
  $('.scroll').scrollTop = 200;
  $('canvas').getContext('2d').fillRect(0, 0, 4, 4);
  $('iframe').contentWindow.kept = true;
  $('hot-part').attachShadow({ mode: 'open' }).textContent = 'inside';
  $('form').classList.add('by-script');
  $('form').append(document.createElement('output'));
  scrollTo(0, 300);
  const audio = $('audio');
  await Promise.race([
    audio.play().catch(() => undefined),
    new Promise((done) => setTimeout(done, 3000)),
  ]);
};

const kept = () => {
  const $ = (selector) => document.querySelector(selector);
  const pixel = $('canvas').getContext('2d').getImageData(0, 0, 1, 1).data[3];
  const typed = $('[name=typed]');
  return {
    'typed text': typed.value === 'typed text',
    'typed text of several lines': $('[name=long]').value === 'typed long',
    'checked box': $('[name=box]').checked,
    'checked radio button': $('[name=radio][value="2"]').checked,
    'chosen option': $('[name=one]').value === 'b',
    'several chosen options':
      [...$('[name=many]').selectedOptions].map((o) => o.value) + '' === 'a,c',
    focus: document.activeElement === typed,
    selection: typed.selectionStart === 2 && typed.selectionEnd === 5,
    'open details': $('details').open,
    'open popover': !$('[popover]').showPopover || $('[popover]').matches(':popover-open'),
    // What is above may be lower or higher than it was.
    'scroll of the page': Math.abs(scrollY - 300) < 50,
    'scroll of a box': $('.scroll').scrollTop === 200,
    'playing media': !$('audio').paused,
    'content of a canvas': pixel === 255,
    'document of an iframe': !!$('iframe').contentWindow.kept,
    'shadow root of a script': $('hot-part').shadowRoot?.textContent === 'inside',
    'class set by a script': $('form').classList.contains('by-script'),
    'element added by a script': !!$('form output'),
    'variables of scripts': !!window.kept,
  };
};

const media = {
  'static/silence.wav': silence(30),
  // No page, so that no client of its own runs in it.
  'static/frame.txt': 'frame',
};

/** An update has been shown without a navigation. */
const stayed = async (tab) => assert.equal(await tab.documents(), 1, 'no navigation');

const overlay = (tab) => tab.evaluate(() => !!document.querySelector('hot-reload-overlay'));

everywhere((check, engine) => {
  const table = {};
  check(
    'what a reload keeps',
    { ...media, 'templates/index.html': everything('first') },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(disturb);
      site.write('templates/index.html', everything('second', '<p>new</p>'));
      await tab.shows('#text', 'second');
      await tab.connected(2);
      await until(
        'the page is scrolled',
        async () => (await tab.evaluate(kept))['scroll of the page'],
      );
      table.reload = await tab.evaluate(kept);
    },
  );

  check(
    'a morph keeps all that is the page’s own',
    withMorph({ ...media, 'templates/index.html': everything('first') }),
    async ({ site, open, t }) => {
      const tab = await open('/');
      await tab.evaluate(disturb);
      const before = await tab.evaluate(kept);
      site.write('templates/index.html', everything('second', '<p>new</p>'));
      await tab.shows('#text', 'second');
      const after = await tab.evaluate(kept);
      table.morph = after;
      for (const [what, isKept] of Object.entries(after).sort()) {
        const reloaded = table.reload?.[what] ? 'yes' : 'no';
        t.diagnostic(
          `| ${what} | ${reloaded} | ${before[what] ? (isKept ? 'yes' : 'no') : 'cannot be had here'} |`,
        );
        assert.ok(isKept || !before[what], `${what} is kept`);
      }
      const shown = await tab.evaluate(() => ({
        details: document.querySelector('details').lastChild.data,
        editable: document.querySelector('.editable').textContent,
        initial: document.querySelector('[name=typed]').defaultValue,
      }));
      assert.deepEqual(shown, { details: 'second', editable: 'second', initial: 'second' });
      await stayed(tab);
    },
  );

  check(
    'a modal dialog stays open, and what is typed in it',
    withMorph({
      'templates/index.html': html('<h1 id="text">first</h1><dialog><input><p>first</dialog>'),
    }),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(() => {
        const dialog = document.querySelector('dialog');
        dialog.showModal();
        dialog.firstChild.value = 'typed';
      });
      site.write(
        'templates/index.html',
        html('<h1 id="text">second</h1><dialog><input><p>second</dialog>'),
      );
      await tab.shows('#text', 'second');
      await tab.shows('dialog p', 'second');
      const dialog = await tab.evaluate(() => {
        const dialog = document.querySelector('dialog');
        return [dialog.matches(':modal'), dialog.firstChild.value];
      });
      assert.deepEqual(dialog, [true, 'typed']);
    },
  );

  check(
    'text being written in a contenteditable is left alone',
    withMorph({
      'templates/index.html': html('<p id="text">first</p><div contenteditable>old</div>'),
    }),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(() => {
        const box = document.querySelector('[contenteditable]');
        box.focus();
        box.textContent = 'mine';
      });
      site.write(
        'templates/index.html',
        html('<p id="text">second</p><div contenteditable>new</div>'),
      );
      await tab.shows('#text', 'second');
      assert.equal(await tab.text('[contenteditable]'), 'mine');
    },
  );

  const controls = (text, options, more = '') =>
    html(
      `<p id="text">${text}</p><select name="one">${options}</select><select name="two">${options}</select>
<input name="clean" value="${text}"><input name="dirty" value="${text}"><input name="box" type="checkbox" ${more}>
<input name="other" type="checkbox" ${more}>`,
    );
  check(
    'what nobody has touched follows the server, what somebody chose stays',
    withMorph({ 'templates/index.html': controls('first', '<option>a<option>b') }),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(() => {
        const of = (name) => document.querySelector(`[name=${name}]`);
        of('one').value = 'b';
        of('dirty').value = 'mine';
        of('box').click();
        of('box').click();
      });
      site.write(
        'templates/index.html',
        controls('second', '<option>new<option>a<option selected>c<option>b', 'checked'),
      );
      await tab.shows('#text', 'second');
      const state = await tab.evaluate(() =>
        ['one', 'two', 'clean', 'dirty', 'box', 'other'].map((name) => {
          const control = document.querySelector(`[name=${name}]`);
          return control.type === 'checkbox' ? control.checked : control.value;
        }),
      );
      assert.deepEqual(state, ['b', 'c', 'second', 'mine', false, true]);
      await stayed(tab);
    },
  );

  check(
    'a form that gets a new wrapper moves with its state',
    withMorph({
      'templates/index.html': html(
        '<p id="text">first</p><form id="form"><input name="a"><iframe src="/static/frame.txt"></iframe></form>',
      ),
      'static/frame.txt': 'frame',
    }),
    async ({ site, open, t }) => {
      const tab = await open('/');
      await tab.evaluate(() => {
        const input = document.querySelector('input');
        input.value = 'typed';
        input.focus();
        document.querySelector('iframe').contentWindow.kept = true;
      });
      site.write(
        'templates/index.html',
        html(
          '<p id="text">second</p><main><form id="form"><input name="a"><iframe src="/static/frame.txt"></iframe></form></main>',
        ),
      );
      await tab.shows('#text', 'second');
      const state = await tab.evaluate(() => ({
        value: document.querySelector('main input').value,
        focused: document.activeElement?.localName,
        forms: document.forms.length,
      }));
      assert.deepEqual(state, { value: 'typed', focused: 'input', forms: 1 });
      const frame = await tab.evaluate(() => !!document.querySelector('iframe').contentWindow.kept);
      const canMove = await tab.evaluate(() => 'moveBefore' in Element.prototype);
      t.diagnostic(`moveBefore: ${canMove}, the moved iframe is kept: ${frame}`);
      assert.equal(frame, canMove);
      await stayed(tab);
    },
  );

  check(
    'the head is morphed, and stylesheets that stay are not asked for again',
    withMorph({
      'static/other.css': 'p { background-color: rgb(2, 0, 0) }',
      'templates/index.html': html('<p id="text">first</p>'),
    }),
    async ({ site, open }) => {
      const tab = await open('/');
      site.write('static/site.css', 'p { color: rgb(3, 0, 0) }');
      await tab.styled('#text', 'rgb(3, 0, 0)');
      await until('one link', () =>
        tab.evaluate(() => document.querySelectorAll('link').length === 1),
      );
      await tab.evaluate(() => {
        window.sheet = document.querySelector('link');
        window.loads = 0;
        window.sheet.addEventListener('load', () => window.loads++);
      });
      site.write(
        'templates/index.html',
        html(
          '<p id="text">second</p>',
          '<meta name="description" content="x"><link rel="stylesheet" href="/static/site.css"><link rel="stylesheet" href="/static/other.css"><style>p { margin: 7px }</style>',
        )
          .replace('<title>demo', '<title>other')
          .replace('<body', '<body class="new"')
          .replace('lang="en"', 'lang="de"'),
      );
      await tab.styled('#text', 'rgb(2, 0, 0)', 'backgroundColor');
      await tab.styled('#text', '7px', 'marginTop');
      const head = await tab.evaluate(() => ({
        title: document.title,
        lang: document.documentElement.lang,
        body: document.body.className,
        description: document.querySelector('meta[name=description]').content,
        links: document.querySelectorAll('link').length,
        isKept:
          document.querySelector('link') === window.sheet && /hot-reload=/.test(window.sheet.href),
        loads: window.loads,
        color: getComputedStyle(document.querySelector('#text')).color,
      }));
      assert.deepEqual(head, {
        title: 'other',
        lang: 'de',
        body: 'new',
        description: 'x',
        links: 2,
        isKept: true,
        loads: 0,
        color: 'rgb(3, 0, 0)',
      });
      site.write('templates/index.html', html('<p id="text">third</p>'));
      await tab.shows('#text', 'third');
      await tab.styled('#text', 'rgba(0, 0, 0, 0)', 'backgroundColor');
      await stayed(tab);
    },
  );

  check(
    'a stylesheet in the place of another: there is no frame without either',
    withMorph({
      'static/app-1.css': 'p { color: rgb(1, 0, 0) }',
      'static/app-2.css': 'p { color: rgb(2, 0, 0) }',
      'templates/index.html': html(
        '<p id="text">first</p>',
        '<link rel="stylesheet" href="/static/app-1.css">',
      ),
    }),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', 'rgb(1, 0, 0)');
      await tab.evaluate(() => {
        window.seen = new Set();
        const look = () => {
          window.seen.add(getComputedStyle(document.querySelector('#text')).color);
          requestAnimationFrame(look);
        };
        look();
      });
      site.write(
        'templates/index.html',
        html('<p id="text">second</p>', '<link rel="stylesheet" href="/static/app-2.css">'),
      );
      await tab.styled('#text', 'rgb(2, 0, 0)');
      await until('one link', () =>
        tab.evaluate(() => document.querySelectorAll('link').length === 1),
      );
      await until('a frame has seen it', () => tab.evaluate(() => window.seen.has('rgb(2, 0, 0)')));
      assert.deepEqual(await tab.evaluate(() => [...window.seen]), [
        'rgb(1, 0, 0)',
        'rgb(2, 0, 0)',
      ]);
      await stayed(tab);
    },
  );

  check('a changed script reloads the page', withMorph(), async ({ site, open }) => {
    const tab = await open('/');
    site.write(
      'templates/index.html',
      html('<p id="text">second</p><script>window.ran = 1</script>'),
    );
    await tab.shows('#text', 'second');
    await tab.connected(2);
    await tab.whole();
    assert.equal(await tab.evaluate(() => window.ran), 1);
    await tab.evaluate(() => (window.ran = 5));
    site.write(
      'templates/index.html',
      html('<main><p id="text">third</p><script>window.ran = 1</script></main>'),
    );
    await tab.shows('#text', 'third');
    assert.equal(await tab.documents(), 2);
    assert.equal(await tab.evaluate(() => window.ran), 5, 'a script that moved is not run again');
  });

  const early = (text, more = '') =>
    html(
      `<div id="app"></div>${more}<p id="text">${text}</p><script>app.append('made')</script>`,
      '<script>document.documentElement.dataset.theme = "dark"</script>',
    );
  check(
    'what scripts do while the page is parsed is kept, or done again',
    withMorph({ 'templates/index.html': early('first') }),
    async ({ site, open }) => {
      const tab = await open('/');
      for (const [text, more] of [['second'], ['third', '<p>more</p>'], ['fourth']]) {
        site.write('templates/index.html', early(text, more));
        await tab.shows('#text', text);
        await tab.shows('#app', 'made');
        assert.equal(await tab.evaluate(() => document.documentElement.dataset.theme), 'dark');
        assert.equal(await tab.evaluate(() => document.querySelectorAll('p').length), more ? 2 : 1);
      }
    },
  );

  check(
    'a theme that a script sets on the root stays without a reload',
    withMorph({
      'templates/index.html': html(
        '<p id="text">first</p>',
        '<script>document.documentElement.className = "dark"</script>',
      ),
    }),
    async ({ site, open }) => {
      const tab = await open('/');
      site.write(
        'templates/index.html',
        html(
          '<p id="text">second</p>',
          '<script>document.documentElement.className = "dark"</script>',
        ).replace(' lang="en"', ''),
      );
      await tab.shows('#text', 'second');
      const root = await tab.evaluate(() => [
        document.documentElement.className,
        document.documentElement.lang,
      ]);
      assert.deepEqual(root, ['dark', '']);
      await stayed(tab);
    },
  );

  check(
    'an error is shown above the page, and goes when it is mended',
    withMorph(),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(() => (window.kept = true));
      site.write('templates/index.html', '{{ 1 / 0 }}');
      await until('an overlay', () => overlay(tab));
      assert.equal(await tab.text('#text'), 'first');
      await tab.screenshot(`${engine.name}-overlay`);
      site.write('templates/index.html', html('<p id="text">mended</p>'));
      await tab.shows('#text', 'mended');
      assert.equal(await overlay(tab), false);
      assert.equal(await tab.evaluate(() => window.kept), true);
      await stayed(tab);
    },
  );

  check(
    'the overlay takes neither focus nor text, and goes with Escape',
    withMorph({ 'templates/index.html': html('<p id="text">first</p><input>') }),
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.evaluate(() => {
        const input = document.querySelector('input');
        input.value = 'typed';
        input.focus();
        window.heard = [];
        for (const name of ['blur', 'focusout', 'change', 'keydown'])
          addEventListener(name, () => window.heard.push(name), true);
      });
      site.write('templates/index.html', '{{ 1 / 0 }}');
      await until('an overlay', () => overlay(tab));
      const state = await tab.evaluate(() => ({
        focused: document.activeElement.localName,
        isOpen: document.querySelector('hot-reload-overlay').shadowRoot === null,
        heard: window.heard,
      }));
      assert.deepEqual(state, { focused: 'input', isOpen: true, heard: [] });
      await tab.evaluate(() =>
        document.activeElement.dispatchEvent(
          new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true }),
        ),
      );
      assert.equal(await overlay(tab), false);
      assert.deepEqual(await tab.evaluate(() => [document.querySelector('input').value]), [
        'typed',
      ]);
      // Once for the listener of this test, which came first or not.
      assert.ok((await tab.evaluate(() => window.heard.length)) <= 1);
    },
  );

  check('component code may forbid a morph', withMorph(), async ({ site, open }) => {
    const tab = await open('/');
    await tab.evaluate(() => {
      window.asked = [];
      window.told = [];
      window.forbid = (event) => {
        window.asked.push(event.detail.changes.map(({ path }) => path).join());
        event.preventDefault();
      };
      document.addEventListener('hot-reload:before-morph', window.forbid);
      document.addEventListener('hot-reload:updated', ({ detail }) =>
        window.told.push(detail.kind),
      );
    });
    site.write('templates/index.html', html('<p id="text">second</p>'));
    await until('it is asked', () => tab.evaluate(() => window.asked.length === 1));
    assert.match(await tab.evaluate(() => window.asked[0]), /index\.html$/);
    await tab.evaluate(() =>
      document.removeEventListener('hot-reload:before-morph', window.forbid),
    );
    assert.equal(await tab.text('#text'), 'first');
    site.write('templates/index.html', html('<p id="text">third</p>'));
    await tab.shows('#text', 'third');
    await until('it is told', () => tab.evaluate(() => window.told.join() === 'morph'));
    await stayed(tab);
  });

  for (const morphs of [false, true]) {
    const how = morphs ? 'with morph' : 'without morph';
    const files = (more) => (morphs ? withMorph(more) : more);
    /** The page has followed; by a reload, where it is not morphed. Its libraries have begun. */
    const followed = async (tab) => {
      await tab.connected(morphs ? 1 : 2);
      await tab.whole();
      assert.equal(await tab.said('connected'), morphs ? 1 : 2);
    };
    // A page shows its text a moment before the client takes its own tag out.
    const single = (tab, selectors) =>
      until(`there is one each of ${selectors}`, async () => {
        const counts = await tab.evaluate(
          (list) => list.map((one) => document.querySelectorAll(one).length),
          selectors,
        );
        return counts.every((count) => count === 1) || counts;
      });

    for (const [version, path] of [
      ['2', 'htmx2/dist/htmx.min.js'],
      ['4', 'htmx.org/dist/htmx.min.js'],
    ]) {
      const head = '<script src="/static/htmx.js"></script>';
      const htmx = (text, more = '') =>
        html(
          `<p id="text">${text}</p><nav hx-boost="true"><a id="link" href="/other">other</a></nav>
<button hx-get="/part" hx-target="#parts" hx-swap="beforeend">more</button><div id="parts"></div>${more}`,
          head,
        );
      check(
        `htmx ${version} ${how}: partial swaps, boost, history`,
        files({
          'static/htmx.js': library(path),
          'templates/index.html': htmx('first'),
          'templates/part.html': '<b>part</b>',
          'templates/other.html': html('<p id="text">other</p>', head),
        }),
        async ({ site, open }) => {
          const tab = await open('/');
          const press = (selector) =>
            tab.evaluate((one) => document.querySelector(one).click(), selector);
          const parts = (count) =>
            until(`${count} parts`, async () => {
              const now = await tab.evaluate(() => document.querySelectorAll('#parts b').length);
              return now === count || now;
            });
          await press('button');
          await parts(1);
          const extra = '<i hx-get="/part" hx-target="#parts" hx-swap="beforeend">new</i>';
          site.write('templates/index.html', htmx('second', extra));
          await tab.shows('#text', 'second');
          await followed(tab);
          await parts(morphs ? 1 : 0);
          await press('button');
          await parts(morphs ? 2 : 1);
          await press('i');
          await parts(morphs ? 3 : 2);

          await press('#link');
          await tab.shows('#text', 'other');
          await tab.back();
          await tab.shows('#text', 'second');
          // A frame or two, in which htmx may still restore.
          await until('it is back', () => tab.evaluate(() => location.pathname === '/'));
          site.write('templates/index.html', htmx('third', extra));
          await tab.shows('#text', 'third');
          await single(tab, ['nav', 'button', 'script']);
        },
      );
    }

    const alpine = (text) =>
      html(
        `<p id="text">${text}</p><div x-data="{ open: false, list: ['a', 'b'], n: 1 }">
<button @click="open = !open; n++; '${text}'">${text}</button><span x-show="open">shown</span><em x-text="n"></em>
<template x-for="one in list"><li x-text="one"></li></template><template x-if="open"><u>if</u></template></div>`,
        '<script defer src="/static/alpine.js"></script>',
      );
    check(
      `Alpine ${how}`,
      files({
        'static/alpine.js': library('alpinejs/dist/cdn.min.js'),
        'templates/index.html': alpine('first'),
      }),
      async ({ site, open }) => {
        const tab = await open('/');
        const state = () =>
          tab.evaluate(() => ({
            span: getComputedStyle(document.querySelector('span')).display,
            n: document.querySelector('em').textContent,
            items: document.querySelectorAll('li').length,
            ifs: document.querySelectorAll('u').length,
          }));
        const is = (wanted) =>
          until(`it is ${JSON.stringify(wanted)}`, async () => {
            const now = await state();
            return Object.keys(wanted).every((name) => now[name] === wanted[name]) || now;
          });
        const press = () => tab.evaluate(() => document.querySelector('button').click());
        await is({ span: 'none', n: '1', items: 2, ifs: 0 });
        await press();
        await is({ span: 'inline', n: '2', items: 2, ifs: 1 });
        site.write('templates/index.html', alpine('second'));
        await tab.shows('#text', 'second');
        await tab.shows('button', 'second');
        await followed(tab);
        if (!morphs) {
          await is({ span: 'none', n: '1', items: 2, ifs: 0 });
          return;
        }
        await is({ span: 'inline', n: '2', items: 2, ifs: 1 });
        await press();
        await is({ span: 'none', n: '3', items: 2, ifs: 0 });
      },
    );

    const turbo = (text) =>
      html(
        `<p id="text">${text}</p><a id="link" href="/other">other</a><turbo-frame id="frame">${text}</turbo-frame>`,
        '<script type="module" src="/static/turbo.js"></script>',
      );
    check(
      `Turbo ${how}`,
      files({
        'static/turbo.js': library('@hotwired/turbo/dist/turbo.es2017-esm.js'),
        'templates/index.html': turbo('first'),
        'templates/other.html': turbo('other'),
      }),
      async ({ site, open }) => {
        const tab = await open('/');
        site.write('templates/index.html', turbo('second'));
        await tab.shows('#text', 'second');
        await tab.shows('turbo-frame', 'second');
        await followed(tab);
        await until('Turbo runs', () => tab.evaluate(() => !!window.Turbo));
        await tab.evaluate(() => document.querySelector('#link').click());
        await tab.shows('#text', 'other');
        await until('it is there', () => tab.evaluate(() => location.pathname === '/other'));
        assert.equal(await tab.said('connected'), morphs ? 1 : 2, 'by Turbo');
        site.write('templates/other.html', turbo('newer'));
        await tab.shows('#text', 'newer');
        await single(tab, ['script', 'turbo-frame']);
      },
    );
  }

  const STRICT = MORPH.replace(
    'context = {',
    'nonce = os.urandom(8).hex()\n    context = {"nonce": nonce, ',
  ).replace(
    'f"{name}.html", context)',
    `f"{name}.html", context, headers={
        "content-security-policy": f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
    })`,
  );
  const strict = (color) =>
    html(
      `<p id="text">${color}</p><script nonce="{{ nonce }}">window.ran = 1</script>`,
      `<style nonce="{{ nonce }}">p { color: rgb(${color}, 0, 0) }</style>${color > 1 ? '<style nonce="{{ nonce }}">p { margin: 9px }</style>' : ''}`,
    );
  check(
    'a page with nonces: new styles are let in by the nonce of the page',
    { 'app.py': STRICT, 'templates/index.html': strict(1) },
    async ({ site, open }) => {
      const tab = await open('/');
      await tab.styled('#text', 'rgb(1, 0, 0)');
      site.write('templates/index.html', strict(2));
      await tab.shows('#text', '2');
      await tab.styled('#text', 'rgb(2, 0, 0)');
      await tab.styled('#text', '9px', 'marginTop');
      await stayed(tab);
      site.write('templates/index.html', '{{ 1 / 0 }}');
      await until('an overlay', () => overlay(tab));
      const box = await tab.evaluate(() => {
        const { position, zIndex } = getComputedStyle(document.querySelector('hot-reload-overlay'));
        return [position, zIndex];
      });
      assert.deepEqual(box, ['fixed', '2147483647'], 'no policy takes its style away');
    },
  );

  const TRUSTED = MORPH.replace(
    'f"{name}.html", context)',
    'f"{name}.html", context, headers={"content-security-policy": "require-trusted-types-for \'script\'"})',
  );
  check(
    'a page with trusted types follows all the same',
    { 'app.py': TRUSTED },
    async ({ site, open }) => {
      const tab = await open('/');
      for (const text of ['second', 'third']) {
        site.write('templates/index.html', html(`<p id="text">${text}</p>`));
        await tab.shows('#text', text);
      }
    },
  );

  check(
    'a page whose template is gone shows what a reload shows',
    withMorph(),
    async ({ site, open }) => {
      const tab = await open('/');
      rmSync(site.path('templates/index.html'));
      await tab.shows('body', 'not found');
      assert.equal(await overlay(tab), false);
    },
  );
});
