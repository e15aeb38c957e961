/*
 * Is a response an HTML document that a person looks at? Decided from the heads of the request and
 * of the response alone. Every header of every message comes through here, so names are told apart
 * by their length first: most of them cost one jump.
 */
#include <assert.h>
#include <string.h>

#include "text.h"

/* Lists. */

static bool list_holds(hr_bytes list, hr_bytes text)
{
    while (list.size) {
        if (text_equals(text_take(&list, ','), text))
            return true;
    }
    return false;
}

/* Request. */

enum request_flag {
    DEST_DOCUMENT = 1 << 0, /* Sec-Fetch-Dest: document, iframe or frame */
    DEST_EMPTY = 1 << 1,    /* Sec-Fetch-Dest: empty */
    DEST_OTHER = 1 << 2,    /* Sec-Fetch-Dest: anything else */
    MODE_NAVIGATE = 1 << 3, /* Sec-Fetch-Mode: navigate */
    ACCEPT_HTML = 1 << 4,
    FRAGMENT = 1 << 5, /* a script that asks for a part of a page, by its own word */
    AHEAD = 1 << 6,    /* Sec-Purpose: prefetch, or prefetch;prerender */
};

/* RFC 9110, section 9.1: case matters. */
static hr_method method_of(hr_bytes name)
{
    if (name.size == 3 && memcmp(name.data, "GET", 3) == 0)
        return HR_METHOD_GET;
    if (name.size == 4 && memcmp(name.data, "POST", 4) == 0)
        return HR_METHOD_POST;
    if (name.size == 4 && memcmp(name.data, "HEAD", 4) == 0)
        return HR_METHOD_HEAD;
    return HR_METHOD_OTHER;
}

void hr_request_init(hr_request *request, hr_bytes method)
{
    *request = (hr_request){.method = method_of(method)};
}

static uint32_t destination(hr_bytes value)
{
    value = text_trim(value);
    if (text_equals(value, TEXT("document")) || text_equals(value, TEXT("iframe")) ||
        text_equals(value, TEXT("frame")))
        return DEST_DOCUMENT;
    return text_equals(value, TEXT("empty")) ? DEST_EMPTY : DEST_OTHER;
}

static uint32_t accepted(hr_bytes value)
{
    const hr_bytes html = TEXT("text/html");
    while (value.size >= html.size) {
        hr_bytes range = text_take(&value, ',');
        if (text_equals(text_take(&range, ';'), html))
            return ACCEPT_HTML;
    }
    return 0;
}

void hr_request_header(hr_request *request, hr_bytes name, hr_bytes value)
{
    switch (name.size) {
    case 6:
        if (text_equals(name, TEXT("accept")))
            request->flags |= accepted(value);
        break;
    case 10:
        if (text_equals(name, TEXT("hx-request")))
            request->flags |= FRAGMENT;
        break;
    case 11:
        if (text_equals(name, TEXT("turbo-frame")))
            request->flags |= FRAGMENT;
        else if (text_equals(name, TEXT("sec-purpose")) &&
                 text_equals(text_take(&value, ';'), TEXT("prefetch")))
            request->flags |= AHEAD;
        break;
    case 14:
        if (text_equals(name, TEXT("sec-fetch-dest")))
            request->flags |= destination(value);
        else if (text_equals(name, TEXT("sec-fetch-mode")) &&
                 text_equals(text_trim(value), TEXT("navigate")))
            request->flags |= MODE_NAVIGATE;
        break;
    case 16:
        if (text_equals(name, TEXT("x-requested-with")) ||
            text_equals(name, TEXT("datastar-request")))
            request->flags |= FRAGMENT;
        break;
    default:
        break;
    }
}

hr_page hr_request_page(const hr_request *request)
{
    const uint32_t flags = request->flags;
    if (request->method == HR_METHOD_OTHER || flags & DEST_OTHER)
        return HR_PAGE_NO;
    /* No script can set Sec-Fetch-*, so they outweigh what a page's code may say. A service worker
     * that hands a navigation on makes its destination empty and keeps its mode. */
    if (flags & DEST_EMPTY)
        return flags & MODE_NAVIGATE ? HR_PAGE_YES : HR_PAGE_NO;
    if (flags & DEST_DOCUMENT)
        return HR_PAGE_YES;
    /* Over plain HTTP it is sent to localhost only. */
    return flags & ACCEPT_HTML && !(flags & FRAGMENT) ? HR_PAGE_MAYBE : HR_PAGE_NO;
}

