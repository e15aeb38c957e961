/*
 * libhotreload: from a saved file to the pages that show it.
 *
 *   hr_watch    turns file-system noise into settled batches of changed files
 *   hr_journal  numbers the batches and answers "what changed since this cursor?"
 *   hr_wire     writes that answer as a Server-Sent Event
 *   hr_inject   finds the one place in an HTML document where the tag goes
 *   hr_policy   changes a Content-Security-Policy so that the tag may run, and no further
 *   hr_page     decides, from message heads, whether a response is a document at all
 *   hr_client   hands out the browser's script, which is embedded in the library
 *
 * Conventions. Bytes are a pointer and a size and need no terminator. Objects from hr_x_new() are
 * freed by hr_x_free(), which accepts NULL; structs in the caller's memory have hr_x_init() and,
 * where they own anything, hr_x_fini(). Out-parameters are written on success only. Times are
 * microseconds. Nothing here reads or changes signal handlers, the environment, the locale or the
 * working directory, and no function is a cancellation point to rely on.
 *
 * Threads. Distinct objects are independent. One object is used by one thread at a time, except
 * hr_journal, all of whose functions but hr_journal_free() may be called from any thread at once,
 * and the functions of hr_watch that say so.
 */
#ifndef HOTRELOAD_H
#define HOTRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HR_VERSION "1.0.0"

/* Status. */

#define HR_STATUS_MAP(X)                                                                           \
    X(OK, 0, "success")                                                                            \
    X(NOMEM, -1, "out of memory")                                                                  \
    X(INVALID, -2, "invalid argument")                                                             \
    X(NOT_DIRECTORY, -3, "not a directory")                                                        \
    X(SYSTEM, -4, "the operating system refused; errno says why")                                  \
    X(STATE, -5, "not possible in this state")

typedef enum hr_status {
#define HR_STATUS_ENUM(name, value, text) HR_##name = (value),
    HR_STATUS_MAP(HR_STATUS_ENUM)
#undef HR_STATUS_ENUM
} hr_status;

/* An English phrase for a status; static, never NULL. */
const char *hr_status_text(hr_status status);

/* Bytes. */

/* Borrowed bytes. Who lends them is said where they are returned. `data` may be NULL if `size` is
 * 0. */
typedef struct hr_bytes {
    const char *data;
    size_t size;
} hr_bytes;

/* A growing byte buffer in the caller's memory. Zero-initialised is empty and valid. */
typedef struct hr_buffer {
    char *data; /* malloc'ed, or NULL */
    size_t size;
    size_t capacity;
} hr_buffer;

void hr_buffer_fini(hr_buffer *buffer);

/* Appends; HR_NOMEM leaves the buffer as it was. */
hr_status hr_buffer_append(hr_buffer *buffer, const void *data, size_t size);

/* Changes. */

typedef enum hr_op { HR_OP_ADDED = 1, HR_OP_MODIFIED = 2, HR_OP_REMOVED = 3 } hr_op;

/* "added", "modified" or "removed"; static. */
const char *hr_op_text(hr_op op);

/* One file. `path` is relative to the root, raw bytes as the file system holds them, no leading
 * slash, never empty. `root` counts from 0 in the order of hr_watch_add_root(). */
typedef struct hr_change {
    hr_bytes path;
    uint32_t root;
    hr_op op;
} hr_change;

/* A set of changes: no file twice, directories only through their files, never empty when
 * delivered. Borrowed from whoever hands it out. */
typedef struct hr_batch {
    const hr_change *changes;
    size_t count;
    uint64_t first_us;   /* CLOCK_MONOTONIC of the first hint of this batch */
    uint64_t settled_us; /* CLOCK_MONOTONIC when it was found settled and true */
    int64_t unix_us;     /* CLOCK_REALTIME at settled_us */
} hr_batch;

/* Watch. */

typedef struct hr_watch hr_watch;

