/*
 * Oracle, a small reading of Content Security Policy Level 3 that shares nothing with the library.
 * After a rewrite, whether the page is of http or of https:
 *
 *   - each policy lets the tag run, with its nonce or by its address, and the stream connect;
 *   - every directive is as it was but the two that decide about these; those have one source more,
 *     instead of 'none' if that was all, and no source less. Where default-src decided, there is a
 *     new directive with what it says and one source more, and default-src is as it was;
 *   - inline scripts and styles that all ran still do, and those that did not all run still do not;
 *   - but for 'none' the value is what it was, with something put in between;
 *   - where nothing was appended the value allowed it all before, and nothing was added to a list
 *     with 'self', `*` or `http:`, unless 'strict-dynamic' takes their meaning away;
 *   - rewriting what came out appends nothing, and asks for the same nonce.
 *
 * And a reason is given if and only if an enforced policy has a sandbox without either token.
 *
 * Input: a byte that picks the host and the path, then one header a line; `?` at its beginning
 * makes it report-only.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the page is, and what may be added for it. */
static const struct place {
    const char *header, *host, *port; /* no host: it cannot be written */
    const char *events, *address, *stream;
} places[] = {
    {"localhost:8000", "localhost", "8000", "/__hot", "localhost:8000/__hot/",
     "localhost:8000/__hot"},
    {"example.com", "example.com", NULL, "/a;b/c,d", "example.com/a%3Bb/c%2Cd/",
     "example.com/a%3Bb/c%2Cd"},
    {"127.0.0.1:80", "127.0.0.1", "80", "/r/%C3%A9", "127.0.0.1:80/r/%C3%A9/",
     "127.0.0.1:80/r/%C3%A9"},
    {"[::1]:8000", NULL, NULL, "/__hot", "'self'", "'self'"},
    {"", NULL, NULL, "/__hot", "'self'", "'self'"},
    {"*.example.com", NULL, NULL, "/__hot", "'self'", "'self'"},
    {"a_b:8000", NULL, NULL, "/__hot", "'self'", "'self'"},
    {"localhost:", NULL, NULL, "/__hot", "'self'", "'self'"},
};
enum { PLACES = sizeof places / sizeof *places, HEADERS = 8 };

/* Reading. */

struct span {
    const char *at;
    size_t size;
};

struct list {
    struct span *items;
    size_t count;
};

static bool is_white(char c)
{
    return c && strchr(" \t\n\f\r", c);
}

static struct span strip(struct span text)
{
    while (text.size && is_white(*text.at))
        text = (struct span){text.at + 1, text.size - 1};
    while (text.size && is_white(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* The parts between `separator`s, stripped; for a space the words. Without empty ones. */
static struct list split(struct span text, char separator)
{
    struct list list = {.items = calloc(text.size + 1, sizeof *list.items)};
    size_t begin = 0;

    CHECK(list.items);
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && (separator == ' ' ? !is_white(text.at[i]) : text.at[i] != separator))
            continue;
        struct span part = strip((struct span){text.at + begin, i - begin});
        if (part.size)
            list.items[list.count++] = part;
        begin = i + 1;
    }
    return list;
}

static bool is(struct span span, const char *text)
{
    return span.at && span.size == strlen(text) && strncasecmp(span.at, text, span.size) == 0;
}

static bool same(struct span a, struct span b)
{
    return a.size == b.size && (!a.size || memcmp(a.at, b.at, a.size) == 0);
}

/* One policy: the words of each directive, the name first. */
struct policy {
    struct list texts;
    struct list *directives;
};

static struct policy read_policy(struct span text)
{
    struct policy policy = {.texts = split(text, ';')};
    policy.directives = calloc(policy.texts.count + 1, sizeof *policy.directives);
    CHECK(policy.directives);
    for (size_t i = 0; i < policy.texts.count; i++)
        policy.directives[i] = split(policy.texts.items[i], ' ');
    return policy;
}

static void free_policy(struct policy *policy)
{
    for (size_t i = 0; i < policy->texts.count; i++)
        free(policy->directives[i].items);
    free(policy->directives);
    free(policy->texts.items);
}

/* The first directive of that name, by its place, or -1. */
static int find(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->texts.count; i++) {
        bool ascii = true;
        for (size_t j = 0; j < policy->texts.items[i].size; j++)
            ascii &= !(policy->texts.items[i].at[j] & 0x80);
        if (ascii && is(policy->directives[i].items[0], name))
            return (int)i;
    }
    return -1;
}

static int effective(const struct policy *policy, const char *const *names)
{
    for (; *names; names++) {
        int found = find(policy, *names);
        if (found >= 0)
            return found;
    }
    return -1;
}

