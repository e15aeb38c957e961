// The same proof by the parsers of browsers: what they are given, and what they do with it.
import {
  PACKAGES,
  handMadeDocuments,
  html5lib,
  html5libMissing,
  pages,
  randomDocuments,
} from './placement-documents.mjs';
import { inject, splice } from './placement-inject.mjs';
import { decode } from './placement-tree.mjs';

/** Some of the pages of a package, and none so long that a driver chokes on it. */
const somePages = (name) =>
  pages(name)
    .filter(({ data }) => data.length < 40_000)
    .filter((_, index) => index % 50 === 0);

/**
 * Documents of every kind that get the tag: what `compareInPage` takes. `offset` is in characters,
 * and `tag` goes there.
 *
 * @returns {{ tag: string, documents: { name: string, text: string, offset: number }[] }}
 */
export const sample = () => {
  const chosen = [
    ...(html5libMissing ? [] : html5lib()),
    ...handMadeDocuments(),
    ...randomDocuments(500),
    ...Object.keys(PACKAGES).flatMap(somePages),
  ];
  const { tag, answers } = inject(chosen.map(({ data }) => data));
  const text = decode(tag);
  const documents = chosen
    .map(({ name, data }, index) => ({ name, data, place: answers[index].place }))
    .filter(({ place }) => place >= 0)
    .map(({ name, data, place }) => ({
      name,
      text: decode(data),
      offset: decode(splice(data, place, tag)).indexOf(text),
    }));
  return { tag: text, documents };
};

/**
 * Runs in a page, so it must not use anything from outside. Parses each document with and without
 * the tag, takes the tag's element out, and compares all that a parser makes of them.
 *
 * @returns {string[]} what is wrong; empty: nothing
 */
export const compareInPage = (tag, documents) => {
  // DOMParser takes a shortcut through simple markup, which differs from what a navigation does:
  // Chromium keeps `&#32;` before everything else, WebKit knows no quirks mode there. A comment at
  // the very start changes nothing and keeps both from it.
  const parse = (text) => new DOMParser().parseFromString(`<!---->${text}`, 'text/html');

  const own = (node) => [
    node.nodeType,
    node.namespaceURI,
    node.nodeName,
    node.nodeValue,
    node.publicId,
    node.systemId,
    Array.from(node.attributes ?? [], ({ namespaceURI, name, value }) => [
      namespaceURI,
      name,
      value,
    ]),
  ];
  const dump = (node) => [
    own(node),
    Array.from(node.childNodes, dump),
    node.content instanceof DocumentFragment ? dump(node.content) : null,
  ];
  const describe = (parsed) => JSON.stringify([parsed.compatMode, dump(parsed)]);

  const model = parse(tag).head.firstChild;
  const cursor = model.getAttribute('data-cursor');

  /** Takes the tag's element out, or says why it is not the one that runs first. */
  const takeOut = (parsed) => {
    const found = parsed.querySelectorAll(`script[data-cursor="${cursor}"]`);
    if (found.length !== 1) return `${found.length} scripts`;
    const [script] = found;
    if (script !== parsed.head?.firstChild) return 'a script that is not first in the head';
    if (!script.isEqualNode(model)) return 'another script';
    script.remove();
    return undefined;
  };

  const difference = ({ text, offset }) => {
    const tagged = parse(text.slice(0, offset) + tag + text.slice(offset));
    const wrong = takeOut(tagged);
    if (wrong) return wrong;
    const [expected, actual] = [describe(parse(text)), describe(tagged)];
    return expected === actual ? undefined : `${actual} instead of ${expected}`;
  };

  return documents.flatMap((document) => {
    const wrong = difference(document);
    return wrong ? [`${document.name}, tag at ${document.offset}: ${wrong}`.slice(0, 1000)] : [];
  });
};
