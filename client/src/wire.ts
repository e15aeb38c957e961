/** The first event of every connection. */
export interface Hello {
  boot: string;
  cursor: string;
  /** What happened since the cursor that we came with is unknown. */
  reload: boolean;
  /** Whether pages are morphed rather than reloaded. */
  morph?: boolean;
}

export interface Change {
  /** Relative to the server's working directory, or to the watched root. */
  path: string;
  /** The address under which the app serves the file, if it does; percent-encoded on the wire. */
  url: string | null;
  kind: 'css' | 'image' | 'font' | 'script' | 'other';
  op: 'added' | 'modified' | 'removed';
}

export interface Update {
  type: 'css' | 'reload' | 'shutdown';
  files: string[];
  changes: Change[];
}

/** What a page says to the hub: where it is, that it goes, that it is looked at. */
export type ToHub =
  | readonly [word: 'open', cursor: string, address?: string | undefined]
  | readonly [word: 'close' | 'wake'];

/** What the hub says to a page: `here` at once, whatever the server does; `who` asks for an `open`. */
export type ToPage =
  | readonly ['here' | 'away' | 'who']
  | readonly ['hello', Hello]
  | readonly ['update', Update, cursor: string];

/** A cursor is `<boot>.<sequence>`; boot names one run of the server. */
export const bootOf = (cursor: string): string => cursor.split('.')[0]!;

/** Sequences have a fixed width, so within one boot the order of the text is the order in time. */
export const isLater = (a: string, b: string): boolean => bootOf(a) === bootOf(b) && a > b;

/** A path without its percent-encoding, of which there is more than one way for the same bytes. */
export const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // no UTF-8
  }
};
