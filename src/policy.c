/*
 * Content Security Policy Level 3, as far as it decides whether one script of the page's own origin
 * runs and may connect to that origin. Its sections are named _so_.
 *
 * The tag comes from the parser. With 'strict-dynamic' nothing but a nonce lets it run (_Script
 * directives pre-request check_), and to add one takes nothing away, for 'unsafe-inline' is off
 * there already (_Does a source list allow all inline behavior for type?_). Without it an address
 * will do, beside whatever else is in the list, whereas a nonce might switch an 'unsafe-inline' off
 * and the page's own scripts with it.
 *
 * So a nonce is added under 'strict-dynamic' only, and an address only where the tag's nonce is not
 * in the list. What is not understood counts as allowing nothing: then something is added that was
 * not needed, which does no harm.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "text.h"

#define ENFORCED    TEXT("content-security-policy")
#define REPORT_ONLY TEXT("content-security-policy-report-only")
#define SELF        TEXT("'self'")

/* _Parse a serialized CSP list_: policies, directives, sources. */

/* ASCII white space of the Infra standard. */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static hr_bytes trim(hr_bytes bytes)
{
    while (bytes.size && is_space(bytes.data[0])) {
        bytes.data++;
        bytes.size--;
    }
    while (bytes.size && is_space(bytes.data[bytes.size - 1]))
        bytes.size--;
    return bytes;
}

static bool is_ascii(hr_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if ((unsigned char)bytes.data[i] > 0x7f)
            return false;
    }
    return true;
}

/* Takes the next word off `rest`; an empty one is the end. */
static hr_bytes take_word(hr_bytes *rest)
{
    hr_bytes word = trim(*rest);

    *rest = word;
    while (rest->size && !is_space(rest->data[0])) {
        rest->data++;
        rest->size--;
    }
    word.size -= rest->size;
    return word;
}

enum directive {
    SCRIPT_SRC_ELEM,
    SCRIPT_SRC,
    CONNECT_SRC,
    WORKER_SRC,
    CHILD_SRC,
    DEFAULT_SRC,
    TRUSTED_TYPES,
    SANDBOX,
    DIRECTIVES
};

static hr_bytes directive_name(enum directive directive)
{
    switch (directive) {
    case SCRIPT_SRC_ELEM:
        return TEXT("script-src-elem");
    case SCRIPT_SRC:
        return TEXT("script-src");
    case CONNECT_SRC:
        return TEXT("connect-src");
    case WORKER_SRC:
        return TEXT("worker-src");
    case CHILD_SRC:
        return TEXT("child-src");
    case DEFAULT_SRC:
        return TEXT("default-src");
    case TRUSTED_TYPES:
        return TEXT("require-trusted-types-for");
    default:
        return TEXT("sandbox");
    }
}

/* The part of a policy that matters here. */
struct policy {
    hr_bytes text;
    hr_bytes values[DIRECTIVES]; /* within `text`, perhaps empty; NULL: no such directive */
};

/* A directive that is not ASCII does not count, nor does one whose name was there before. Chromium
 * takes the former for an empty list, which nothing put there could change. */
static void read_directive(struct policy *policy, hr_bytes text)
{
    hr_bytes rest = text;
    const hr_bytes name = take_word(&rest);

    if (!is_ascii(text))
        return;
    for (int i = 0; i < DIRECTIVES; i++) {
        if (text_equals(name, directive_name(i)) && !policy->values[i].data)
            policy->values[i] = trim(rest);
    }
}

/* Takes the next policy off a header's value. */
static struct policy take_policy(hr_bytes *rest)
{
    struct policy policy = {.text = trim(text_take(rest, ','))};
    hr_bytes directives = policy.text;

    while (directives.size)
        read_directive(&policy, trim(text_take(&directives, ';')));
    return policy;
}

/* _Get fetch directive fallback list_: the directive that decides about script elements;
 * DIRECTIVES: none does. */
