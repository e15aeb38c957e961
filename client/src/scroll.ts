import { scrollKeyOf } from './memory';

/** Where a box is scrolled to: its selector, and how far from the top and the left. */
export type Place = [selector: string, top: number, left: number];

type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** After the page has loaded, what it makes by script is waited for so long, in milliseconds. */
const PATIENCE = 2000;
/** By any of these a person takes the page over. */
const TAKEN = ['wheel', 'touchstart', 'pointerdown', 'keydown'];

/** Finds the element again, also in a page that has changed a little elsewhere. */
export const selectorOf = (element: Element): string => {
  const root = element.ownerDocument;
  const steps: string[] = [];
  for (let one: Element | null = element; one; one = one.parentElement) {
    const id = one.id && `#${CSS.escape(one.id)}`;
    if (id && root.querySelectorAll(id).length === 1) return [id, ...steps].join('>');
    let number = 1;
    for (let other = one.previousElementSibling; other; other = other.previousElementSibling)
      if (other.tagName === one.tagName) number++;
    steps.unshift(`${CSS.escape(one.localName)}:nth-of-type(${number})`);
  }
  return steps.join('>');
};

/** Remembers where the page and the boxes in it are scrolled to. Throws where the storage does. */
export const keepScroll = (store: Store, document: Document, address: string): void => {
  const places = [...document.querySelectorAll('*')]
    .filter(({ scrollTop, scrollLeft }) => scrollTop || scrollLeft)
    // A page that scrolls itself does without us, as it does without the browser.
    .filter((box) => box !== document.scrollingElement || history.scrollRestoration === 'auto')
    .map((box): Place => [selectorOf(box), box.scrollTop, box.scrollLeft]);
  if (places.length) store.setItem(scrollKeyOf(address), JSON.stringify(places));
};

const isThere = (box: Element, top: number, left: number): boolean =>
  Math.abs(box.scrollTop - top) < 1 && Math.abs(box.scrollLeft - left) < 1;

/**
 * Scrolls to what was kept, frame after frame until all is in its place: what a script makes is not
 * there from the start, and a box is not at once as large as it will be.
 */
export const restoreScroll = (store: Store, document: Document, address: string): void => {
  const kept = store.getItem(scrollKeyOf(address));
  if (!kept) return;
  store.removeItem(scrollKeyOf(address));
  let missing = JSON.parse(kept) as Place[];
  let end = Infinity;
  const stop = (): void => {
    missing = [];
    for (const name of TAKEN) removeEventListener(name, stop, true);
  };
  for (const name of TAKEN) addEventListener(name, stop, { capture: true, passive: true });
  const settle = (): void => {
    if (document.readyState === 'complete') end = Math.min(end, performance.now() + PATIENCE);
    missing = missing.filter(([selector, top, left]) => {
      const box = document.querySelector(selector);
      if (!box) return true;
      if (!isThere(box, top, left)) box.scrollTo({ top, left, behavior: 'instant' });
      return !isThere(box, top, left);
    });
    if (missing.length && performance.now() < end) requestAnimationFrame(settle);
    else stop();
  };
  settle();
};