typedef enum hr_polling {
    HR_POLLING_AUTO = 0, /* native events where they can be had and trusted, else polling */
    HR_POLLING_ALWAYS = 1,
    HR_POLLING_NEVER = 2 /* native events only; what cannot have them is not watched, and noted */
} hr_polling;

typedef enum hr_level { HR_LEVEL_DEBUG = 10, HR_LEVEL_INFO = 20, HR_LEVEL_WARNING = 30 } hr_level;

typedef struct hr_watch_options {
    hr_polling polling;
    uint64_t poll_interval_us; /* longest time between two scans of a polled part; 0: 250 ms */

    /* Patterns in the syntax of gitignore(5), relative to each root: what to ignore besides the
     * built-in junk and, with a `!`, what to watch although it would be ignored. The last one that
     * matches decides. What lies in an ignored directory is never looked at. Borrowed for
     * hr_watch_new(). */
    const char *const *exclude;
    size_t exclude_count;

    /* Called on the watcher's thread, one at a time, the first one after hr_watch_start(). They may
     * call any function of hr_journal, but none of this watch. The arguments are lent for the call.
     * `on_note` (optional) is told, in words for a person, what is watched and what degrades. */
    void (*on_batch)(void *user, const hr_batch *batch);
    void (*on_note)(void *user, hr_level level, const char *text);
    void (*on_synced)(void *user); /* optional; see hr_watch_sync() */
    void *user;
} hr_watch_options;

typedef struct hr_watch_stats {
    uint64_t directories;        /* known now */
    uint64_t files;              /* known now */
    uint64_t polled_directories; /* of `directories`, those without native events */
    uint64_t wakeups;            /* how often the thread has been woken, by anything */
    uint64_t batches;            /* delivered */
    bool ready;                  /* the first look at every root is over */
} hr_watch_stats;

/* Why native events do not tell all of a root: bits, each for as long as the watch lives. */
enum hr_why {
    HR_WHY_ASKED = 1,    /* hr_watch_options.polling says so */
    HR_WHY_INSTANCE = 2, /* the kernel grants no inotify instance */
    HR_WHY_LIMIT = 4,    /* it grants no more watches */
    HR_WHY_UNTOLD = 8    /* files have changed there without an event */
};

typedef struct hr_root_stats {
    uint64_t directories;        /* known now; what another root holds counts there */
    uint64_t files;              /* known now, likewise */
    uint64_t polled_directories; /* of `directories`, those without native events */
    uint64_t swept_directories;  /* of `directories`, those whose events may not tell everything */
    unsigned why;                /* hr_why; with HR_POLLING_NEVER: why a part is not watched */
    const char *file_system;     /* that may change without telling, or NULL; static */
} hr_root_stats;

/* Copies the options, starts nothing. HR_NOMEM, HR_INVALID (no on_batch, an empty pattern). */
hr_status hr_watch_new(const hr_watch_options *options, hr_watch **out);

/* Adds a root before hr_watch_start(). `path` is absolute. It need not exist: it is watched for.
 * HR_INVALID (relative, empty, holds NUL), HR_NOT_DIRECTORY (exists and is something else),
 * HR_STATE (started), HR_NOMEM. A root inside another is allowed; a file is reported once. */
hr_status hr_watch_add_root(hr_watch *watch, hr_bytes path, uint32_t *index);

/* Starts the thread and returns; the first look at the tree happens there. Everything that changes
 * after this call returns is reported. HR_SYSTEM (no thread or descriptor to be had), HR_STATE. */
hr_status hr_watch_start(hr_watch *watch);

/* Waits until the first look is over. false: not within the time. Any thread. */
bool hr_watch_wait_ready(hr_watch *watch, uint64_t timeout_us);

/* Asks that on_synced be called once all that had happened in the roots before this call has been
 * delivered, with the burst that it belongs to; polled parts are looked at for it. Several calls
 * may be answered by one. Nothing happens unless it is started. Any thread from then on. */
void hr_watch_sync(hr_watch *watch);