static enum directive effective_script(const struct policy *policy)
{
    if (policy->values[SCRIPT_SRC_ELEM].data)
        return SCRIPT_SRC_ELEM;
    if (policy->values[SCRIPT_SRC].data)
        return SCRIPT_SRC;
    return policy->values[DEFAULT_SRC].data ? DEFAULT_SRC : DIRECTIVES;
}

static enum directive effective_connect(const struct policy *policy)
{
    if (policy->values[CONNECT_SRC].data)
        return CONNECT_SRC;
    return policy->values[DEFAULT_SRC].data ? DEFAULT_SRC : DIRECTIVES;
}

/* _Source Lists_. */

static bool is_base64_char(char c)
{
    c = text_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' ||
           c == '_';
}

/* The value of a nonce-source; of any other source it is empty. */
static hr_bytes nonce_of(hr_bytes source)
{
    static const size_t prefix = sizeof "'nonce-" - 1;
    size_t size = 0, padding = 0;

    if (!text_starts_with(source, TEXT("'nonce-")) || source.data[source.size - 1] != '\'')
        return (hr_bytes){0};
    hr_bytes value = {source.data + prefix, source.size - prefix};
    while (is_base64_char(value.data[size]))
        size++;
    while (padding < 2 && value.data[size + padding] == '=')
        padding++;
    if (!size || size + padding + 1 != value.size)
        return (hr_bytes){0};
    return (hr_bytes){value.data, size + padding};
}

/* Does it allow every address of the page's own origin, be that of http or https? `https:` does not
 * match http (_scheme-part matching_). */
static bool is_open(hr_bytes source)
{
    return text_equals(source, SELF) || text_equals(source, TEXT("*")) ||
           text_equals(source, TEXT("http:"));
}

static bool is_dynamic(hr_bytes source)
{
    return text_equals(source, TEXT("'strict-dynamic'"));
}

