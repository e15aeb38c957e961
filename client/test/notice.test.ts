import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNotice } from '../src/notice';
import { documentOf } from './page';

Object.assign(globalThis, {
  CSSStyleSheet: class {
    replaceSync(): void {}
  },
});

const make = () => {
  const document = documentOf('<p>a</p>');
  let root: HTMLElement;
  const createElement = document.createElement.bind(document);
  document.createElement = (tag: string) => {
    const element = createElement(tag);
    element.attachShadow = () => (root = createElement('shadow')) as unknown as ShadowRoot;
    return element;
  };
  const notice = createNotice(document);
  return {
    ...notice,
    count: () => document.querySelectorAll('hot-reload-notice').length,
    text: () => root.querySelector('[role=status]')!.textContent,
    dismiss: () => (root.querySelector('button') as HTMLButtonElement).onclick!({} as never),
    press: () => {
      let isPrevented = false;
      const event = { preventDefault: () => (isPrevented = true) };
      (root.querySelector('button') as HTMLButtonElement).onmousedown!(event as never);
      return isPrevented;
    },
  };
};

test('nothing is there as long as nothing is wrong', () => {
  const notice = make();
  notice.hide();
  assert.equal(notice.count(), 0);
});

test('there are never two', () => {
  const notice = make();
  notice.show('one');
  notice.show('two');
  assert.equal(notice.count(), 1);
  assert.equal(notice.text(), 'two');
  notice.hide();
  assert.equal(notice.count(), 0);
});

test('what was dismissed comes back with other words, or after it was over', () => {
  const notice = make();
  notice.show('one');
  assert.ok(notice.press(), 'the focus stays');
  notice.dismiss();
  notice.show('one');
  assert.equal(notice.count(), 0);
  notice.show('two');
  assert.equal(notice.count(), 1);
  notice.dismiss();
  notice.hide();
  notice.show('two');
  assert.equal(notice.count(), 1);
});