/* Has every hr_watch_sync() been answered? Any thread. */
bool hr_watch_is_synced(hr_watch *watch);

/* Any thread. */
hr_watch_stats hr_watch_get_stats(hr_watch *watch);

/* Of the root with this index; all zero if there is none. Any thread, once the roots are added. */
hr_root_stats hr_watch_get_root_stats(hr_watch *watch, uint32_t index);

/* Stops and joins the thread, however busy it is, within milliseconds; then frees. No callback runs
 * after it returns. Not from a callback. In a fork, which has no such thread, it does nothing. */
void hr_watch_free(hr_watch *watch);

/* Journal. */

/* A moment in the life of one run of a server. `sequence` comes from the machine's monotonic clock,
 * so that the cursors of several workers of one run can be compared. */
typedef struct hr_cursor {
    uint64_t boot;
    uint64_t sequence;
} hr_cursor;

/* Length of a cursor's text, `<boot>.<sequence>`, 16 hexadecimal digits each. */
#define HR_CURSOR_SIZE 33

void hr_cursor_format(hr_cursor cursor, char out[HR_CURSOR_SIZE]); /* no terminator */
hr_status hr_cursor_parse(hr_bytes text, hr_cursor *out);          /* HR_INVALID */

typedef struct hr_journal hr_journal;

typedef struct hr_journal_limits {
    size_t batches; /* remembered; 0: 256 */
    size_t bytes;   /* of paths and bookkeeping, remembered; 0: 4 MiB */
} hr_journal_limits;

/* `boot` names this run of the server; not 0. `limits` NULL: the defaults. HR_NOMEM, HR_INVALID. */
hr_status hr_journal_new(uint64_t boot, const hr_journal_limits *limits, hr_journal **out);
void hr_journal_free(hr_journal *journal);

/* Remembers a copy of a batch and wakes the subscribers. It cannot fail: what does not fit, for the
 * limits or for want of memory, makes older cursors HR_SINCE_LOST. */
void hr_journal_push(hr_journal *journal, const hr_batch *batch);

/* The cursor of this moment: everything pushed later is "since" it. */
hr_cursor hr_journal_now(hr_journal *journal);

typedef enum hr_since {
    HR_SINCE_NOTHING = 0, /* nothing changed */
    HR_SINCE_CHANGES = 1, /* a merged batch */
    HR_SINCE_LOST = 2     /* another boot, or too long ago: only a reload is right */
} hr_since;

/* The answer to "what changed since?". Owns its memory. Merging keeps the strongest truth: added
 * then removed is nothing; removed then added is modified. If that leaves no change the answer is
 * HR_SINCE_NOTHING with a newer cursor. */
typedef struct hr_delta {
    hr_since kind;
    hr_cursor cursor; /* ask with this one next time */
    hr_batch batch;   /* of HR_SINCE_CHANGES; lent until hr_delta_fini() */
    void *owned;
} hr_delta;

hr_status hr_journal_since(hr_journal *journal, hr_cursor since, hr_delta *out); /* HR_NOMEM */
void hr_delta_fini(hr_delta *delta);

/* While it holds, what is pushed waits: subscribers are woken, but no cursor leads to it. At the
 * end of a hold all that waits is told, with a sequence of that moment. At first it does not hold.
 */
void hr_journal_hold(hr_journal *journal, bool holds);

/* What waits and came later than what was had `after` that cursor of this function, merged, and the
 * cursor to tell it by; a sequence of 0: all that waits. HR_SINCE_LOST: it was too much to be kept,
 * and makes all older cursors HR_SINCE_LOST when it is told. HR_NOMEM. */
hr_status hr_journal_waiting(hr_journal *journal, hr_cursor after, hr_delta *out);

/* Tells what has waited up to this cursor of hr_journal_waiting(); what came later waits on. */
void hr_journal_tell(hr_journal *journal, hr_cursor upto);

/* A descriptor that becomes readable (eventfd, non-blocking, close-on-exec) when something is
 * pushed; read 8 bytes to arm it again. Each event loop takes its own. Owned by the journal:
 * unsubscribe to close it. HR_SYSTEM, HR_NOMEM. */