hr_header_action hr_request_header_action(hr_bytes name)
{
    switch (name.size) {
    case 5:
        return text_equals(name, TEXT("range")) ? HR_HEADER_DROP : HR_HEADER_KEEP;
    case 8:
        return text_equals(name, TEXT("if-range")) ? HR_HEADER_DROP : HR_HEADER_KEEP;
    case 13:
        return text_equals(name, TEXT("if-none-match")) ? HR_HEADER_DROP : HR_HEADER_KEEP;
    case 15:
        return text_equals(name, TEXT("accept-encoding")) ? HR_HEADER_IDENTITY : HR_HEADER_KEEP;
    case 17:
        return text_equals(name, TEXT("if-modified-since")) ? HR_HEADER_DROP : HR_HEADER_KEEP;
    default:
        return HR_HEADER_KEEP;
    }
}

/* Response. */

enum response_flag {
    NOT_KEPT = 1 << 0,  /* the request was neither GET nor HEAD */
    TYPE_SEEN = 1 << 1, /* any Content-Type */
    TYPE_HTML = 1 << 2,
    TYPE_XHTML = 1 << 3,
    TYPE_OTHER = 1 << 4,
    CHARSET_FOREIGN = 1 << 5, /* not known to keep ASCII as it is */
    DOWNLOAD = 1 << 6,
    CODED = 1 << 7,
    CODING_FOREIGN = 1 << 8, /* one that cannot be decoded, or more than one */
    CACHING_SAID = 1 << 9,
    ASKS_AGAIN = 1 << 10, /* Cache-Control: no-cache or no-store */
    VALIDATOR = 1 << 11,
    VARIES = 1 << 12,
    FETCHED_AHEAD = 1 << 13, /* see AHEAD */
};

void hr_response_init(hr_response *response, const hr_request *request, int status)
{
    const bool kept = request->method == HR_METHOD_GET || request->method == HR_METHOD_HEAD;
    *response = (hr_response){
        .flags = (kept ? 0 : NOT_KEPT) | (request->flags & AHEAD ? FETCHED_AHEAD : 0),
        .status = status,
        .page = hr_request_page(request),
    };
}

/* Whether the label is of a family in which the bytes of ASCII stand for ASCII: so not UTF-16,
 * UTF-32, UTF-7, HZ or ISO-2022, and none that is not known. */
static bool charset_keeps_ascii(hr_bytes label)
{
    static const char *const families[] = {
        "utf-8", "utf8",     "ansi_x3.4", "ascii",    "big5",     "cp125",  "cp819",  "euc-",
        "gb",    "iso-8859", "iso8859",   "iso_8859", "koi8",     "ks_c",   "latin",  "mac",
        "shift", "sjis",     "tis-620",   "us-ascii", "windows-", "x-mac-", "x-sjis",
    };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (text_starts_with(label, (hr_bytes){families[i], strlen(families[i])}))
            return true;
    }
    return false;
}

/* Takes the next `name=value` off a list of parameters (RFC 9110 5.6.6, with white space around `=`
 * let through); quotes are taken off the value. Escapes in it stay: no charset has one. */
static void take_parameter(hr_bytes *rest, hr_bytes *name, hr_bytes *value)
{
    const char *end = rest->data + rest->size;

    *value = text_take(rest, ';');
    *name = text_take(value, '=');
    if (!value->size || value->data[0] != '"')
        return;

    const char *begin = value->data + 1;
    const char *close = begin;
    while (close < end && *close != '"')
        close += *close == '\\' && end - close > 1 ? 2 : 1;
    *value = (hr_bytes){begin, (size_t)(close - begin)};
    *rest = (hr_bytes){close, (size_t)(end - close)};
    text_take(rest, ';');
}

static uint32_t media_type(hr_bytes value)
{
    if (text_equals(value, TEXT("text/html; charset=utf-8"))) /* what nearly every page says */
        return TYPE_SEEN | TYPE_HTML;
    hr_bytes type = text_take(&value, ';');
    if (text_equals(type, TEXT("application/xhtml+xml")))
        return TYPE_SEEN | TYPE_XHTML;
    if (!text_equals(type, TEXT("text/html")))
        return TYPE_SEEN | TYPE_OTHER;

    while (value.size) {
        hr_bytes name, charset;
        take_parameter(&value, &name, &charset);
        if (!text_equals(name, TEXT("charset")) || !charset.size)
            continue;
        if (charset_keeps_ascii(text_trim(charset))) /* the first one counts */
            break;
        return TYPE_SEEN | TYPE_HTML | CHARSET_FOREIGN;
    }
    return TYPE_SEEN | TYPE_HTML;
}

/* RFC 6266 4.2: what is not known is handled like `attachment`. */
static uint32_t disposition(hr_bytes value)
{
    hr_bytes type = text_take(&value, ';');
    return !type.size || text_equals(type, TEXT("inline")) ? 0 : DOWNLOAD;
}

