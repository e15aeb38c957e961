// What the server tells in status.json, and the words for it.
import type { Change } from '../wire';

export interface Root {
  path: string;
  how: 'native' | 'mixed' | 'polling' | 'within' | 'waiting' | 'starting' | 'unwatched';
  why: string;
  directories: number;
  files: number;
  polled_directories: number;
}

export interface Batch {
  time: string;
  latency_ms: number;
  /** Of the changes; the first ones of them are listed. */
  count: number;
  changes: Change[];
}

export interface Stream {
  name: string;
  client: string | null;
  agent: string | null;
  since: string;
  behind: boolean;
  shows_status: boolean;
  /** Null: it has not said. */
  pages: string[] | null;
}

export interface Facts {
  version: string;
  project: string;
  state: 'native' | 'mixed' | 'polling' | 'unwatched' | 'starting' | 'off';
  process: number;
  since: string | null;
  server: {
    name: string | null;
    version: string | null;
    reloads: boolean;
    is_one_of_several: boolean;
  };
  loop: string;
  python: string;
  polling: boolean | null;
  poll_interval: number;
  exclude: string[];
  ready: boolean;
  directories: number;
  files: number;
  roots: Root[];
  served: { path: string; url: string }[];
  warnings: { time: string; text: string }[];
  /** Newest first, like the warnings. */
  batches: Batch[];
  streams: Stream[];
}

const number = new Intl.NumberFormat('en');

export const count = (many: number, what: string): string =>
  `${number.format(many)} ${many === 1 ? what : what.replace(/y$/, 'ie') + 's'}`;

/** The state in words; `gone`: the server does not answer. */
export const titleOf = (state: Facts['state'], gone: boolean): string =>
  gone
    ? 'The server is away'
    : {
        native: 'Watching natively',
        mixed: 'Watching, in part by polling',
        polling: 'Watching by polling',
        unwatched: 'Not watching',
        starting: 'Looking for the first time',
        off: 'Off',
      }[state];

export const howOf = (how: Root['how']): string =>
  ({ native: 'native', within: 'covered', waiting: 'waited for', unwatched: 'not watched' })[
    how as string
  ] ?? how;

export const summaryOf = (facts: Facts): string[] => {
  const { server } = facts;
  return [
    `${count(facts.files, 'file')} in ${count(facts.directories, 'directory')}`,
    ['native', 'starting', 'off'].includes(facts.state)
      ? ''
      : `polled every ${facts.poll_interval * 1000} ms`,
    [server.name ?? 'unknown server', server.version ?? ''].join(' ').trim(),
    server.reloads ? 'restarts for Python code' : '',
    server.is_one_of_several ? `worker ${facts.process}, one of several` : '',
    facts.loop,
    facts.since ? `since ${clock(facts.since)}` : '',
  ].filter(Boolean);
};

/** The time of day, where the person is. */
export const clock = (time: string): string => new Date(time).toTimeString().slice(0, 8);

/** What pages do about it that use the files. */
export const effectOf = ({ changes, count }: Batch): 'swap' | 'reload' =>
  count === changes.length &&
  changes.every(({ kind }) => kind === 'css' || kind === 'image' || kind === 'font')
    ? 'swap'
    : 'reload';

/** What kind of file it is. */
export const wordOf = (kind: Change['kind'], path: string): string =>
  kind === 'other' ? (/[^/]\.(\w{1,8})$/.exec(path)?.[1]?.toLowerCase() ?? 'file') : kind;

export const latencyOf = (milliseconds: number): string =>
  milliseconds < 10
    ? `${milliseconds.toFixed(1)} ms`
    : milliseconds < 1000
      ? `${Math.round(milliseconds)} ms`
      : `${(milliseconds / 1000).toFixed(1)} s`;

/** Percent of the bar: from 0.1 ms to 10 s, each ten times as long a fifth more. */
export const lengthOf = (milliseconds: number): number =>
  Math.round(Math.min(100, Math.max(2, 20 * (Math.log10(milliseconds || 0.1) + 1))));

/** An address that leads to a page of this site, else nothing. Tabs in it a browser leaves out. */
export const linkOf = (address: string): string | undefined =>
  /^\/(?![/\\])[!-~]*$/.test(address) ? address : undefined;