static const char *const script_names[] = {"script-src-elem", "script-src", "default-src", NULL};
static const char *const connect_names[] = {"connect-src", "default-src", NULL};
static const char *const attribute_names[] = {"script-src-attr", "script-src", "default-src", NULL};
static const char *const style_names[] = {"style-src-elem", "style-src", "default-src", NULL};
static const char *const style_attribute_names[] = {"style-src-attr", "style-src", "default-src",
                                                    NULL};

/* Matching. */

static bool is_base64(struct span text)
{
    size_t size = text.size;
    while (size && text.size - size < 2 && text.at[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        if (!text.at[i] || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789+/-_",
                                   text.at[i]))
            return false;
    }
    return size > 0;
}

/* The base64-value of a nonce or a digest; empty: it is none. */
static struct span quoted(struct span source, const char *prefix)
{
    const size_t size = strlen(prefix);
    if (source.size < size + 2 || strncasecmp(source.at, prefix, size) != 0 ||
        source.at[source.size - 1] != '\'')
        return (struct span){NULL, 0};
    struct span value = {source.at + size, source.size - size - 1};
    return is_base64(value) ? value : (struct span){NULL, 0};
}

static bool contains(struct list words, const char *text)
{
    for (size_t i = 1; i < words.count; i++) {
        if (is(words.items[i], text))
            return true;
    }
    return false;
}

static struct span take(struct span *rest, size_t size)
{
    struct span taken = {rest->at, size};
    *rest = (struct span){rest->at + size, rest->size - size};
    return taken;
}

static bool matches_host(struct span pattern, const char *host)
{
    const size_t size = strlen(host);
    if (is(pattern, "*"))
        return true;
    if (pattern.size > 1 && pattern.at[0] == '*' && pattern.at[1] == '.')
        return size > pattern.size - 1 &&
               strncasecmp(host + size - (pattern.size - 1), pattern.at + 1, pattern.size - 1) == 0;
    return is(pattern, host);
}

static size_t decode(const char *text, size_t size, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char hex[3] = {0};
        if (text[i] == '%' && i + 2 < size)
            memcpy(hex, text + i + 1, 2);
        char *end = hex;
        long value = hex[0] == '+' || hex[0] == '-' || is_white(hex[0]) ? 0 : strtol(hex, &end, 16);
        bool encoded = end == hex + 2 && hex[0];
        out[length++] = encoded ? (char)value : text[i];
        i += encoded ? 2 : 0;
    }
    return length;
}

/* No path here has an encoded slash, so that all can be decoded at once. */
static bool matches_path(struct span pattern, const char *path)
{
    char wanted[4096], given[256];
    if (pattern.size > sizeof wanted)
        return false;
    const size_t wanted_size = decode(pattern.at, pattern.size, wanted);
    const size_t given_size = decode(path, strlen(path), given);
    if (!wanted_size)
        return true;
    if (wanted[wanted_size - 1] == '/')
        return given_size >= wanted_size && memcmp(wanted, given, wanted_size) == 0;
    return given_size == wanted_size && memcmp(wanted, given, wanted_size) == 0;
}

/* `scheme`: of the page and of the address, "http" or "https". */
static bool matches(struct span source, const struct place *place, const char *scheme,
                    const char *path)
{
    if (is(source, "'self'") || is(source, "*") || is(source, "http:"))
        return true;
    if (is(source, "https:"))
        return strcmp(scheme, "https") == 0;
    if (source.size > 7 && strncasecmp(source.at, "http://", 7) == 0)
        take(&source, 7);
    else if (source.size > 8 && strncasecmp(source.at, "https://", 8) == 0) {
        if (strcmp(scheme, "https") != 0)
            return false;
        take(&source, 8);
    }
    if (!place->host)
        return false;

    size_t size = 0;
    while (size < source.size && source.at[size] != ':' && source.at[size] != '/')
        size++;
    struct span host = take(&source, size);
    struct span port = {NULL, 0};
    if (source.size && source.at[0] == ':') {
        take(&source, 1);
        for (size = 0; size < source.size && source.at[size] != '/';)
            size++;
        port = take(&source, size);
        if (!port.size)
            return false;
    }
    const char *standard = strcmp(scheme, "http") == 0 ? "80" : "443";
    const char *own = place->port ? place->port : standard;
    if (!matches_host(host, place->host))
        return false;
    if (!is(port, "*") && !is(port, own) && !(!port.size && strcmp(own, standard) == 0))
        return false;
    return matches_path(source, path);
}

static bool reaches(struct list words, const struct place *place, const char *scheme,
                    const char *path)
{
    for (size_t i = 1; i < words.count; i++) {
        if (matches(words.items[i], place, scheme, path))
            return true;
    }
    return false;
}

