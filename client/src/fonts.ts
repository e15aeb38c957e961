import { inCss } from './addresses';
import { marking, type Face } from './images';

export type MarkOf = (resource: string) => string | undefined;

/** Tells faces apart. The engines differ in the case of a unicode-range. */
const keyOf = ({ family, style, weight, stretch, unicodeRange }: FontFace): string =>
  [family.replace(/["']/g, ''), style, weight, stretch, unicodeRange].join().toLowerCase();

/** `unicode-range` → `unicodeRange`, `font-weight` → `weight`. */
const descriptorOf = (property: string): string =>
  property.replace('font-', '').replace(/-(\w)/g, (_, letter) => letter.toUpperCase());

const faceOf = ({ rule: { style }, base }: Face, markOf: MarkOf): FontFace => {
  const descriptors: Record<string, string> = {};
  for (const name of style)
    if (!/^(src|font-family)$/.test(name))
      descriptors[descriptorOf(name)] = style.getPropertyValue(name);
  const source = inCss(style.getPropertyValue('src'), (address) =>
    // A FontFace resolves against the document, and not against the sheet.
    marking(base, markOf)(new URL(address, base).href),
  );
  return new FontFace(style.getPropertyValue('font-family'), source, descriptors);
};

/** Firefox lets no descriptor of a rule be set, so the rule is put in anew. */
export const replaceFace = ({ rule, base }: Face, markOf: MarkOf): void => {
  const text = inCss(rule.cssText, marking(base, markOf));
  const parent = (rule.parentRule ?? rule.parentStyleSheet) as CSSGroupingRule | null;
  const index = parent ? [...parent.cssRules].indexOf(rule) : -1;
  if (index < 0 || text === rule.cssText) return;
  parent!.insertRule(text, index);
  parent!.deleteRule(index + 1);
};

/**
 * A face of a rule that is put in anew has to be loaded again, even if only from the cache, and
 * its text is invisible for as long. Meanwhile faces of script stand in, which come last and win.
 */
export const createFonts = ({ fonts }: Document) => {
  const made = new Map<string, { source: string; face: FontFace }>();
  const standing = new Set<FontFace>();
  let holds = 0;

  /** Whether text is shown in it. */
  const isLoaded = (face: Face): boolean => {
    const key = keyOf(faceOf(face, () => undefined));
    return [...fonts].some((one) => one.status === 'loaded' && keyOf(one) === key);
  };

  const standIn = (face: Face, markOf: MarkOf): FontFace => {
    const fresh = faceOf(face, markOf);
    const key = keyOf(fresh);
    const source = inCss(face.rule.cssText, marking(face.base, markOf));
    const known = made.get(key);
    if (known?.source === source) return known.face;
    made.set(key, { source, face: fresh });
    return fresh;
  };

  const release = (keys: Set<string>): void => {
    const waiting = [...fonts].filter((face) => !standing.has(face) && keys.has(keyOf(face)));
    void Promise.allSettled(waiting.map((face) => face.load())).then(() => {
      if (--holds) return;
      standing.forEach((face) => fonts.delete(face));
      standing.clear();
    });
  };

  /** Runs `task`, at once if it can, with text in the faces that it has until `release` is called. */
  const hold = (faces: Face[], markOf: MarkOf, task: (release: () => void) => void): void => {
    const used = faces.filter(isLoaded).map((face) => standIn(face, markOf));
    if (!used.length) return task(() => {});
    const run = (): void => {
      holds++;
      for (const face of used) if (face.status === 'loaded') fonts.add(standing.add(face) && face);
      task(() => release(new Set(used.map(keyOf))));
    };
    if (used.every(({ status }) => status === 'loaded')) run();
    else void Promise.allSettled(used.map((face) => face.load())).then(run);
  };

  return { isLoaded, hold };
};

export type Fonts = ReturnType<typeof createFonts>;
