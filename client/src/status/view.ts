// The page. Whatever comes from a file or a request becomes text, never markup.
import {
  clock,
  count,
  effectOf,
  howOf,
  latencyOf,
  lengthOf,
  linkOf,
  summaryOf,
  titleOf,
  wordOf,
  type Batch,
  type Facts,
  type Root,
  type Stream,
} from './facts';

/** More files of a batch are folded. */
const SHOWN = 8;
const SIGNS = { added: '+', modified: '~', removed: '−' };

export const createView = (document: Document) => {
  const at = (id: string): HTMLElement => document.getElementById(id)!;

  const make = (tag: string, name = '', ...content: (Node | string)[]): HTMLElement => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.append(...content);
    return element;
  };

  const time = (moment: string): HTMLElement => {
    const element = make('time', '', clock(moment));
    element.setAttribute('datetime', moment);
    return element;
  };

  /** Something to be seen, with the word for those who hear it. */
  const sign = (text: string, word: string): HTMLElement => {
    const shown = make('span', 'sign', text);
    shown.setAttribute('aria-hidden', 'true');
    return make('span', '', shown, make('span', 'heard', word));
  };

  const file = ({ path, kind, op }: Batch['changes'][number]): HTMLElement =>
    make('li', `${kind} ${op}`, sign(SIGNS[op], `${op} `), make('code', '', path), make('small', '', wordOf(kind, path)));

  const files = ({ changes, count: all }: Batch): Node[] => {
    const more = all - changes.length;
    const hidden = changes.slice(SHOWN).map(file);
    if (more) hidden.push(make('li', '', `and ${count(more, 'more file')}`));
    const list = make('ul', 'files', ...changes.slice(0, SHOWN).map(file));
    if (!hidden.length) return [list];
    const rest = make('ul', 'files', ...hidden);
    return [list, make('details', '', make('summary', '', count(all - SHOWN, 'more file')), rest)];
  };

  const batch = (one: Batch): HTMLElement => {
    const bar = make('i');
    bar.style.width = `${lengthOf(one.latency_ms)}%`;
    const latency = make('span', 'latency', make('span', 'bar', bar));
    latency.append(make('span', '', latencyOf(one.latency_ms)));
    latency.title = 'From the first sign of a change until all of it was written and known';
    const effect = effectOf(one);
    const head = make('p', '', time(one.time), make('b', effect, effect), latency);
    return make('li', '', head, ...files(one));
  };

  const cells = (...content: (Node | string)[]): HTMLElement =>
    make('tr', '', ...content.map((each) => make('td', '', each)));

  const root = (one: Root): HTMLElement => {
    const how = make('span', '', make('b', `how ${one.how}`, howOf(one.how)));
    if (one.why) how.append(make('small', '', one.why));
    const known = one.files || one.directories ? count(one.files, 'file') : '–';
    const path = make('span', '', make('code', '', one.path));
    if (one.path === '.') path.append(make('small', '', 'the working directory'));
    return cells(path, how, known);
  };

  const address = (text: string): HTMLElement => {
    const link = linkOf(text);
    if (!link) return make('li', '', make('code', '', text));
    const element = make('a', '', text);
    element.setAttribute('href', link);
    return make('li', '', element);
  };

  const stream = (one: Stream, me: string | undefined): HTMLElement => {
    const who = make('p', '', make('b', '', one.agent ?? 'unknown client'));
    const more = [one.client ?? '', `since ${clock(one.since)}`, one.behind ? 'catching up' : ''];
    who.append(make('small', '', more.filter(Boolean).join(' · ')));
    const pages = one.shows_status
      ? [make('li', 'own', one.name === me ? 'this page' : 'a page like this one')]
      : (one.pages?.map(address) ?? [make('li', 'own', 'has not said which pages')]);
    return make('li', '', who, make('ul', '', ...pages));
  };

  const fill = (id: string, content: Node[]): void => {
    at(id).replaceChildren(...content);
    at(`${id}-none`)?.toggleAttribute('hidden', content.length > 0);
  };

  /** Those shown, by what names them: what a person has unfolded stays so. */
  let shown = new Map<string, HTMLElement>();
  const showBatches = (batches: Batch[]): void => {
    const isFirst = !at('batches').childElementCount;
    const next = new Map<string, HTMLElement>();
    for (const one of batches) {
      const key = `${one.time} ${one.count} ${one.changes[0]?.path}`;
      const known = shown.get(key);
      const element = known ?? batch(one);
      if (!known && !isFirst) element.classList.add('new');
      next.set(key, element);
    }
    for (const [key, element] of shown) if (!next.has(key)) element.remove();
    [...next.values()].forEach((element, index) => {
      const list = at('batches');
      if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    });
    shown = next;
    at('batches-none').toggleAttribute('hidden', batches.length > 0);
  };

  /** Said only when it changes, or it would be read out again. */
  const say = (id: string, text: string): void => {
    if (at(id).textContent !== text) at(id).textContent = text;
  };

  let last: Facts | undefined;
  const showState = (gone: boolean): void => {
    const state = gone ? 'off' : (last?.state ?? 'starting');
    document.body.className = `is-${state}${gone ? ' is-gone' : ''}`;
    say('state', titleOf(state, gone));
    say('live', gone ? 'What follows is what was last known.' : '');
  };

  return {
    /** `me`: the name of this page's own stream. */
    show(facts: Facts, me: string | undefined): void {
      last = facts;
      document.title = `Hot reload · ${facts.project}`;
      showState(false);
      say('project', facts.project);
      at('summary').replaceChildren(...summaryOf(facts).map((text) => make('li', '', text)));
      at('warned').toggleAttribute('hidden', !facts.warnings.length);
      fill(
        'warnings',
        facts.warnings.map((one) => make('li', '', time(one.time), ' ', one.text)),
      );
      showBatches(facts.batches);
      fill('roots', facts.roots.map(root));
      fill(
        'streams',
        facts.streams.map((one) => stream(one, me)),
      );
      fill(
        'served',
        facts.served.map((one) => cells(make('code', '', one.url), make('code', '', one.path))),
      );
      at('mapped').toggleAttribute('hidden', !facts.served.length);
      const ignored = facts.exclude.map((pattern) => make('code', '', pattern));
      at('ignored').toggleAttribute('hidden', !ignored.length);
      at('patterns').replaceChildren(...ignored.flatMap((one) => [one, ' ']));
      say('version', facts.version);
    },

    away: () => showState(true),
  };
};