hr_status hr_journal_subscribe(hr_journal *journal, int *fd);
void hr_journal_unsubscribe(hr_journal *journal, int fd);

/* Makes every subscriber's descriptor readable, as if something had been pushed. */
void hr_journal_wake(hr_journal *journal);

/* Wire. */

/* How files are named to the browser: relative to `base` (the working directory), or else to their
 * root, never absolute; and under which address the app serves them. */
typedef struct hr_wire hr_wire;

hr_status hr_wire_new(hr_bytes base, hr_wire **out); /* `base` absolute; HR_NOMEM, HR_INVALID */
void hr_wire_free(hr_wire *wire);

/* In the order of hr_watch_add_root(). Copies. HR_NOMEM, HR_INVALID. */
hr_status hr_wire_add_root(hr_wire *wire, hr_bytes path);

/* So many addresses of one file are told. */
#define HR_WIRE_ADDRESSES 8

/* Files below `directory` (absolute) are served below `url` (a path such as "/static"; "" is the
 * root). Of several addresses of a file that of the longest directory is the best, then that of the
 * first added. Copies. HR_NOMEM, HR_INVALID. */
hr_status hr_wire_add_served(hr_wire *wire, hr_bytes directory, hr_bytes url);

/* Whether pages are to morph what has changed in, instead of being reloaded; at first not. */
void hr_wire_set_morph(hr_wire *wire, bool morph);

/* Append one whole event to `out`; HR_NOMEM leaves it as it was.
 *
 * hello: `event: hello`, the first of a connection, with boot and cursor, and whether to morph;
 * `reload` says that what happened since the cursor the client came with is unknown, so that only a
 * reload is right.
 * changes: an unnamed event; JSON with type ("css" or "reload"), timestamp, files, changes. The
 * first of `changes` are those of `files`, one by one, with their best addresses; after all of them
 * come the same once more for every other address.
 * shutdown: an unnamed event of type "shutdown".
 * heartbeat: a comment. retry: milliseconds until a native reconnect. */
hr_status hr_wire_hello(const hr_wire *wire, hr_cursor cursor, bool reload, hr_buffer *out);
hr_status hr_wire_changes(const hr_wire *wire, const hr_delta *delta, hr_buffer *out);
hr_status hr_wire_shutdown(const hr_wire *wire, int64_t unix_us, hr_buffer *out);
hr_status hr_wire_heartbeat(hr_buffer *out);
hr_status hr_wire_retry(uint32_t milliseconds, hr_buffer *out);

/* One event, framed exactly: `event` and `id` may be empty, and then have no line; CR, LF and CRLF
 * in `data` begin a new data line. HR_INVALID: a line break or NUL in `event` or `id`. */
hr_status hr_sse_event(hr_bytes event, hr_bytes id, hr_bytes data, hr_buffer *out);

/* Inject. */

typedef enum hr_verdict {
    HR_UNDECIDED = 0, /* feed more */
    HR_INSERT = 1,    /* the tag goes at `offset` */
    HR_UNTOUCHED = 2  /* no tag: not a document, or in doubt */
} hr_verdict;

/* A streaming search for the place of the tag, following the tree construction of the HTML standard
 * up to the head. In the caller's memory, no allocation, no pointer kept between calls: it may be
 * copied and needs no fini. The fields are private but the two named below. */
typedef struct hr_inject {
    uint64_t offset; /* HR_INSERT: where the tag goes, counted from the first byte of the body */
    uint64_t safe;   /* HR_UNDECIDED: no tag will ever go before this offset, so that the bytes
                        before it may be sent; fewer than 16 bytes lie between it and the end */
    uint64_t position;
    uint32_t value;
    uint8_t state;
    uint8_t flags;
} hr_inject;

/* How much of a body is searched, in bytes, before the verdict is HR_UNTOUCHED. */
#define HR_INJECT_LIMIT 65536