/* RFC 9110 8.4.1. */
static void add_codings(hr_response *response, hr_bytes value)
{
    while (value.size) {
        hr_bytes name = text_take(&value, ',');
        if (!name.size || text_equals(name, TEXT("identity")))
            continue;
        if (text_equals(name, TEXT("gzip")) || text_equals(name, TEXT("x-gzip")))
            response->coding = HR_CODING_GZIP;
        else if (text_equals(name, TEXT("deflate")))
            response->coding = HR_CODING_DEFLATE;
        else
            response->flags |= CODING_FOREIGN;
        if (response->flags & CODED)
            response->flags |= CODING_FOREIGN;
        response->flags |= CODED;
    }
}

static uint32_t caching(hr_bytes value)
{
    bool asks = list_holds(value, TEXT("no-cache")) || list_holds(value, TEXT("no-store"));
    return asks ? CACHING_SAID | ASKS_AGAIN : CACHING_SAID;
}

void hr_response_header(hr_response *response, hr_bytes name, hr_bytes value)
{
    switch (name.size) {
    case 4:
        if (text_equals(name, TEXT("etag")))
            response->flags |= VALIDATOR;
        else if (text_equals(name, TEXT("vary")) &&
                 (list_holds(value, TEXT("sec-fetch-dest")) || list_holds(value, TEXT("*"))))
            response->flags |= VARIES;
        break;
    case 7:
        if (text_equals(name, TEXT("expires")))
            response->flags |= CACHING_SAID;
        break;
    case 12:
        if (text_equals(name, TEXT("content-type")))
            response->flags |= media_type(value);
        break;
    case 13:
        if (text_equals(name, TEXT("cache-control")))
            response->flags |= caching(value);
        else if (text_equals(name, TEXT("last-modified")))
            response->flags |= VALIDATOR;
        break;
    case 16:
        if (text_equals(name, TEXT("content-encoding")))
            add_codings(response, value);
        break;
    case 19:
        if (text_equals(name, TEXT("content-disposition")))
            response->flags |= disposition(value);
        break;
    default:
        break;
    }
}

/* RFC 9110: these have no content, or (206) a part of it. */
static bool status_has_document(int status)
{
    return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

static hr_page refuse(hr_response *response, const char *reason)
{
    response->page = HR_PAGE_NO;
    response->reason = reason;
    return HR_PAGE_NO;
}

hr_page hr_response_page(hr_response *response)
{
    const uint32_t flags = response->flags;

    if (response->page == HR_PAGE_NO)
        return HR_PAGE_NO;
    if (!status_has_document(response->status) || flags & (TYPE_OTHER | DOWNLOAD))
        return refuse(response, NULL);
    if (flags & TYPE_XHTML)
        return refuse(response, "it is application/xhtml+xml, and only text/html gets the script");
    if (!(flags & TYPE_SEEN)) /* a redirect mostly has none, and no one to look at it */
        return refuse(response, response->status / 100 == 3 ? NULL : "it has no Content-Type");
    if (flags & CHARSET_FOREIGN)
        return refuse(response, "its charset is not known to be a superset of ASCII");
    if (flags & CODING_FOREIGN)
        return refuse(response, "its body comes compressed by neither gzip nor deflate alone: let "
                                "the app compress only what Accept-Encoding allows, or not while "
                                "debugging");
    return response->page;
}

bool hr_response_header_drops(const hr_response *response, hr_bytes name)
{
    switch (name.size) {
    case 4:
        return text_equals(name, TEXT("etag"));
    case 6:
        return text_equals(name, TEXT("digest"));
    case 11:
        return text_equals(name, TEXT("content-md5")) || text_equals(name, TEXT("repr-digest"));
    case 13:
        return text_equals(name, TEXT("last-modified")) || text_equals(name, TEXT("accept-ranges"));
    case 14:
        return text_equals(name, TEXT("content-digest"));
    case 16:
        return response->coding && text_equals(name, TEXT("content-encoding"));
    default:
        return false;
    }
}

bool hr_header_is_length(hr_bytes name)
{
    return text_equals(name, TEXT("content-length"));
}

unsigned hr_response_lacks(const hr_response *response)
{
    const uint32_t flags = response->flags;

    if (response->page != HR_PAGE_NO)
        return (flags & CACHING_SAID ? 0 : HR_LACKS_NO_CACHE) |
               (flags & VARIES ? 0 : HR_LACKS_VARY);
    if (flags & NOT_KEPT)
        return 0;
    if ((flags & (VALIDATOR | CACHING_SAID)) == VALIDATOR)
        return HR_LACKS_NO_CACHE;
    bool reused = (flags & (CACHING_SAID | ASKS_AGAIN)) == CACHING_SAID || flags & FETCHED_AHEAD;
    return reused && flags & TYPE_HTML && !(flags & VARIES) ? HR_LACKS_VARY : 0;
}
