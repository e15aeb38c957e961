import { createConnection, type ConnectionDeps, type Source } from './connection';
import { bootOf, isLater, type Hello, type ToHub, type ToPage, type Update } from './wire';

export interface HubDeps extends Pick<ConnectionDeps, 'timer' | 'clock' | 'random'> {
  /** Opens a stream that goes on from `cursor`. */
  source(cursor: string): Source;
  /** There are other pages now. */
  changed?(): void;
}

export interface Hub {
  /** A seat for a page, to which `deliver` goes; what is returned takes what the page says. */
  join(deliver: (message: ToPage) => void): (message: ToHub) => void;
  /** Connects anew: the network has changed, and the stream may be dead without a word. */
  renew(): void;
  /** The addresses of the pages that have said theirs. */
  pages(): string[];
}

interface Seat {
  deliver(message: ToPage): void;
  /** Where the page is, until it is greeted; from then on it is where the hub is. */
  waiting: string | undefined;
  address: string | undefined;
}

/** A stream that is gone for longer is spoken of, in milliseconds. */
const GONE = 1000;
/** So many updates are kept for pages that come with an older cursor. */
const KEPT = 100;

/**
 * One stream for many pages.
 *
 * Nothing is lost, by three invariants. `ring` holds all that was told after `floor` up to `now`. The
 * stream always goes on from `now`, whatever interrupts it. A page is greeted only with a cursor from
 * `floor` on, and gets what it lacks out of the ring; for an older one the stream itself goes back to
 * that cursor, and the server's journal answers. The other pages then hear of some things twice, in
 * updates that are no later than they are, and leave them.
 */
export const createHub = ({ source, ...deps }: HubDeps): Hub => {
  const seats = new Set<Seat>();
  let ring: [Update, string][] = [];
  let floor = '';
  let now = '';
  /** Where the stream under way was asked to begin, and then where it is. */
  let sent = '';
  let isGreeted = false;
  let isAway = false;
  let cancelAway: (() => void) | undefined;

  const everyone = (message: ToPage): void => seats.forEach(({ deliver }) => deliver(message));

  const waiting = (): string[] => [...seats].flatMap(({ waiting }) => waiting ?? []);

  const isWithin = (cursor: string): boolean => cursor === floor || isLater(cursor, floor);

  /** A cursor of another boot first, for its page is newer than the hub; else the oldest needed. */
  const wanted = (): string => {
    const cursors = waiting();
    const first = cursors.find((cursor) => bootOf(cursor) !== bootOf(now)) ?? now;
    return cursors.reduce(
      (oldest, cursor) => (isLater(oldest, cursor) && !isWithin(cursor) ? cursor : oldest),
      first,
    );
  };

  const missed = (): void => {
    isGreeted = false;
    cancelAway ??= deps.timer(() => {
      isAway = true;
      everyone(['away']);
    }, GONE);
  };

  const found = (): void => {
    isGreeted = true;
    isAway = false;
    cancelAway?.();
    cancelAway = undefined;
  };

  const greet = (seat: Seat, hello: Hello): void => {
    const since = seat.waiting;
    seat.waiting = undefined;
    seat.deliver(['hello', hello]);
    if (since === undefined || hello.reload) return;
    for (const [update, cursor] of ring)
      if (isLater(cursor, since)) seat.deliver(['update', update, cursor]);
  };

  let latest: Hello;

  const greetWaiting = (): void => {
    for (const seat of seats)
      if (seat.waiting !== undefined && isWithin(seat.waiting))
        greet(seat, { ...latest, cursor: now, reload: false });
    if (waiting().length) connection.open();
  };

  /** The server knows nothing of where it was asked to begin. */
  const refuse = (hello: Hello): void => {
    for (const seat of seats) {
      if (seat.waiting === undefined) continue;
      const isForeign = bootOf(seat.waiting) !== hello.boot;
      if (isForeign || (bootOf(sent) === hello.boot && !isLater(seat.waiting, sent)))
        greet(seat, hello);
    }
  };

  const onHello = (hello: Hello): void => {
    latest = hello;
    const isSame = bootOf(now) === hello.boot;
    if (hello.reload && isSame && sent !== now) {
      // In vain for those who wait; the others have nothing to do with it.
      refuse(hello);
      connection.open();
      return;
    }
    found();
    if (hello.reload || sent !== now) {
      ring = [];
      floor = now = sent = hello.reload ? hello.cursor : sent;
    }
    const reload = hello.reload || !isSame;
    for (const seat of seats)
      if (seat.waiting === undefined)
        greet(seat, { ...hello, reload, cursor: reload ? hello.cursor : now });
      else if (bootOf(seat.waiting) !== hello.boot) greet(seat, { ...hello, reload: true });
    greetWaiting();
  };

  const onUpdate = (update: Update, cursor: string): void => {
    // The end of the server carries the identifier of whatever came before it.
    if (update.type === 'shutdown' || !isLater(cursor, now)) return;
    now = sent = cursor;
    ring.push([update, cursor]);
    if (ring.length > KEPT) floor = ring.shift()![1];
    for (const seat of seats)
      if (seat.waiting === undefined) seat.deliver(['update', update, cursor]);
  };

  const connection = createConnection({
    ...deps,
    source() {
      missed();
      return source((sent = wanted()));
    },
    hello: (data) => onHello(JSON.parse(data)),
    message: (data, cursor) => onUpdate(JSON.parse(data), cursor),
    lost: missed,
  });

  const leave = (seat: Seat): void => {
    seats.delete(seat);
    deps.changed?.();
    if (seats.size) return;
    connection.close();
    found();
    isGreeted = false;
  };

  return {
    join(deliver) {
      const seat: Seat = { deliver, waiting: undefined, address: undefined };
      return ([word, cursor, address]) => {
        if (word === 'close') leave(seat);
        if (word === 'wake' && seats.has(seat)) connection.wake();
        if (word !== 'open') return;
        seat.waiting = cursor;
        seat.address = address;
        seats.add(seat);
        deps.changed?.();
        deliver([isAway ? 'away' : 'here']);
        if (isGreeted) greetWaiting();
        else connection.wake();
      };
    },
    renew() {
      if (seats.size) connection.open();
    },
    pages: () => [...seats].flatMap(({ address }) => address ?? []),
  };
};