static bool is_equal(hr_bytes a, hr_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool any(hr_bytes list, bool (*is)(hr_bytes source))
{
    for (hr_bytes source; (source = take_word(&list)).size;) {
        if (is(source))
            return true;
    }
    return false;
}

static hr_bytes first_nonce(hr_bytes list)
{
    hr_bytes nonce = {0};
    for (hr_bytes source; !nonce.size && (source = take_word(&list)).size;)
        nonce = nonce_of(source);
    return nonce;
}

static bool has_nonce(hr_bytes list, hr_bytes nonce)
{
    for (hr_bytes source; (source = take_word(&list)).size;) {
        if (nonce.size && is_equal(nonce_of(source), nonce))
            return true;
    }
    return false;
}

/* What a response asks of the tag. */

enum policy_flag {
    NONCE_REPORT_ONLY = 1 << 0, /* the nonce that was found is not of an enforced policy */
    NONCE_ONLY = 1 << 1,        /* a policy accepts nothing else */
    NO_SCRIPTS = 1 << 2,
    NO_ORIGIN = 1 << 3,
};

void hr_policy_init(hr_policy *policy)
{
    *policy = (hr_policy){0};
}

bool hr_policy_is_header(hr_bytes name)
{
    return text_equals(name, ENFORCED) || text_equals(name, REPORT_ONLY);
}

static bool is_allow_scripts(hr_bytes token)
{
    return text_equals(token, TEXT("allow-scripts"));
}

static bool is_allow_same_origin(hr_bytes token)
{
    return text_equals(token, TEXT("allow-same-origin"));
}

static void tell_sandbox(hr_policy *policy, hr_bytes tokens)
{
    if (!tokens.data)
        return;
    if (!any(tokens, is_allow_scripts))
        policy->flags |= NO_SCRIPTS;
    if (!any(tokens, is_allow_same_origin))
        policy->flags |= NO_ORIGIN;
}

/* The first nonce of an enforced policy, else the first of all. */
static void tell_nonce(hr_policy *policy, hr_bytes nonce, bool enforced)
{
    if (policy->nonce.size && !(enforced && policy->flags & NONCE_REPORT_ONLY))
        return;
    policy->nonce = nonce;
    policy->flags &= ~(uint32_t)NONCE_REPORT_ONLY;
    if (!enforced)
        policy->flags |= NONCE_REPORT_ONLY;
}

static void tell_script(hr_policy *policy, hr_bytes list, bool enforced)
{
    const bool dynamic = any(list, is_dynamic);
    const hr_bytes nonce = first_nonce(list);

    if (nonce.size && (dynamic || !any(list, is_open)))
        tell_nonce(policy, nonce, enforced);
    if (dynamic)
        policy->flags |= NONCE_ONLY;
}

/* Is a worker of ours refused, or its address, which trusted types do not let a string be? A list
 * that stands for worker-src gets our address where the tag needs it, and there alone. */
static bool refuses_worker(const struct policy *policy)
{
    const enum directive script = effective_script(policy);
    enum directive worker = WORKER_SRC;

    if (policy->values[TRUSTED_TYPES].size)
        return true;
    if (!policy->values[worker].data)
        worker = CHILD_SRC;
    if (policy->values[worker].data)
        return !any(policy->values[worker], is_open);
    worker = policy->values[SCRIPT_SRC].data ? SCRIPT_SRC : DEFAULT_SRC;
    const hr_bytes list = policy->values[worker];
    if (!list.data)
        return false;
    return any(list, is_dynamic) ||
           (!any(list, is_open) && (script != worker || first_nonce(list).size));
}

void hr_policy_header(hr_policy *policy, hr_bytes name, hr_bytes value)
{
    const bool enforced = text_equals(name, ENFORCED);

    if (!hr_policy_is_header(name))
        return;
    while (value.size) {
        const struct policy told = take_policy(&value);
        const enum directive script = effective_script(&told);
        if (script != DIRECTIVES)
            tell_script(policy, told.values[script], enforced);
        if (refuses_worker(&told)) /* or reports one */
            policy->no_worker = true;
        if (enforced) /* where a policy is only monitored, browsers ignore it */
            tell_sandbox(policy, told.values[SANDBOX]);
    }
}

static void base64(const unsigned char bytes[16], char out[24])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < 22; i++) {
        const size_t bit = i * 6;
        const unsigned low = bit / 8 + 1 < 16 ? bytes[bit / 8 + 1] : 0;
        const unsigned pair = (unsigned)bytes[bit / 8] << 8 | low;
        out[i] = digits[pair >> (10 - bit % 8) & 63];
    }
    out[22] = out[23] = '=';
}

static hr_status make_nonce(hr_policy *policy)
{
    unsigned char bytes[16];
    ssize_t got;

    do
        got = getrandom(bytes, sizeof bytes, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof bytes)
        return HR_SYSTEM;
    base64(bytes, policy->own);
    policy->nonce = (hr_bytes){policy->own, sizeof policy->own};
    return HR_OK;
}

hr_status hr_policy_settle(hr_policy *policy)
{
    if (policy->flags & NO_SCRIPTS)
        policy->reason = "its Content-Security-Policy has a sandbox without allow-scripts, so that "
                         "no script runs";
    else if (policy->flags & NO_ORIGIN)
        policy->reason = "its Content-Security-Policy has a sandbox without allow-same-origin, so "
                         "that no script can reach the event stream";
    if (policy->reason || policy->nonce.size || !(policy->flags & NONCE_ONLY))
        return HR_OK;
    return make_nonce(policy);
}

/* What is added. */

struct additions {
    hr_buffer memory;
    hr_bytes host; /* empty: it cannot be written */
    hr_bytes script;
    hr_bytes connect;
    hr_bytes nonce; /* as a source */
    hr_bytes nonce_value;
};

/* `host-part [ ":" port-part ]`, without wildcards. By the standard no IPv4 address but 127.0.0.1
 * matches; the browsers compare all of them like names. */
