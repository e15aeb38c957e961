// What a document means with and without the tag, by parse5.
import { InsertionMode, Parser, Token, TokenizerMode, html, parse, parseFragment } from 'parse5';
import { LIMIT, splice } from './placement-inject.mjs';

const CURSOR = 'data-cursor';

/** As a browser decodes it where nothing says otherwise; a mark at the start is dropped. */
export const decode = (data) => new TextDecoder().decode(data);

const children = (node) => {
  const own = node.childNodes ?? [];
  return node.content ? [...own, node.content] : own;
};

const cursorOf = (node) => node.attrs?.find(({ name }) => name === CURSOR)?.value;

const findScripts = (document, cursor) => {
  const found = [];
  const rest = [document];
  while (rest.length) {
    const node = rest.pop();
    if (node.nodeName === 'script' && cursorOf(node) === cursor) found.push(node);
    for (const child of children(node)) rest.push(child);
  }
  return found;
};

const attributes = ({ attrs = [] }) =>
  attrs.map(({ namespace, prefix, name, value }) => [namespace, prefix, name, value]);

const FIELDS = [
  'nodeName',
  'namespaceURI',
  'mode',
  'value',
  'data',
  'name',
  'publicId',
  'systemId',
];

/** Two nodes are the same but for what is in them. */
const isSame = (a, b) =>
  FIELDS.every((field) => a[field] === b[field]) &&
  a.attrs?.length === b.attrs?.length &&
  Boolean(a.content) === Boolean(b.content) &&
  children(a).length === children(b).length &&
  (!a.attrs?.length || JSON.stringify(attributes(a)) === JSON.stringify(attributes(b)));

const describe = (node) =>
  JSON.stringify([...FIELDS.map((field) => node[field]), attributes(node), children(node).length]);

/** The first difference between two trees in document order, or undefined. */
export const treeDifference = (plain, other) => {
  const rest = [[plain, other]];
  while (rest.length) {
    const [a, b] = rest.pop();
    if (!isSame(a, b)) return `${describe(b)} instead of ${describe(a)}`;
    const [inA, inB] = [children(a), children(b)];
    for (let index = inA.length - 1; index >= 0; index--) rest.push([inA[index], inB[index]]);
  }
  return undefined;
};

/**
 * Takes the tag's element out of a parsed document. Says what is wrong if there is not exactly one,
 * or if it would not run, or not before all else in the head. Since it is the first node there, no
 * text has to be merged once it is gone.
 */
const takeOut = (document, tag) => {
  const [model] = parseFragment(tag).childNodes;
  const scripts = findScripts(document, cursorOf(model));
  if (scripts.length !== 1) return `${scripts.length} scripts`;
  const [script] = scripts;
  const head = script.parentNode;
  if (script.namespaceURI !== html.NS.HTML) return 'a script of another namespace';
  if (JSON.stringify(attributes(script)) !== JSON.stringify(attributes(model)))
    return 'a script with other attributes';
  if (script.childNodes.length) return 'a script that holds something';
  if (head.nodeName !== 'head' || head.parentNode?.parentNode !== document)
    return `a script in ${head.nodeName}`;
  if (head.childNodes[0] !== script) return 'a script that is not first in the head';
  head.childNodes.shift();
  return undefined;
};

/** What the tag at `place` changes in the document besides being there, or undefined. */
export const tagDifference = (data, place, tag, scripting) => {
  const options = { scriptingEnabled: scripting };
  const tagged = parse(decode(splice(data, place, tag)), options);
  return takeOut(tagged, decode(tag)) ?? treeDifference(parse(decode(data), options), tagged);
};

/** A parser that notes what it met before the head. */
class Prefix extends Parser {
  nul = false;
  shown = false;
  textAt = Infinity;

  get isBeforeHead() {
    return this.insertionMode <= InsertionMode.BEFORE_HEAD;
  }

  onCharacter(token) {
    if (this.isBeforeHead) this.textAt = token.location.startOffset;
    super.onCharacter(token);
  }

  onNullCharacter(token) {
    this.nul ||= this.isBeforeHead;
    super.onNullCharacter(token);
  }

  onDoctype(token) {
    this.shown ||= this.isBeforeHead;
    super.onDoctype(token);
  }

  onStartTag(token) {
    this.shown ||= this.isBeforeHead && ['html', 'head', 'body'].includes(token.tagName);
    super.onStartTag(token);
  }
}

/** How far the parser came in what the injector may look at, and what it met before the head. */
const read = (data) => {
  const prefix = new Prefix({ sourceCodeLocationInfo: true });
  const { tokenizer } = prefix;
  const text = decode(data.subarray(0, LIMIT));
  tokenizer.write(text, false);
  // Characters are handed on in runs: one may be under way, and the end hands it on.
  const hasText = tokenizer.currentCharacterToken?.type === Token.TokenType.CHARACTER;
  const isBeforeHead = prefix.isBeforeHead && !hasText;
  const isOpen = tokenizer.state !== TokenizerMode.DATA;
  tokenizer.write('', true);
  // `<` and NUL are text and NUL to the parser, but UTF-16 without its mark to a person.
  const nul = prefix.nul || text.startsWith('<\0', prefix.textAt);
  return { isBeforeHead, isOpen, nul, shown: prefix.shown };
};

const isUtf16 = (data) => {
  const head = data.subarray(0, 2).toString('latin1');
  return head === '\xff\xfe' || head === '\xfe\xff';
};

/**
 * Why a document is left untouched, found out without the injector; undefined: it gets the tag. One
 * that is cut off where what comes before has decided already, as in `<p class`, may get it.
 */
export const reasonToLeave = (data) => {
  if (isUtf16(data)) return 'UTF-16';
  const { isBeforeHead, isOpen, nul } = read(data);
  if (nul) return 'NUL before the head';
  if (isBeforeHead && data.length >= LIMIT) return 'too long a prefix';
  if (isBeforeHead && isOpen) return 'cut off';
  const text = decode(data.subarray(0, LIMIT));
  return /^[^&]*&#x?0{9}/i.test(text) ? 'too long a reference' : undefined;
};

/** Does the document itself say, before its head or first content, that it is a document? */
export const showsDocument = (data) => read(data).shown;
