let refusals = 0;

/** Makes the HTTP cache hold what the server has now. */
export const refresh = (urls: readonly string[]): Promise<unknown> =>
  Promise.all(
    // A page's policy may refuse it; it is not asked, and its report not sent, each time.
    (refusals ? [] : urls).map((url) =>
      fetch(url, { cache: 'reload' })
        .then((response) => response.blob())
        .catch(() => refusals++),
    ),
  );
