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
      release = undefined;
      seats.forEach((seat) => seat(['close']));
      seats.clear();
    };

    const held = (): Promise<void> | void => {
      if (!isOpen) return;
      lead();
      post({ page: undefined, toPage: ['who'] });
      deliver(['who']);
      return new Promise((done) => (release = done));
    };

    const ask = (): void => {
      if (queued) return;
      const current = (queued = new AbortController());
      const granted = (): Promise<void> | void => {
        queued = undefined;
        return held();
      };
      deps.lock({ signal: current.signal }, granted).catch(() => {
        if (current.signal.aborted) return;
        if (queued === current) alone();
        else stolen();
      });
    };

    const stolen = (): void => {
      if (!isOpen) return;
      resign();
      ask();
      deliver(['who']);
    };

    const alone = (): void => {
      lead();
      deliver(['who']);
    };

    const steal = (): void => {
      if (isStealing) return;
      isStealing = true;
      const granted = (): Promise<void> | void => {
        isStealing = false;
        return held();
      };
      deps.lock({ steal: true }, granted).catch(stolen);
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
        ask();
        deliver(['here']);
      } catch {
        lead();
      }
    };

    const stop = (): void => {
      isOpen = false;
      queued?.abort();
      queued = undefined;
      const done = release;
      if (leads) resign();
      done?.();
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
    name: String(Math.random()),
  });
};
