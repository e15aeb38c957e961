// What a browser knows of stylesheets, images and fonts, and what it loads for them, when told to.
import assert from 'node:assert/strict';
import { parseHTML } from 'linkedom';
import { fakeTimers } from './fakes';

export const ORIGIN = 'http://localhost';

/** What was asked for and is not there yet. */
export class FakeNetwork {
  readonly asked: string[] = [];
  #open: { href: string; done: () => void; fail: (reason: unknown) => void }[] = [];

  ask(href: string): Promise<void> {
    this.asked.push(href.replace(ORIGIN, ''));
    return new Promise((done, fail) => this.#open.push({ href, done, fail }));
  }
  #take(part: string) {
    const taken = this.#open.filter(({ href }) => href.includes(part));
    assert.ok(taken.length, `${part} was asked for`);
    this.#open = this.#open.filter((request) => !taken.includes(request));
    return taken;
  }
  answer(part: string): void {
    for (const { done } of this.#take(part)) done();
  }
  refuse(part: string): void {
    for (const { fail } of this.#take(part)) fail(new Error('refused'));
  }
}

const LONGHANDS: Record<string, string[]> = {
  background: ['background-image', 'background-color'],
};

export class FakeStyle {
  #values = new Map<string, [value: string, priority: string]>();

  constructor(
    text: string,
    private readonly changed: (text: string) => void = () => undefined,
  ) {
    this.#parse(text);
  }

  #parse(text: string): void {
    this.#values.clear();
    for (const [, name, value, priority] of text.matchAll(
      /([-\w]+)\s*:\s*([^;]+?)\s*(?:!(important))?\s*(?:;|$)/g,
    ))
      this.#values.set(name!, [value!, priority ?? '']);
  }
  get cssText(): string {
    return [...this.#values]
      .map(([name, [value, priority]]) => `${name}: ${value}${priority && ` !${priority}`};`)
      .join(' ');
  }
  set cssText(text: string) {
    this.#parse(text);
    this.changed(text);
  }
  *[Symbol.iterator](): IterableIterator<string> {
    for (const [name, [value]] of this.#values)
      if (value.includes('var(') && LONGHANDS[name]) yield* LONGHANDS[name]!;
      else yield name;
  }
  getPropertyValue(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }
  getPropertyPriority(name: string): string {
    return this.#values.get(name)?.[1] ?? '';
  }
  setProperty(name: string, value: string, priority = ''): void {
    this.#values.set(name, [value, priority]);
    this.changed(this.cssText);
  }
}

/** The texts of the sheets that rules import, by their paths. */
export type Files = Record<string, string>;

const NOT_NESTED = /^@(media|supports|layer|container)/;

class FakeRule {
  readonly style: FakeStyle | undefined;
  readonly cssRules: FakeRule[] | undefined;
  readonly href: string | undefined;
  readonly styleSheet: FakeSheet | null = null;
  readonly parentRule: FakeRule | null;
  /** Null once the rule is taken out. */
  parentStyleSheet: FakeSheet | null;

  constructor(
    readonly prelude: string,
    body: string | undefined,
    sheet: FakeSheet,
    parent: FakeRule | null,
  ) {
    this.parentStyleSheet = sheet;
    this.parentRule = parent;
    if (body === undefined) {
      const href = prelude.match(/^@import (?:url\()?["']?([^"')]+)/)?.[1];
      if (!href) return;
      this.href = href;
      const { href: address } = new URL(href, sheet.href ?? ORIGIN);
      const text = sheet.files[new URL(address).pathname];
      if (text !== undefined) this.styleSheet = new FakeSheet(text, address, sheet.files);
      return;
    }
    const { rules, declarations } = parse(body, sheet, this);
    if (!NOT_NESTED.test(prelude) && !prelude.startsWith('@keyframes'))
      this.style = new FakeStyle(declarations);
    if (rules.length || !this.style) this.cssRules = rules;
  }
  get cssText(): string {
    if (this.href) return `${this.prelude};`;
    const inner = (this.cssRules ?? []).map(({ cssText }) => cssText);
    return `${this.prelude} { ${[this.style?.cssText, ...inner].filter(Boolean).join(' ')} }`;
  }
  insertRule(text: string, index: number): void {
    this.cssRules!.splice(index, 0, ...parse(text, this.parentStyleSheet!, this).rules);
  }
  deleteRule(index: number): void {
    remove(this.cssRules!, index);
  }
}

/** Gone is gone: a rule that was taken out belongs to nothing. */
const remove = (rules: FakeRule[], index: number): void => {
  rules.splice(index, 1)[0]!.parentStyleSheet = null;
};

export class FakeFontFaceRule extends FakeRule {}

/** Enough for the sheets of the tests: no semicolon and no brace within a value. */
const parse = (text: string, sheet: FakeSheet, parent: FakeRule | null = null) => {
  const rules: FakeRule[] = [];
  let declarations = '';
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const size = rest.search(/[;{]/);
    const prelude = (size < 0 ? rest : rest.slice(0, size)).trim();
    if (rest[size] === '{') {
      let depth = 1;
      let end = size + 1;
      for (; depth; end++) depth += rest[end] === '{' ? 1 : rest[end] === '}' ? -1 : 0;
      const Rule = prelude === '@font-face' ? FakeFontFaceRule : FakeRule;
      rules.push(new Rule(prelude, rest.slice(size + 1, end - 1), sheet, parent));
      at += end;
      continue;
    }
    if (prelude.startsWith('@')) rules.push(new FakeRule(prelude, undefined, sheet, parent));
    else if (prelude) declarations += `${prelude};`;
    at += size < 0 ? rest.length : size + 1;
  }
  return { rules, declarations };
};

export class FakeSheet {
  disabled = false;
  /** Of another origin, or not loaded. */
  closed = false;
  #rules: FakeRule[];

  constructor(
    text: string,
    readonly href: string | null = null,
    readonly files: Files = {},
  ) {
    this.#rules = parse(text, this).rules;
  }
  get cssRules(): FakeRule[] {
    if (this.closed) throw new DOMException('', 'SecurityError');
    return this.#rules;
  }
  get cssText(): string {
    return this.#rules.map(({ cssText }) => cssText).join('\n');
  }
  insertRule(text: string, index: number): void {
    this.#rules.splice(index, 0, ...parse(text, this).rules);
  }
  deleteRule(index: number): void {
    remove(this.#rules, index);
  }
}

/** As Chromium tells it, without quotes and with a unicode-range in capitals. */
const connectedFaces = (sheet: FakeSheet, known: Map<FakeRule, FakeFace>, network: FakeNetwork) => {
  const faces: FakeFace[] = [];
  const collect = (rules: FakeRule[]): void => {
    for (const rule of rules) {
      if (rule.cssRules) collect(rule.cssRules);
      if (!(rule instanceof FakeFontFaceRule)) continue;
      let face = known.get(rule);
      if (!face) {
        const value = (name: string) => rule.style!.getPropertyValue(name);
        face = new FakeFace(network, value('font-family').replace(/["']/g, ''), value('src'), {
          weight: value('font-weight'),
          unicodeRange: value('unicode-range').toUpperCase(),
        });
        known.set(rule, face);
      }
      faces.push(face);
    }
  };
  collect(sheet.cssRules);
  return faces;
};

export class FakeFace {
  status: FontFaceLoadStatus = 'unloaded';
  style = 'normal';
  weight = 'normal';
  stretch = 'normal';
  unicodeRange = 'U+0-10FFFF';
  #loading: Promise<this> | undefined;

  constructor(
    private readonly network: FakeNetwork,
    readonly family: string,
    readonly source: string,
    descriptors: Record<string, string> = {},
  ) {
    for (const [name, value] of Object.entries(descriptors))
      if (value) Object.assign(this, { [name]: value });
  }
  load(): Promise<this> {
    if (this.status === 'loaded') return Promise.resolve(this);
    this.status = 'loading';
    return (this.#loading ??= this.network.ask(this.source.match(/url\("?([^")]+)/)![1]!).then(
      () => {
        this.status = 'loaded';
        return this;
      },
      (error) => {
        this.status = 'error';
        throw error;
      },
    ));
  }
}

export interface PageOptions {
  /** Texts of stylesheets by path, for links and imports. */
  files?: Files;
  engine?: 'chromium' | 'firefox';
}

/** A page whose sheets are all loaded. One at a time: it sets the globals of a browser. */
export const openPage = (
  head: string,
  body = '',
  { files = {}, engine = 'chromium' }: PageOptions = {},
) => {
  const parsed: any = parseHTML(
    `<!doctype html><html><head>${head}</head><body>${body}</body></html>`,
  );
  const { document, Event } = parsed;
  const network = new FakeNetwork();
  const timers = fakeTimers();
  let frames: (() => void)[] = [];
  const entries: { name: string; initiatorType: string }[] = [];
  const sheets = new WeakMap<object, FakeSheet>();
  const nonces = new WeakMap<object, string>();
  const styles = new WeakMap<object, FakeStyle>();
  /** The addresses that images are shown from or, as undefined, those that are not loaded. */
  const shown = new WeakMap<object, string | undefined>();
  const drawn = new Set<string>();
  const faces = new Map<FakeRule, FakeFace>();
  const added = new Set<FakeFace>();
  const resolve = (address: string): string => address && new URL(address, `${ORIGIN}/`).href;

  /** What the link or style element loads is there. */
  const arrive = (element: any): void => {
    const { localName, textContent, href } = element;
    const text = localName === 'style' ? textContent : (files[new URL(href).pathname] ?? '');
    sheets.set(element, new FakeSheet(text, localName === 'style' ? null : href, files));
  };

  const sheetsOf = (root: ParentNode): FakeSheet[] =>
    [...root.querySelectorAll('link,style')].flatMap((element) => sheets.get(element) ?? []);

  const getters = (target: object, properties: Record<string, (this: any) => unknown>): void => {
    for (const [name, get] of Object.entries(properties))
      Object.defineProperty(target, name, { get, configurable: true });
  };
  const style = {
    style(this: Element) {
      const known = styles.get(this);
      if (known) return known;
      const made = new FakeStyle(this.getAttribute('style') ?? '', (text) =>
        this.setAttribute('style', text),
      );
      styles.set(this, made);
      return made;
    },
  };
  const sheet = {
    sheet(this: Element) {
      return this.isConnected ? (sheets.get(this) ?? null) : null;
    },
  };
  const nonce: PropertyDescriptor = {
    // As in a browser it is neither in the attribute nor in a copy.
    get(this: Element) {
      return nonces.get(this) ?? '';
    },
    set(this: Element, value: string) {
      nonces.set(this, value);
    },
    configurable: true,
  };
  getters(parsed.Element.prototype, {
    baseURI: () => `${ORIGIN}/`,
  });
  getters(parsed.HTMLElement.prototype, style);
  getters(parsed.SVGElement.prototype, {
    ...style,
    href() {
      return { baseVal: this.getAttribute('href') ?? this.getAttribute('xlink:href') };
    },
  });
  parsed.SVGElement.prototype.getBBox = function (this: any) {
    const size = drawn.has(this.href.baseVal) ? 1 : 0;
    return { width: size, height: size };
  };
  for (const { prototype } of [parsed.HTMLLinkElement, parsed.HTMLStyleElement]) {
    getters(prototype, sheet);
    Object.defineProperty(prototype, 'nonce', nonce);
  }
  getters(parsed.HTMLLinkElement.prototype, {
    relList() {
      const rel = this.getAttribute('rel') ?? '';
      return { contains: (word: string) => rel.toLowerCase().split(/\s+/).includes(word) };
    },
  });
  Object.defineProperty(parsed.HTMLLinkElement.prototype, 'href', {
    get(this: Element) {
      return resolve(this.getAttribute('href') ?? '');
    },
    set(this: Element, value: string) {
      this.setAttribute('href', value);
    },
    configurable: true,
  });
  getters(parsed.HTMLImageElement.prototype, {
    complete() {
      return !shown.has(this) || shown.get(this) !== undefined;
    },
    currentSrc() {
      return resolve(shown.get(this) ?? this.getAttribute('src') ?? '');
    },
  });
  const roots = {
    styleSheets(this: ParentNode) {
      return sheetsOf(this);
    },
    baseURI: () => `${ORIGIN}/`,
  };
  const probe = document.createElement('div').attachShadow({ mode: 'open' });
  getters(Object.getPrototypeOf(probe), roots);
  getters(document, {
    ...roots,
    location: () => new URL(`${ORIGIN}/`),
  });
  document.readyState = 'complete';
  document.fonts = {
    add: (face: FakeFace) => added.add(face),
    delete: (face: FakeFace) => added.delete(face),
    *[Symbol.iterator]() {
      for (const each of sheetsOf(document)) yield* connectedFaces(each, faces, network);
      yield* added;
    },
  };

  class Image {
    crossOrigin: string | null = null;
    onload: (() => void) | undefined;
    onerror: ((event: unknown) => void) | undefined;
    set src(href: string) {
      network.ask(this.crossOrigin === null ? href : `${href} ${this.crossOrigin}`).then(
        () => this.onload?.(),
        (error) => this.onerror?.(error),
      );
    }
  }
  class SVGUseElement {
    static [Symbol.hasInstance]({ localName }: Element): boolean {
      return localName === 'use';
    }
  }
  const globals = {
    document,
    Image,
    SVGUseElement,
    Element: parsed.Element,
    HTMLImageElement: parsed.HTMLImageElement,
    CSSFontFaceRule: FakeFontFaceRule,
    FontFace: class extends FakeFace {
      constructor(family: string, source: string, descriptors?: Record<string, string>) {
        super(network, family, source, descriptors);
      }
    },
    CSS: { supports: (text: string) => engine === 'firefox' && text.startsWith('-moz-') },
    requestAnimationFrame: (task: () => void) => frames.push(task),
    setTimeout: timers.timer,
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  Object.defineProperty(performance, 'getEntriesByType', {
    value: (type: string) => (type === 'resource' ? entries : []),
    configurable: true,
  });

  const prepare = (root: ParentNode): void => {
    for (const { attributes } of root.querySelectorAll('*'))
      for (const attribute of attributes)
        Object.assign(attribute, { localName: attribute.name.replace(/^.*:/, '') });
    for (const element of root.querySelectorAll('link,style')) {
      if (element.localName === 'style' || /\bstylesheet\b/.test(element.getAttribute('rel') ?? ''))
        arrive(element);
      if (!element.hasAttribute('nonce')) continue;
      nonces.set(element, element.getAttribute('nonce')!);
      element.setAttribute('nonce', '');
    }
  };
  prepare(document);

  const all = (selector: string, root: ParentNode = document): any[] => [
    ...root.querySelectorAll(selector),
  ];
  const one = (selector: string, root?: ParentNode): any => {
    const [found] = all(selector, root);
    assert.ok(found, `${selector} is there`);
    return found;
  };
  /** Tells whether a handler that the page has on the element hears of it. */
  const fire = (target: any, type: 'load' | 'error' | 'DOMContentLoaded'): boolean => {
    const event = new Event(type);
    let heard = true;
    const stop = event.stopImmediatePropagation.bind(event);
    event.stopImmediatePropagation = () => {
      heard = false;
      stop();
    };
    target.dispatchEvent(event);
    return heard;
  };

  return {
    document: document as Omit<Document, 'readyState'> & { readyState: DocumentReadyState },
    files,
    network,
    timers,
    entries,
    shown,
    drawn,
    added,
    faces: (): FakeFace[] => [...document.fonts],
    one,
    all,
    arrive,
    fire,
    sheet: (selector: string): FakeSheet => one(selector).sheet,
    hrefs: (): string[] =>
      all('link').map((link) => link.getAttribute('href').replace(ORIGIN, '')),
    /** The sheet of the element is loaded, and the element told. */
    load(element: any): void {
      arrive(element);
      fire(element, 'load');
    },
    frame(): void {
      const due = frames;
      frames = [];
      for (const task of due) task();
    },
    frames: (): number => frames.length,
    shadow(host: any, markup: string): ShadowRoot {
      const root = host.attachShadow({ mode: 'open' });
      root.innerHTML = markup;
      prepare(root);
      return root;
    },
  };
};

export type Page = ReturnType<typeof openPage>;
