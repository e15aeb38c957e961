// A three-way merge of a page. What the server changed from one answer to the next is changed in the
// live document; what scripts and people have made of it since is theirs, and stays. So nothing that
// the server left alone is touched: not its focus, values, scroll, media, frames or shadow roots.

type Step = () => void;
type Pairs = Map<Node, Node>;

export interface Merge {
  /** Carries it out; throws where the page has come in between. */
  apply(): void;
}

/** Elements with the same tag but of another one of these are never the same element. */
const IDENTITY: Record<string, readonly string[]> = {
  input: ['name', 'type'],
  link: ['rel', 'href'],
  option: ['value'],
  select: ['name'],
  textarea: ['name'],
};
/** Beyond so many possible pairs children are paired in order. */
const MANY = 100_000;
/** Not for the merge. */
const KEEP = 'data-hot-reload-keep';

const isElement = (node: Node | null | undefined): node is Element => node?.nodeType === 1;
/** White space is not missed. */
const isSomething = (node: Node): boolean => isElement(node) || !!node.nodeValue!.trim();
const childrenOf = (node: Node): Node[] => [...node.childNodes];
const withoutMark = (value: string | null): string =>
  (value ?? '').replace(/[?&]hot-reload=\w*/, '');

const identityOf = (node: Node): string => {
  if (!isElement(node)) return '';
  const id = node.getAttribute('id');
  return id
    ? `#${id}`
    : (IDENTITY[node.localName] ?? [])
        .map((name) => withoutMark(node.getAttribute(name)))
        .join(' ')
        .trim();
};

/** The values of the options that are chosen, if those are not what the markup says. */
export const choiceOf = (select: HTMLSelectElement): string[] | undefined => {
  const options = [...select.options];
  const now = options.filter(({ selected }) => selected);
  const marked = options.filter(({ defaultSelected }) => defaultSelected);
  // HTML, 4.10.7: a drop-down box has its last marked option, or the first that can be had.
  const initial =
    select.multiple || select.size > 1
      ? marked
      : [marked.at(-1) ?? options.find(({ disabled }) => !disabled)];
  const isInitial =
    now.length === initial.length && now.every((option) => initial.includes(option));
  return isInitial ? undefined : now.map(({ value }) => value);
};

