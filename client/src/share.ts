import type { Way } from './carrier';
import { hostHub } from './host';
import type { Hub } from './hub';
import type { ToHub, ToPage } from './wire';

/** What goes over the channel: what a page says to whoever leads, or what the leader says. */
type Packet =
  | { page: string; toHub: ToHub }
  /** Without a page: to all. */
  | { page: string | undefined; toPage: ToPage };

type Channel = Pick<BroadcastChannel, 'onmessage' | 'postMessage' | 'close'>;

export interface ShareDeps {
  /** Makes the hub of this page, once it leads. */
  hub(): Hub;
  /** Throws where there is none, as `lock` does. */
  channel(): Channel;
  /** Rejects if the lock is stolen, or the signal is given first. */
  lock(options: LockOptions, held: () => Promise<void> | void): Promise<unknown>;
  /** Whether the page is looked at. */
  seen(): boolean;
  /** Names this page among all. */
  name: string;
}

/**
 * The hub in a page: the one that holds the lock leads, the others reach it over the channel. A page
 * that is looked at takes the lead, since the timers of others are slowed down or stopped. With every
 * new leader the pages say anew where they are, so that a leader takes nothing with it. Where there
 * is no lock or no channel each page leads itself.
 */
export const createShare = (deps: ShareDeps): Way => {
  let hub: Hub | undefined;

  return (deliver) => {
    const seats = new Map<string, (message: ToHub) => void>();
    let channel: Channel | undefined;
    let queued: AbortController | undefined;
    let release: (() => void) | undefined;
    /** The grant of the lock by which this page leads. */
    let tenure: object | undefined;
    let leads = false;
    let isStealing = false;
    let isOpen = false;

    const post = (packet: Packet): void => channel?.postMessage(packet);

    const receive = (page: string, message: ToHub): void => {
      let seat = seats.get(page);
      if (!seat) {
        seat = hub!.join(page === deps.name ? deliver : (toPage) => post({ page, toPage }));
        seats.set(page, seat);
      }
      seat(message);
    };

    const say = (toHub: ToHub): void => {
      if (leads) receive(deps.name, toHub);
      else post({ page: deps.name, toHub });
    };

    const lead = (): void => {
      hub ??= deps.hub();
      leads = true;
    };

    const resign = (): void => {
      leads = false;
      seats.forEach((seat) => seat(['close']));
      seats.clear();
    };

    /** Leads until `release` is called, or the lock is taken away. */
    const hold = (options: LockOptions, granted: () => void): Promise<unknown> => {
      const mine = {};
      let isLost = false;
      return deps
        .lock(options, () => {
          // WebKit may say that the lock was taken away before it says that it was given.
          if (isLost) return;
          granted();
          if (!isOpen) return;
          tenure = mine;
          lead();
          post({ page: undefined, toPage: ['who'] });
          deliver(['who']);
          return new Promise<void>((done) => (release = done));
        })
        .catch((error) => {
          isLost = true;
          // A page may take the lock from itself, when two of its requests meet.
          if (!isOpen || (tenure && tenure !== mine)) return;
          if (!tenure) throw error;
          tenure = undefined;
          resign();
          ask();
          deliver(['who']);
        });
    };

    const ask = (): void => {
      if (queued) return;
      const waiting = (queued = new AbortController());
      hold({ signal: waiting.signal }, () => (queued = undefined)).catch(({ name }) => {
        if (waiting.signal.aborted) return;
        if (name === 'AbortError') {
          queued = undefined;
          ask();
          return;
        }
        // There is no lock to be had.
        lead();
        deliver(['who']);
      });
    };

    const steal = (): void => {
      if (isStealing) return;
      isStealing = true;
      const settled = (): void => {
        isStealing = false;
      };
      hold({ steal: true }, settled).catch(() => {
        settled();
        ask();
      });
    };

    const start = (): void => {
      isOpen = true;
      try {
        channel = deps.channel();
        channel.onmessage = ({ data }: MessageEvent<Packet>) => {
          if ('toHub' in data) {
            if (leads) receive(data.page, data.toHub);
          } else if (!leads && (data.page ?? deps.name) === deps.name) deliver(data.toPage);
        };
        // To ask and then take it would be to take it from itself.
        if (deps.seen()) steal();
        else ask();
        deliver(['here']);
      } catch {
        lead();
      }
    };

    const stop = (): void => {
      isOpen = false;
      tenure = undefined;
      queued?.abort();
      queued = undefined;
      if (leads) resign();
      release?.();
      channel?.close();
      channel = undefined;
    };

    return (message) => {
      if (message[0] === 'open' && !isOpen) start();
      if (message[0] === 'wake' && channel && !leads) steal();
      say(message);
      if (message[0] === 'close') stop();
    };
  };
};

export const share = (events: string, build: string): Way => {
  const name = `starlette-hot-reload ${events} ${build}`;
  return createShare({
    hub: () => hostHub(events),
    channel: () => new BroadcastChannel(name),
    lock: (options, held) => navigator.locks.request(name, options, held),
    seen: () => !document.hidden,
    name: String(Math.random()),
  });
};