/* `certain`: the request says that this is a document. Otherwise the bytes must show a doctype,
 * <html>, <head> or <body>, or the verdict is HR_UNTOUCHED. */
void hr_inject_init(hr_inject *inject, bool certain);

/* Looks at the next bytes of the body. Once decided it says the same for ever. Where a body is cut
 * never changes the verdict. */
hr_verdict hr_inject_feed(hr_inject *inject, hr_bytes chunk);

/* The body is over: an open construct means HR_UNTOUCHED; a document without anything to insert
 * before (only a doctype, comments, white space) takes the tag at its end. */
hr_verdict hr_inject_end(hr_inject *inject);

/* What a tag says. */
typedef struct hr_tag {
    hr_bytes script_url;
    hr_cursor cursor;
    hr_bytes nonce; /* empty: it has none */
    bool no_worker; /* the client is not to try a SharedWorker */
    bool blocks;    /* not async: to morph, the client has to see the page before its scripts do */
} hr_tag;

/* Appends the tag: `<script data-cursor="…" async="" src="…"></script>`, with the attributes nonce
 * and data-share where they are needed, attribute values escaped. No line break. HR_NOMEM. */
hr_status hr_tag_format(const hr_tag *tag, hr_buffer *out);

/* The first bytes of every tag that hr_tag_format() writes, up to the cursor, whose HR_CURSOR_SIZE
 * bytes follow: a page that has them at the place of the tag has it already. Static. */
hr_bytes hr_tag_prefix(void);

/* Policy. */

/* What the Content-Security-Policy of one response asks of the tag, and the least that must be
 * added to it for the tag to run and its client to connect. Content Security Policy Level 3. In the
 * caller's memory; borrows the bytes of the headers that it is told, which must outlive it. */
typedef struct hr_policy {
    hr_bytes nonce;     /* for the tag, after hr_policy_settle(); size 0: it needs none */
    const char *reason; /* after hr_policy_settle(): why no client can run under it, in words; else
                           NULL. Static. */
    bool no_worker;     /* a SharedWorker of the client's would be refused, or reported */
    uint32_t flags;
    char own[24];
} hr_policy;

void hr_policy_init(hr_policy *policy);

/* Is it Content-Security-Policy, or its report-only form? In any case. */
bool hr_policy_is_header(hr_bytes name);

/* Tells the value of one such header, which may hold several policies. Any other is ignored. */
void hr_policy_header(hr_policy *policy, hr_bytes name, hr_bytes value);

/* All headers are told: decides about the nonce. Where a policy asks for one, the first of the
 * response's own is used, of an enforced policy if there is one; else, where 'strict-dynamic'
 * accepts nothing but a nonce and there is none, a fresh one of 128 random bits, kept in `policy`,
 * which must not be moved from here on. Where it finds a `reason` the response is to be left alone,
 * tag and headers. HR_SYSTEM: no random bits; errno says why. */
hr_status hr_policy_settle(hr_policy *policy);

/* Where the client is. */
typedef struct hr_policy_client {
    hr_bytes host; /* the request's Host header, which must be that of the page's address; where it
                      cannot be written in a policy (an IPv6 address, or none), 'self' is added */
    hr_bytes events_path; /* percent-encoded, begins with a slash, ends without one */
} hr_policy_client;

/* Appends `value`, one that was told, changed so that it lets the tag run and the client load what
 * is below `events_path` (with the tag's own nonce, if it has one) and connect to it. Appends
 * nothing where it does so as it is. HR_NOMEM leaves the buffer as it was. */
hr_status hr_policy_rewrite(const hr_policy *policy, hr_bytes value, hr_policy_client client,
                            hr_buffer *out);

/* Page. */

typedef enum hr_page {
    HR_PAGE_NO = 0,    /* not a document: pass it untouched */
    HR_PAGE_MAYBE = 1, /* it depends on what the body shows */
    HR_PAGE_YES = 2    /* a document */
} hr_page;