/** Tells nodes of all three documents apart, for as long as none of them changes. */
const createMatcher = () => {
  const markups = new WeakMap<Node, string>();
  const words = new WeakMap<Node, Set<string>>();

  const remembered = <Value>(known: WeakMap<Node, Value>, node: Node, make: () => Value): Value => {
    if (!known.has(node)) known.set(node, make());
    return known.get(node)!;
  };

  const markupOf = (node: Node): string =>
    remembered(markups, node, () => (isElement(node) ? node.outerHTML : `${node.nodeValue}`));

  const wordsOf = (node: Node): Set<string> =>
    remembered(words, node, () => new Set(markupOf(node).match(/[^\s<>="]+/g)));

  const same = (a: Node, b: Node): boolean =>
    a.nodeName === b.nodeName && markupOf(a) === markupOf(b);

  /** 0 for what cannot be the same node. */
  const likeness = (a: Node, b: Node): number => {
    const [mine, yours] = [identityOf(a), identityOf(b)];
    if (a.nodeName !== b.nodeName || (mine && yours && mine !== yours)) return 0;
    const [few, many] = [wordsOf(a), wordsOf(b)];
    let common = 0;
    for (const word of few) if (many.has(word)) common++;
    if (mine && mine === yours) common += 1000;
    return 0.5 + common * (same(a, b) ? 2 : 1);
  };

  /** Which of `a` became which of `b`; the order is the same in both. */
  const align = (a: readonly Node[], b: readonly Node[]): Pairs => {
    const pairs: Pairs = new Map();
    let start = 0;
    let [endA, endB] = [a.length, b.length];
    while (start < endA && start < endB && same(a[start]!, b[start]!))
      pairs.set(a[start]!, b[start++]!);
    while (start < endA && start < endB && same(a[endA - 1]!, b[endB - 1]!))
      pairs.set(a[--endA]!, b[--endB]!);

    const [rows, columns] = [endA - start, endB - start];
    const at = (row: number, column: number) => row * (columns + 1) + column;
    if (rows * columns > MANY) {
      for (let i = start; i < Math.min(endA, endB); i++)
        if (likeness(a[i]!, b[i]!)) pairs.set(a[i]!, b[i]!);
      return pairs;
    }
    // The most alike common subsequence; `best` is of what follows a row and a column.
    const best = new Float64Array(at(rows + 1, 0));
    const paired = (i: number, j: number): number => {
      const gain = likeness(a[start + i]!, b[start + j]!);
      return gain && gain + best[at(i + 1, j + 1)]!;
    };
    for (let i = rows; i--;)
      for (let j = columns; j--;)
        best[at(i, j)] = Math.max(paired(i, j), best[at(i + 1, j)]!, best[at(i, j + 1)]!);
    for (let i = 0, j = 0; i < rows && j < columns;) {
      const most = best[at(i, j)]!;
      if (most && most === paired(i, j)) pairs.set(a[start + i++]!, b[start + j++]!);
      else if (most === best[at(i + 1, j)]) i++;
      else j++;
    }
    return pairs;
  };

  return { same, align, markupOf };
};

const isStylesheet = (node: Node): node is HTMLLinkElement =>
  isElement(node) && node.localName === 'link' && /stylesheet/.test(node.getAttribute('rel') ?? '');

const whenLoaded = (link: Element): Promise<unknown> =>
  new Promise((done) => {
    link.addEventListener('load', done);
    link.addEventListener('error', done);
  });

/**
 * `base` and `next` are what the server said, before and now; `live` is what the page made of `base`.
 * `mayBeScripts` says whether scripts may have added to a node of `base` before it was taken. There is
 * no merge where what the server changed is not to be found, or may not be the server's.
 */
export const planMerge = (
  live: Element,
  base: Element,
  next: Element,
  mayBeScripts: (node: Node) => boolean,
): Merge | undefined => {
  const document = live.ownerDocument;
  const { same, align, markupOf } = createMatcher();
  const steps: Step[] = [];
  const removed: [base: Node, live: Node][] = [];
  const inserted: Node[] = [];
  /** Of nodes of `next` whose place is new: the live one that takes it. */
  const moved: Pairs = new Map();
  /** What of `next` holds such nodes. */
  const holders = new Set<Node>();
  const sheets: Element[] = [];
  const nonce = document.querySelector<HTMLElement>('[nonce]')?.nonce;
  let isLost = false;

  const prepare = (copy: Node): void => {
    if (!isElement(copy)) return;
    for (const element of [copy, ...copy.querySelectorAll<HTMLElement>('[nonce],link')]) {
      if (isStylesheet(element) && !element.disabled) sheets.push(element);
      // The policy in force is that of the document, not of this answer.
      if (nonce && element.hasAttribute('nonce')) (element as HTMLElement).nonce = nonce;
    }
  };

  const place = (parent: Node, node: Node, before: Node | null): Node => {
    const old = moved.get(node);
    if (old) {
      // Keeps focus, frames and media, where a browser has it.
      if ('moveBefore' in parent) (parent.moveBefore as Node['insertBefore'])(old, before);
      else parent.insertBefore(old, before);
      return old;
    }
    const isWhole = !holders.has(node);
    const copy = document.importNode(node, isWhole);
    prepare(copy);
    parent.insertBefore(copy, before);
    if (!isWhole) for (const child of node.childNodes) place(copy, child, null);
    return copy;
  };

  /** What is missing now may be what a script had put there. */
  const doubt = (place: Node): void => void (isLost ||= mayBeScripts(place));

  const planAttributes = (live: Element, base: Element, next: Element): void => {
    const names = [...base.attributes, ...next.attributes].map(({ name }) => name);
    for (const name of new Set(names)) {
      const [was, now] = [base.getAttribute(name), next.getAttribute(name)];
      if (was === now) continue;
      if (name === 'class') {
        const [old, names] = [was, now].map((value): string[] => value?.match(/\S+/g) ?? []);
        if (old!.some((one) => !names!.includes(one))) doubt(base);
        steps.push(() => {
          live.classList.remove(...old!);
          live.classList.add(...names!);
        });
      } else if (now === null) {
        doubt(base);
        steps.push(() => live.removeAttribute(name));
      }
      // A parser takes names that setAttribute refuses, as `@click`.
      else
        steps.push(() => live.setAttributeNode(next.getAttributeNode(name)!.cloneNode() as Attr));
    }
  };

  const planChildren = (live: Node, base: Node, next: Node): void => {
    const [olds, news, lives] = [childrenOf(base), childrenOf(next), childrenOf(live)];
    const successors = align(olds, news);
    const partners = align(olds, lives);
    const origins: Pairs = new Map([...successors].map(([old, node]) => [node, old]));

    /** Scripts may have put it elsewhere. */
    const find = (old: Node): Node | undefined => {
      const near = partners.get(old);
      if (near) return near;
      const taken = new Set(partners.values());
      const id = isElement(old) && old.getAttribute('id');
      const found =
        lives.find((node) => !taken.has(node) && same(old, node)) ??
        ((id && document.getElementById(id)) || undefined);
      if (found) partners.set(old, found);
      return found;
    };

    for (const old of olds) {
      if (successors.has(old)) continue;
      const found = find(old);
      if (found) removed.push([old, found]);
    }
    let before: () => Node | null = () => null;
    for (const node of news.reverse()) {
      const old = origins.get(node);
      if (!old) {
        const anchor = before;
        let made: Node | null = null;
        inserted.push(node);
        steps.push(() => (made = place(live, node, anchor())));
        before = () => made;
        continue;
      }
      const found = same(old, node) ? partners.get(old) : find(old);
      if (found && !same(old, node)) planNode(found, old, node);
      else if (!found && !same(old, node)) isLost ||= isSomething(old);
      if (found?.parentNode === live) before = () => found;
    }
  };

  const planNode = (live: Node, base: Node, next: Node): void => {
    if (!isElement(live) || !isElement(base) || !isElement(next)) {
      steps.push(() => (live.nodeValue = next.nodeValue));
      return;
    }
    const isTypedInto = live === document.activeElement && (live as HTMLElement).isContentEditable;
    // Where scripts run, noscript holds text.
    if (isTypedInto || live.hasAttribute(KEEP) || live.localName === 'noscript') return;
    const choice = live.localName === 'select' && choiceOf(live as HTMLSelectElement);
    planAttributes(live, base, next);
    planChildren(live, base, next);
    if (choice)
      steps.push(() => {
        for (const option of (live as HTMLSelectElement).options)
          option.selected = choice.includes(option.value);
      });
  };

  /** What was taken out at one place and put in at another has only moved. */
  const planMoves = (): void => {
    const pool = new Map<string, [base: Element, live: Element]>();
    const nameOf = (element: Element) =>
      `${element.localName} ${identityOf(element) || markupOf(element)}`;
    const offer = (old: Node, node: Node): void => {
      if (!isElement(old) || !isElement(node)) return;
      pool.set(nameOf(old), [old, node]);
      align(childrenOf(old), childrenOf(node)).forEach((found, child) => offer(child, found));
    };
    removed.forEach(([old, node]) => offer(old, node));
    const take = (node: Node): void => {
      if (!isElement(node)) return;
      const found = pool.get(nameOf(node));
      if (!found) return node.childNodes.forEach(take);
      const [old, element] = found;
      pool.delete(nameOf(node));
      moved.set(node, element);
      for (let holder = node.parentNode; holder; holder = holder.parentNode) holders.add(holder);
      if (!same(old, node)) planNode(element, old, node);
    };
    // Grows meanwhile.
    for (const node of inserted) take(node);
  };

  if (!same(base, next)) planNode(live, base, next);
  if (removed.length) planMoves();
  const kept = new Set(moved.values());
  const gone = removed.filter(([, node]) => !kept.has(node));
  for (const [old] of gone) if (isSomething(old)) doubt(old.parentNode!);
  if (isLost) return undefined;

  return {
    apply() {
      steps.forEach((step) => step());
      const loaded = Promise.all(sheets.map(whenLoaded));
      for (const [, node] of gone) {
        const element = node as ChildNode;
        if (isElement(node) && node.hasAttribute(KEEP)) continue;
        // Its successor is not there yet.
        if (isStylesheet(node) && sheets.length) void loaded.then(() => element.remove());
        else element.remove();
      }
    },
  };
};