static bool allows_tag(const struct policy *policy, const struct place *place, const char *scheme,
                       hr_bytes nonce)
{
    char path[256];
    snprintf(path, sizeof path, "%s/client.js", place->events);
    const int at = effective(policy, script_names);
    if (at < 0)
        return true;
    const struct list words = policy->directives[at];
    for (size_t i = 1; i < words.count; i++) {
        struct span value = quoted(words.items[i], "'nonce-");
        if (nonce.size && same(value, (struct span){nonce.data, nonce.size}))
            return true;
    }
    return !contains(words, "'strict-dynamic'") && reaches(words, place, scheme, path);
}

static bool allows_stream(const struct policy *policy, const struct place *place,
                          const char *scheme)
{
    const int at = effective(policy, connect_names);
    return at < 0 || reaches(policy->directives[at], place, scheme, place->events);
}

static bool allows_both(const struct policy *policy, const struct place *place, hr_bytes nonce)
{
    return allows_tag(policy, place, "http", nonce) && allows_tag(policy, place, "https", nonce) &&
           allows_stream(policy, place, "http") && allows_stream(policy, place, "https");
}

/* Does a source list allow all inline behavior for type? */
static bool allows_inline(const struct policy *policy, const char *const *names, bool script)
{
    const int at = effective(policy, names);
    if (at < 0)
        return true;
    const struct list words = policy->directives[at];
    if (script && contains(words, "'strict-dynamic'"))
        return false;
    for (size_t i = 1; i < words.count; i++) {
        if (quoted(words.items[i], "'nonce-").size || quoted(words.items[i], "'sha256-").size ||
            quoted(words.items[i], "'sha384-").size || quoted(words.items[i], "'sha512-").size)
            return false;
    }
    return contains(words, "'unsafe-inline'");
}

/* Comparing. */

struct change {
    const struct place *place;
    hr_bytes nonce;
};

static bool is_addition(const struct change *change, struct span word, struct list before,
                        bool script)
{
    struct span nonce = quoted(word, "'nonce-");
    if (nonce.size)
        return script && contains(before, "'strict-dynamic'") &&
               same(nonce, (struct span){change->nonce.data, change->nonce.size});
    return is(word, script ? change->place->address : change->place->stream);
}

/* `after` has the sources of `before` and one more at its end. `quotes`: those in quotes too. */
static void check_sources(const struct change *change, struct list before, struct list after,
                          bool script, bool quotes)
{
    const bool none = before.count == 2 && is(before.items[1], "'none'");
    size_t next = 1;

    CHECK((script && contains(before, "'strict-dynamic'")) ||
          (!contains(before, "'self'") && !contains(before, "*") && !contains(before, "http:")));

    for (size_t i = 1; i < before.count && !none; i++) {
        if (!quotes && before.items[i].at[0] == '\'')
            continue;
        CHECK(next < after.count && same(after.items[next], before.items[i]));
        next++;
    }
    CHECK(next + 1 == after.count);
    CHECK(is_addition(change, after.items[next], before, script));
}

/* Returns whether a 'none' was replaced. */
static bool check_directives(const struct change *change, const struct policy *before,
                             const struct policy *after)
{
    const int script = effective(before, script_names);
    const int connect = effective(before, connect_names);
    const int standard = find(before, "default-src");
    bool replaced = false;

    CHECK(after->texts.count >= before->texts.count);
    for (size_t i = 0; i < before->texts.count; i++) {
        const struct list old = before->directives[i], new = after->directives[i];
        if (same(before->texts.items[i], after->texts.items[i]))
            continue;
        CHECK((int)i != standard && ((int)i == script || (int)i == connect));
        CHECK(same(old.items[0], new.items[0]));
        check_sources(change, old, new, (int)i == script, true);
        replaced |= old.count == 2 && is(old.items[1], "'none'");
    }
    bool seen[2] = {false, false};
    for (size_t i = before->texts.count; i < after->texts.count; i++) {
        const struct list new = after->directives[i];
        const bool is_script = is(new.items[0], "script-src");
        CHECK(is_script || is(new.items[0], "connect-src"));
        CHECK(standard >= 0 && (is_script ? script : connect) == standard && !seen[is_script]);
        seen[is_script] = true;
        check_sources(change, before->directives[standard], new, is_script, is_script);
    }
    return replaced;
}

static void check_inline(const struct policy *before, const struct policy *after)
{
    CHECK(allows_inline(before, script_names, true) == allows_inline(after, script_names, true));
    CHECK(allows_inline(before, attribute_names, true) ==
          allows_inline(after, attribute_names, true));
    CHECK(allows_inline(before, style_names, false) == allows_inline(after, style_names, false));
    CHECK(allows_inline(before, style_attribute_names, false) ==
          allows_inline(after, style_attribute_names, false));
}

