/** Beats the page's own rules, those with `!important` too: the inner context wins. */
const HOST = `:host{all:initial!important;position:fixed!important;display:block!important;z-index:2147483647!important;color-scheme:light dark!important;`;
const PAPER = `@media print{:host{display:none!important}}`;

/** An element whose inside and outside know nothing of each other. */
export const createHost = (document: Document, name: string, place: string, rules: string) => {
  const host = document.createElement(name);
  const root = host.attachShadow({ mode: 'closed' });
  // Not a style element, which the page's policy may refuse.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${HOST}${place}}${rules}${PAPER}`);
  root.adoptedStyleSheets = [sheet];

  const add = (parent: Node, tag: string, text = ''): HTMLElement => {
    const element = document.createElement(tag);
    element.textContent = text;
    return parent.appendChild(element);
  };
  return { host, root, add };
};
