// Addresses in the texts that hold them: attributes, srcset, values of CSS. No DOM.
import { decoded } from './wire';

/** What to write in the place of an address. */
export type Rewrite = (address: string) => string;

/** The address as the page knows it. */
export const unmarked = (address: string): string =>
  address.replace(/([?&])hot-reload=\w*(&?)/, (_, before, after) => (after ? before : ''));

/** Never more than one mark; the rest stays byte for byte. */
export const marked = (address: string, mark: string): string =>
  unmarked(address).replace(
    /^([^?#]*)(\??)([^#]*)/,
    (rest, _, query) => `${rest}${query ? '&' : '?'}hot-reload=${mark}`,
  );

/** What is loaded for an address, unmarked and without its fragment; empty where there is nothing. */
export const resourceOf = (address: string, base: string): string => {
  try {
    return address && unmarked(new URL(address, base).href).replace(/#.*/, '');
  } catch {
    return '';
  }
};

/** The decoded pathname of an address of this host; what nothing matches, of any other. */
export const pathOf = (href: string, host: string): string => {
  try {
    const url = new URL(href);
    return url.hostname === host ? decoded(url.pathname) : '';
  } catch {
    return '';
  }
};

/**
 * HTML, 4.8.4.3.10 "Parsing a srcset attribute": an address ends at white space, without the commas
 * right before that; commas between parentheses are part of a descriptor.
 */
export const inSrcset = (srcset: string, rewrite: Rewrite): string =>
  srcset.replace(
    /([^\s,](?:\S*[^\s,])?)((?:\s(?:\([^)]*\)|[^,(])*)?)/g,
    (_, address, descriptors) => rewrite(address) + descriptors,
  );

const TOKENS =
  /\/\*[^]*?\*\/|url\(\s*(["']?)((?:\\[^]|[^\\])*?)\1\s*\)|(["'])((?:\\[^]|[^\\])*?)\3|([-\w]*)\(|\)/gi;

/** CSS Syntax, 4.3.7 "Consume an escaped code point". */
const unescaped = (text: string): string =>
  text.replace(/\\(?:([\da-f]{1,6})\s?|\n|([^]))/gi, (_, code, character = '') =>
    code ? String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff)) : character,
  );

/** Of a value of CSS: each url(), and the strings that image-set() takes for one. */
export const inCss = (value: string, rewrite: Rewrite): string => {
  const functions: string[] = [];
  return value.replace(TOKENS, (token, _, url, __, text, name) => {
    if (name !== undefined) functions.unshift(name);
    else if (token === ')') functions.shift();
    const address = url ?? (/image-set$/i.test(functions[0] ?? '') ? text : undefined);
    if (address === undefined) return token;
    const before = unescaped(address);
    const after = rewrite(before);
    if (after === before) return token;
    const string = `"${after.replace(/["\\]/g, '\\$&')}"`;
    return url === undefined ? string : `url(${string})`;
  });
};