typedef enum hr_method {
    HR_METHOD_GET,
    HR_METHOD_HEAD,
    HR_METHOD_POST, /* its answer is not kept by a browser */
    HR_METHOD_OTHER /* never a navigation */
} hr_method;

/* What the request says. In the caller's memory; `flags` is private. Header names in any case. */
typedef struct hr_request {
    hr_method method;
    uint32_t flags;
} hr_request;

/* The sizes of the names that each of the functions below looks for, as bits. Headers whose names
 * have other sizes need not be told. */
enum {
    HR_REQUEST_NAMES = 1 << 6 | 1 << 10 | 1 << 11 | 1 << 14 | 1 << 16,
    HR_REQUEST_ACTION_NAMES = 1 << 5 | 1 << 8 | 1 << 13 | 1 << 15 | 1 << 17,
    HR_RESPONSE_NAMES = 1 << 4 | 1 << 7 | 1 << 12 | 1 << 13 | 1 << 16 | 1 << 19,
    /* of hr_response_header_drops() and hr_header_is_length() */
    HR_RESPONSE_CHANGED_NAMES = 1 << 4 | 1 << 6 | 1 << 11 | 1 << 13 | 1 << 14 | 1 << 16
};

void hr_request_init(hr_request *request, hr_bytes method);
void hr_request_header(hr_request *request, hr_bytes name, hr_bytes value);
hr_page hr_request_page(const hr_request *request);

/* Request headers that must not reach the app of a page that will be injected (validators, ranges),
 * and the one whose value becomes "identity" (Accept-Encoding). */
typedef enum hr_header_action {
    HR_HEADER_KEEP,
    HR_HEADER_DROP,
    HR_HEADER_IDENTITY
} hr_header_action;
hr_header_action hr_request_header_action(hr_bytes name);

/* How the body is coded: as it is, or so that it has to be decoded before it is searched. */
typedef enum hr_coding { HR_CODING_NONE = 0, HR_CODING_GZIP = 1, HR_CODING_DEFLATE = 2 } hr_coding;

/* What the response says. */
typedef struct hr_response {
    uint32_t flags;
    int status;
    hr_page page;
    hr_coding coding;   /* once every header is told; of no meaning where the page is HR_PAGE_NO */
    const char *reason; /* HR_PAGE_NO where a person would wonder: why, in words; else NULL. Static.
                         */
} hr_response;

/* Begin, tell every header, then ask. */
void hr_response_init(hr_response *response, const hr_request *request, int status);
void hr_response_header(hr_response *response, hr_bytes name, hr_bytes value);
hr_page hr_response_page(hr_response *response);

/* Of an injected response: must this header go (validators, ranges, digests, and the coding of a
 * body that is decoded)? Content-Length is not among them: it is corrected or dropped by whoever
 * knows the body. */
bool hr_response_header_drops(const hr_response *response, hr_bytes name);

/* Is it Content-Length? */
bool hr_header_is_length(hr_bytes name);

/* What a response lacks, so that no browser shows an old copy of it: "Cache-Control: no-cache" on
 * an injected one that says nothing about caching, and on any that would be kept by guess (it has
 * validators and says nothing about caching); "Vary: Sec-Fetch-Dest" on an injected one, and on
 * HTML that was fetched by a script and may be used again for a navigation. */
enum hr_lack { HR_LACKS_NO_CACHE = 1, HR_LACKS_VARY = 2 };
unsigned hr_response_lacks(const hr_response *response);

/* Client. */

/* A file of the browser's client by name ("client.js"). Static. */
typedef struct hr_client_file {
    hr_bytes name;
    hr_bytes media_type;
    hr_bytes content;
    hr_bytes etag; /* quoted */
} hr_client_file;

/* NULL: there is no such file. */
const hr_client_file *hr_client_find(hr_bytes name);

/* The version of the library, as in HR_VERSION; static. */
const char *hr_version(void);

#ifdef __cplusplus
}
#endif
#endif
