// Waiting for what is to happen, with a deadline.
export const DEADLINE = 15_000;

/** Asks until the answer is true, and says what it was last if it never is. */
export const until = async (what, ask, deadline = DEADLINE) => {
  const end = Date.now() + deadline;
  let last;
  do {
    try {
      last = await ask();
      if (last === true) return;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 20));
  } while (Date.now() < end);
  throw new Error(
    `never happened: ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
  );
};