static bool is_writable(hr_bytes host)
{
    const char *colon = host.size ? memchr(host.data, ':', host.size) : NULL;
    const size_t size = colon ? (size_t)(colon - host.data) : host.size;
    bool inside = false; /* a label */

    for (size_t i = 0; i < size; i++) {
        const char c = text_lower(host.data[i]);
        if (c == '.' && !inside)
            return false;
        if (c != '.' && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
        inside = c != '.';
    }
    for (size_t i = size + 1; i < host.size; i++) {
        if (host.data[i] < '0' || host.data[i] > '9')
            return false;
    }
    return inside && size + 1 != host.size;
}

/* `pchar` of RFC 3986 or a slash, less the separators of policies and directives. */
static bool is_path_char(char c)
{
    const char lower = text_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c && strchr("0123456789-._~!$&'()*+=:@/%", c));
}

/* Both sides are percent-decoded before they are compared (_path-part matching_), so that encoding
 * is always safe. */
static hr_status append_path(hr_buffer *out, hr_bytes path)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < path.size; i++) {
        const unsigned char c = (unsigned char)path.data[i];
        const char encoded[] = {'%', digits[c >> 4], digits[c & 15]};
        const bool plain = is_path_char(path.data[i]);
        if (hr_buffer_append(out, plain ? path.data + i : encoded, plain ? 1 : sizeof encoded))
            return HR_NOMEM;
    }
    return HR_OK;
}

/* The query of the stream's address is not part of what is compared. */
static hr_status make_additions(struct additions *additions, const hr_policy *policy,
                                hr_policy_client client)
{
    hr_buffer *const memory = &additions->memory;

    additions->nonce_value = policy->nonce;
    additions->host = is_writable(client.host) ? client.host : (hr_bytes){0};
    if (hr_buffer_append(memory, additions->host.data, additions->host.size) ||
        append_path(memory, client.events_path) || hr_buffer_append(memory, "/", 1))
        return HR_NOMEM;
    const size_t address = memory->size;
    if (hr_buffer_append(memory, "'nonce-", 7) ||
        hr_buffer_append(memory, policy->nonce.data, policy->nonce.size) ||
        hr_buffer_append(memory, "'", 1))
        return HR_NOMEM;
    additions->script = additions->host.size ? (hr_bytes){memory->data, address} : SELF;
    additions->connect = additions->host.size ? (hr_bytes){memory->data, address - 1} : SELF;
    additions->nonce = (hr_bytes){memory->data + address, memory->size - address};
    return HR_OK;
}

/* Is the source, written as `host`, `host/`, `http://host` or the like, our own host, or our own
 * address? `http` matches https too (_scheme-part matching_), on the port of the page. */
static bool is_ours(hr_bytes source, hr_bytes host, hr_bytes address)
{
    const size_t scheme = sizeof "http://" - 1;

    if (text_starts_with(source, TEXT("http://")))
        source = (hr_bytes){source.data + scheme, source.size - scheme};
    if (is_equal(source, address))
        return true;
    if (source.size == host.size + 1 && source.data[host.size] == '/')
        source.size--;
    return host.size && is_equal(source, host);
}

static bool is_reachable(hr_bytes list, hr_bytes host, hr_bytes address)
{
    for (hr_bytes source; (source = take_word(&list)).size;) {
        if (is_open(source) || is_ours(source, host, address))
            return true;
    }
    return false;
}

/* What a list lacks for the tag to run; empty: nothing. */
static hr_bytes lacks_for_script(hr_bytes list, const struct additions *additions)
{
    const bool dynamic = any(list, is_dynamic);

    assert(!dynamic || additions->nonce_value.size); /* it was told, and settled */
    if (has_nonce(list, additions->nonce_value))
        return (hr_bytes){0};
    if (dynamic)
        return additions->nonce;
    if (is_reachable(list, additions->host, additions->script))
        return (hr_bytes){0};
    return additions->script;
}

static hr_bytes lacks_for_connect(hr_bytes list, const struct additions *additions)
{
    if (is_reachable(list, additions->host, additions->connect))
        return (hr_bytes){0};
    return additions->connect;
}

/* Rewriting. */

/* A value on its way to the buffer. */
struct copy {
    hr_buffer *out;
    const char *at; /* what lies before it in the value is copied */
    hr_status status;
};

