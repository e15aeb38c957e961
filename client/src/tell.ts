export interface TellerDeps {
  /** The addresses of the pages that are open. */
  pages(): string[];
  /** Brings the server a body of JSON; resolves with the status of the answer. */
  post(body: string): Promise<number>;
  /** Runs `task` after `milliseconds`; returns what cancels it. */
  timer(task: () => void, milliseconds: number): () => void;
}

/** A page that is reloaded leaves and comes back, in milliseconds. */
const PAUSE = 200;
/** The answer of a server that wants to know more. */
const ACCEPTED = 202;

/** Tells the server which pages there are: when it asks, and from then on for as long as it cares. */
export const createTeller = ({ pages, post, timer }: TellerDeps) => {
  let stream: string | undefined;
  let isDue = false;

  const tell = (): void => {
    const asked = stream;
    isDue = false;
    if (asked === undefined) return;
    post(JSON.stringify({ stream: asked, pages: pages() })).then(
      (status) => {
        if (status !== ACCEPTED && stream === asked) stream = undefined;
      },
      () => 0,
    );
  };

  return {
    /** The server asks, over the stream that it calls `name`. */
    ask(name: string): void {
      stream = name;
      tell();
    },

    /** A page has come or gone. */
    changed(): void {
      if (stream === undefined || isDue) return;
      isDue = true;
      timer(tell, PAUSE);
    },
  };
};