static void check_put_in_between(struct span before, struct span after)
{
    size_t next = 0;
    for (size_t i = 0; i < after.size && next < before.size; i++)
        next += after.at[i] == before.at[next];
    CHECK(next == before.size);
}

static void check_value(const struct change *change, struct span before, struct span after)
{
    struct list old = split(before, ','), new = split(after, ',');
    bool replaced = false;

    CHECK(old.count == new.count);
    for (size_t i = 0; i < old.count; i++) {
        struct policy from = read_policy(old.items[i]), to = read_policy(new.items[i]);
        CHECK(allows_both(&to, change->place, change->nonce));
        replaced |= check_directives(change, &from, &to);
        check_inline(&from, &to);
        free_policy(&from);
        free_policy(&to);
    }
    if (!replaced)
        check_put_in_between(before, after);
    free(old.items);
    free(new.items);
}

/* Running. */

struct header {
    bool enforced;
    hr_buffer value; /* a copy of its own, so that a read beyond it is found */
};

static hr_bytes name_of(const struct header *header)
{
    static const char name[] = "Content-Security-Policy-Report-Only";
    return (hr_bytes){name, header->enforced ? 23 : sizeof name - 1};
}

static hr_bytes bytes_of(const hr_buffer *buffer)
{
    return (hr_bytes){buffer->data, buffer->size};
}

static bool has_sandbox(const struct header *header)
{
    struct list policies = split((struct span){header->value.data, header->value.size}, ',');
    bool found = false;
    for (size_t i = 0; i < policies.count && header->enforced; i++) {
        struct policy policy = read_policy(policies.items[i]);
        const int at = find(&policy, "sandbox");
        found |= at >= 0 && (!contains(policy.directives[at], "allow-scripts") ||
                             !contains(policy.directives[at], "allow-same-origin"));
        free_policy(&policy);
    }
    free(policies.items);
    return found;
}

static void settle(hr_policy *policy, const struct header *headers, size_t count)
{
    hr_policy_init(policy);
    for (size_t i = 0; i < count; i++)
        hr_policy_header(policy, name_of(&headers[i]), bytes_of(&headers[i].value));
    CHECK(hr_policy_settle(policy) == HR_OK);
    CHECK(!policy->nonce.size || is_base64((struct span){policy->nonce.data, policy->nonce.size}));
}

static void rewrite(struct header *headers, size_t count, const struct place *place)
{
    hr_policy policy, again;
    bool sandboxed = false;
    settle(&policy, headers, count);
    for (size_t i = 0; i < count; i++)
        sandboxed |= has_sandbox(&headers[i]);
    CHECK(sandboxed == (policy.reason != NULL));
    if (sandboxed)
        return;

    const struct change change = {place, policy.nonce};
    const hr_policy_client client = {{place->header, strlen(place->header)},
                                     {place->events, strlen(place->events)}};
    hr_buffer before[HEADERS] = {0}; /* the nonce may lie in there */
    for (size_t i = 0; i < count; i++) {
        hr_buffer out = {0};
        CHECK(hr_policy_rewrite(&policy, bytes_of(&headers[i].value), client, &out) == HR_OK);
        before[i] = headers[i].value;
        if (out.size)
            headers[i].value = out;
        check_value(&change, (struct span){before[i].data, before[i].size},
                    (struct span){headers[i].value.data, headers[i].value.size});
    }
    settle(&again, headers, count);
    CHECK(same((struct span){again.nonce.data, again.nonce.size},
               (struct span){policy.nonce.data, policy.nonce.size}));
    for (size_t i = 0; i < count; i++) {
        hr_buffer out = {0};
        CHECK(hr_policy_rewrite(&again, bytes_of(&headers[i].value), client, &out) == HR_OK);
        CHECK(out.size == 0);
        hr_buffer_fini(&out);
    }
    for (size_t i = 0; i < count; i++) {
        if (before[i].data != headers[i].value.data)
            hr_buffer_fini(&before[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header headers[HEADERS] = {0};
    size_t count = 0;

    if (!size)
        return 0;
    const struct place *place = &places[data[0] % PLACES];
    for (size_t begin = 1; begin < size && count < HEADERS; count++) {
        const uint8_t *line = memchr(data + begin, '\n', size - begin);
        const size_t end = line ? (size_t)(line - data) : size;
        headers[count].enforced = data[begin] != '?';
        begin += !headers[count].enforced;
        headers[count].value.data = malloc(end - begin + !(end - begin));
        CHECK(headers[count].value.data);
        memcpy(headers[count].value.data, data + begin, end - begin);
        headers[count].value.size = headers[count].value.capacity = end - begin;
        begin = end + 1;
    }
    rewrite(headers, count, place);
    for (size_t i = 0; i < count; i++)
        hr_buffer_fini(&headers[i].value);
    return 0;
}