static void put(struct copy *copy, hr_bytes bytes)
{
    if (copy->status == HR_OK)
        copy->status = hr_buffer_append(copy->out, bytes.data, bytes.size);
}

static void copy_until(struct copy *copy, const char *end)
{
    put(copy, (hr_bytes){copy->at, (size_t)(end - copy->at)});
    copy->at = end;
}

/* 'none' counts only where it is alone (_Does url match source list?_), and there it goes. */
static bool is_none(hr_bytes list)
{
    return text_equals(list, TEXT("'none'"));
}

static void widen(struct copy *copy, hr_bytes list, hr_bytes addition)
{
    if (!addition.size)
        return;
    if (is_none(list)) {
        copy_until(copy, list.data);
        copy->at += list.size;
    } else {
        copy_until(copy, list.data + list.size);
        put(copy, TEXT(" "));
    }
    put(copy, addition);
}

/* Gives the policy a directive of its own where `default-src` stands for it: that one governs much
 * else. What falls back to script-src instead of it from now on (script-src-attr, worker-src, eval)
 * finds the same list there. In connect-src nothing in quotes but 'self' has a meaning. */
static void append_directive(struct copy *copy, const struct policy *policy,
                             enum directive directive, hr_bytes addition)
{
    hr_bytes list = policy->values[DEFAULT_SRC];
    const char *end = policy->text.data + policy->text.size;

    if (!addition.size)
        return;
    const bool separated = copy->at < end && end[-1] == ';';
    copy_until(copy, end);
    put(copy, separated ? TEXT(" ") : TEXT("; "));
    put(copy, directive_name(directive));
    if (is_none(list))
        list.size = 0;
    for (hr_bytes source; (source = take_word(&list)).size;) {
        if (directive == CONNECT_SRC && source.data[0] == '\'')
            continue;
        put(copy, TEXT(" "));
        put(copy, source);
    }
    put(copy, TEXT(" "));
    put(copy, addition);
}

static void rewrite_policy(struct copy *copy, const struct policy *policy,
                           const struct additions *additions)
{
    const enum directive script = effective_script(policy);
    const enum directive connect = effective_connect(policy);
    hr_bytes for_script = {0}, for_connect = {0};

    if (script != DIRECTIVES)
        for_script = lacks_for_script(policy->values[script], additions);
    if (connect != DIRECTIVES)
        for_connect = lacks_for_connect(policy->values[connect], additions);

    /* In place, in the order of the text; then at its end. */
    const bool script_in_place = script != DEFAULT_SRC && script != DIRECTIVES;
    const bool connect_in_place = connect == CONNECT_SRC;
    const bool connect_first = script_in_place && connect_in_place &&
                               policy->values[connect].data < policy->values[script].data;
    if (connect_first)
        widen(copy, policy->values[connect], for_connect);
    if (script_in_place)
        widen(copy, policy->values[script], for_script);
    if (connect_in_place && !connect_first)
        widen(copy, policy->values[connect], for_connect);
    if (!script_in_place)
        append_directive(copy, policy, SCRIPT_SRC, for_script);
    if (!connect_in_place)
        append_directive(copy, policy, CONNECT_SRC, for_connect);
}

hr_status hr_policy_rewrite(const hr_policy *policy, hr_bytes value, hr_policy_client client,
                            hr_buffer *out)
{
    const size_t before = out->size;
    struct additions additions = {0};
    struct copy copy = {.out = out, .at = value.data};
    hr_bytes rest = value;

    copy.status = make_additions(&additions, policy, client);
    while (rest.size && copy.status == HR_OK) {
        const struct policy next = take_policy(&rest);
        rewrite_policy(&copy, &next, &additions);
    }
    if (copy.at != value.data) /* a change is never at the very beginning */
        copy_until(&copy, value.data + value.size);
    if (copy.status != HR_OK)
        out->size = before;
    hr_buffer_fini(&additions.memory);
    return copy.status;
}
