import { inCss, inSrcset, marked, resourceOf, type Rewrite } from './addresses';

export interface Face {
  rule: CSSFontFaceRule;
  base: string;
}

/**
 * In which way the page loads what it shows: for a face, as the part `#…` of a document, or as an
 * image, which has the value of its `crossorigin` attribute.
 */
export type How = Face | string | null;

export interface Visitor {
  /**
   * Told what an address names, and how that is loaded where it is shown now. Answers with the mark
   * that the address shall have, if any. Without this function the visit is one of faces and imports.
   */
  use?(resource: string, how?: How): string | undefined;
  /** A face that has an address to be marked; any face where `use` is not there. */
  face?(face: Face): void;
  imported?(href: string): void;
}

/** By the attribute that holds the address. A link to an image shows none. */
const HOLDERS = new Map([
  ['src', 'img,input[type=image],embed'],
  ['srcset', 'img,picture>source'],
  ['imagesrcset', 'link'],
  ['poster', 'video'],
  ['data', 'object'],
  ['background', 'body,table,tr,td,th'],
  ['href', 'image,feImage,use,link[rel~=icon i],link[rel^=apple-touch-icon i],link[as=image i]'],
]);

/** Marks what shall be marked. */
export const marking =
  (base: string, markOf: (resource: string) => string | undefined): Rewrite =>
  (address) => {
    const mark = markOf(resourceOf(address, base));
    return mark ? marked(address, mark) : address;
  };

/** Undefined where it is not shown, as an image that is still far away. */
const howShown = (element: Element, resource: string): How | undefined => {
  if (element instanceof SVGUseElement) return element.href.baseVal.replace(/^[^#]*/, '');
  const image = element.closest('picture')?.querySelector('img') ?? element;
  if (image instanceof HTMLImageElement)
    if (!image.complete || resourceOf(image.currentSrc, image.baseURI) !== resource) return;
  return image.getAttribute('crossorigin');
};

const visitStyle = (style: CSSStyleDeclaration, rewrite: Rewrite): void => {
  if (!/url\(|image-set\(/i.test(style.cssText)) return;
  for (const name of [...style]) {
    // The longhands of a shorthand with a var() have no value before it is computed.
    const property = style.getPropertyValue(name) ? name : name.replace(/-\w+$/, '');
    const value = style.getPropertyValue(property);
    const rewritten = inCss(value, rewrite);
    if (rewritten !== value)
      style.setProperty(property, rewritten, style.getPropertyPriority(property));
  }
};

const visitElement = (element: Element, use: NonNullable<Visitor['use']>): void => {
  const base = element.baseURI;
  const rewrite = marking(base, (resource) => use(resource, howShown(element, resource)));
  const rewriteStyle = marking(base, (resource) => use(resource, null));
  // By the local name `href` is `xlink:href` too.
  for (const attribute of element.attributes) {
    const { localName, value } = attribute;
    if (localName === 'style') visitStyle((element as HTMLElement).style, rewriteStyle);
    if (!element.matches(HOLDERS.get(localName) ?? 'not-there')) continue;
    const rewritten = localName.endsWith('srcset') ? inSrcset(value, rewrite) : rewrite(value);
    if (rewritten !== value) attribute.value = rewritten;
  }
};

export const visitSheet = (sheet: CSSStyleSheet, base: string, visitor: Visitor): void => {
  const { use, face, imported } = visitor;
  const rewrite = use && marking(base, (resource) => use(resource, null));
  const visitRules = (rules: CSSRuleList): void => {
    for (const each of [...rules]) {
      const rule = each as Partial<CSSImportRule & CSSGroupingRule & CSSStyleRule>;
      if (each instanceof CSSFontFaceRule) {
        const found = { rule: each, base };
        const mark = use && marking(base, (resource) => use(resource, found));
        if (!mark || inCss(each.cssText, mark) !== each.cssText) face?.(found);
      } else if (rule.style && rewrite) visitStyle(rule.style, rewrite);
      if (rule.cssRules) visitRules(rule.cssRules);
      if (rule.href) {
        const { href } = new URL(rule.href, base);
        imported?.(href);
        if (rule.styleSheet) visitSheet(rule.styleSheet, href, visitor);
      }
    }
  };
  try {
    visitRules(sheet.cssRules);
  } catch {
    // Not loaded, or of another origin and not for us to read.
  }
};

/** All that a document may show an image or a font for, in open shadow roots too. */
export const visit = (
  root: Document | ShadowRoot,
  visitor: Visitor & Required<Pick<Visitor, 'use'>>,
): void => {
  for (const sheet of [...root.styleSheets, ...(root.adoptedStyleSheets ?? [])])
    visitSheet(sheet, sheet.href ?? root.baseURI, visitor);
  for (const element of root.querySelectorAll('*')) {
    try {
      visitElement(element, visitor.use);
    } catch {
      // A policy (Trusted Types) does not let us.
    }
    if (element.shadowRoot) visit(element.shadowRoot, visitor);
  }
};
