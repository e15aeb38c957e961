/* Which responses are documents, and which headers that concerns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "guard.h"
#include "hotreload.h"

enum { HEADERS = 6 };
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

struct header {
    const char *name;
    const char *value;
};

static struct guard names;
static struct guard values;

static hr_bytes name_bytes(const char *text)
{
    return (hr_bytes){guard_put(&names, text, strlen(text)), strlen(text)};
}

static hr_bytes value_bytes(const char *text)
{
    return (hr_bytes){guard_put(&values, text, strlen(text)), strlen(text)};
}

static hr_request request_of(const char *method, const struct header *headers)
{
    hr_request request;
    hr_request_init(&request, value_bytes(method));
    for (size_t i = 0; i < HEADERS && headers[i].name && headers[i].value; i++)
        hr_request_header(&request, name_bytes(headers[i].name), value_bytes(headers[i].value));
    return request;
}

static const struct header browser[HEADERS] = {{"sec-fetch-dest", "document"}};

static hr_response response_of(const hr_request *request, int status, const struct header *headers)
{
    hr_response response;
    hr_response_init(&response, request, status);
    for (size_t i = 0; i < HEADERS && headers[i].name && headers[i].value; i++)
        hr_response_header(&response, name_bytes(headers[i].name), value_bytes(headers[i].value));
    return response;
}

/* Requests. */

struct request_row {
    const char *method;
    struct header headers[HEADERS];
};

static void assert_requests(const struct request_row *rows, size_t count, hr_page expected)
{
    for (size_t i = 0; i < count; i++) {
        hr_request request = request_of(rows[i].method, rows[i].headers);
        hr_page page = hr_request_page(&request);
        if (page != expected)
            fail_msg("row %zu (%s): page is %d", i, rows[i].method, page);
    }
}

static void test_navigation_asks_for_a_document(void **state)
{
    static const struct request_row rows[] = {
        {"GET", {{"sec-fetch-dest", "document"}}},
        {"GET", {{"Sec-Fetch-Dest", " document\t"}}},
        {"GET", {{"SEC-FETCH-DEST", "iframe"}, {"accept", "*/*"}}},
        {"GET", {{"sec-fetch-dest", "frame"}}},
        {"HEAD", {{"sec-fetch-dest", "document"}}},
        {"POST", {{"sec-fetch-dest", "document"}}},
        /* what the page's own code could not have said */
        {"GET", {{"sec-fetch-dest", "document"}, {"x-requested-with", "com.example.app"}}},
        {"GET", {{"sec-fetch-dest", "document"}, {"hx-request", "true"}}},
        {"GET", {{"sec-fetch-dest", "document"}, {"turbo-frame", "a"}}},
        /* a service worker's fetch(event.request) */
        {"GET", {{"sec-fetch-dest", "empty"}, {"sec-fetch-mode", "navigate"}}},
        {"GET", {{"Sec-Fetch-Mode", "navigate "}, {"Sec-Fetch-Dest", "empty"}}},
    };
    assert_requests(rows, COUNT(rows), HR_PAGE_YES);
}

static void test_anything_but_a_navigation_asks_for_none(void **state)
{
    static const struct request_row rows[] = {
        {"GET", {{"sec-fetch-dest", "empty"}, {"accept", "text/html"}}},
        {"GET", {{"sec-fetch-dest", "empty"}, {"sec-fetch-mode", "cors"}, {"accept", "text/html"}}},
        {"GET", {{"sec-fetch-dest", "image"}, {"sec-fetch-mode", "navigate"}}},
        {"GET", {{"sec-fetch-dest", ""}, {"accept", "text/html"}}},
        {"GET", {{"sec-fetch-dest", "script"}}},
        {"GET", {{"sec-fetch-dest", "documents"}}},
        {"GET", {{"sec-fetch-dest", "embed"}}},
        {"GET", {{"sec-fetch-dest", "document, empty"}}},
        {"GET", {{"sec-fetch-dest", "document"}, {"sec-fetch-dest", "empty"}}},
        {"GET", {{NULL, NULL}}},
        {"GET", {{"accept", "*/*"}}},
        {"GET", {{"accept", "application/json, text/*"}}},
        {"GET", {{"accept", "text/htmlx, xtext/html, application/json;text/html"}}},
        {"GET", {{"accept", "text/html"}, {"HX-Request", "true"}}},
        {"GET", {{"turbo-frame", "messages"}, {"accept", "text/html"}}},
        {"GET", {{"accept", "text/html"}, {"X-Requested-With", "XMLHttpRequest"}}},
        {"GET", {{"accept", "text/html"}, {"datastar-request", "true"}}},
        {"PUT", {{"sec-fetch-dest", "document"}}},
        {"PATCH", {{"accept", "text/html"}}},
        {"DELETE", {{"accept", "text/html"}}},
        {"OPTIONS", {{"accept", "text/html"}}},
        {"get", {{"sec-fetch-dest", "document"}}},
        {"", {{"sec-fetch-dest", "document"}}},
    };
    assert_requests(rows, COUNT(rows), HR_PAGE_NO);
}

static void test_accepting_html_asks_perhaps(void **state)
{
    static const struct request_row rows[] = {
        {"GET", {{"accept", "text/html"}}},
        {"GET", {{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}},
        {"GET", {{"accept", "application/json , TEXT/HTML ; level=1"}}},
        {"GET", {{"accept", "*/*"}, {"accept", "text/html"}}},
        {"POST", {{"accept", "text/html"}}},
        {"HEAD", {{"accept", "text/html"}}},
        {"GET", {{"accept", "text/html"}, {"x-requested-without", "a"}, {"tx-request", "b"}}},
    };
    assert_requests(rows, COUNT(rows), HR_PAGE_MAYBE);
}

static void test_app_of_a_page_gets_no_validators_no_ranges_and_no_coding(void **state)
{
    static const struct {
        const char *name;
        hr_header_action action;
    } rows[] = {
        {"if-none-match", HR_HEADER_DROP},
        {"If-Modified-Since", HR_HEADER_DROP},
        {"range", HR_HEADER_DROP},
        {"IF-RANGE", HR_HEADER_DROP},
        {"accept-encoding", HR_HEADER_IDENTITY},
        {"Accept-Encoding", HR_HEADER_IDENTITY},
        {"if-match", HR_HEADER_KEEP},
        {"accept", HR_HEADER_KEEP},
        {"accept-language", HR_HEADER_KEEP},
        {"host", HR_HEADER_KEEP},
        {"cookie", HR_HEADER_KEEP},
        {"", HR_HEADER_KEEP},
        {"ranges", HR_HEADER_KEEP},
        {"if-none-matcx", HR_HEADER_KEEP},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (hr_request_header_action(name_bytes(rows[i].name)) != rows[i].action)
            fail_msg("%s", rows[i].name);
    }
}

/* Responses. */

enum reason { SILENT, WITH_REASON };

struct response_row {
    int status;
    struct header headers[HEADERS];
    enum reason reason;
};

static void assert_responses(const struct response_row *rows, size_t count, hr_page expected)
{
    hr_request request = request_of("GET", browser);
    for (size_t i = 0; i < count; i++) {
        hr_response response = response_of(&request, rows[i].status, rows[i].headers);
        hr_page page = hr_response_page(&response);
        if (page != expected)
            fail_msg("row %zu: page is %d", i, page);
        assert_int_equal(response.page, page);
        assert_int_equal(response.status, rows[i].status);
        if ((response.reason != NULL) != (rows[i].reason == WITH_REASON))
            fail_msg("row %zu: reason is %s", i, response.reason ? response.reason : "not given");
        assert_int_equal(hr_response_page(&response), page);
    }
}

static void test_html_of_any_status_with_content_is_a_page(void **state)
{
    static const struct response_row rows[] = {
        {200, {{"content-type", "text/html"}}, SILENT},
        {200, {{"Content-Type", "text/html; charset=utf-8"}, {"content-length", "5"}}, SILENT},
        {200, {{"content-type", " Text/HTML ;charset=UTF-8"}}, SILENT},
        {200, {{"content-type", "text/html;charset=\"utf-8\""}}, SILENT},
        {200, {{"content-type", "text/html; charset=ISO-8859-1"}}, SILENT},
        {200, {{"content-type", "text/html; charset=Shift_JIS"}}, SILENT},
        {200, {{"content-type", "text/html; charset=windows-1252"}}, SILENT},
        {200, {{"content-type", "text/html; charset=gb2312"}}, SILENT},
        {200, {{"content-type", "text/html; charset="}}, SILENT},
        {200, {{"content-type", "text/html; charset"}}, SILENT},
        {200, {{"content-type", "text/html; profile=\"a;charset=utf-16\""}}, SILENT},
        {200, {{"content-type", "text/html; profile=\"a\\\";charset=utf-16\"; x"}}, SILENT},
        {200, {{"content-type", "text/html; xcharset=utf-16"}}, SILENT},
        {200, {{"content-type", "text/html; charset=utf-8; charset=utf-16"}}, SILENT},
        {200, {{"content-type", "text/html;"}}, SILENT},
        {200, {{"content-type", "text/html; charset=\"utf-8"}}, SILENT},
        {200, {{"content-type", "text/html; charset=\"utf-8\\"}}, SILENT},
        {200,
         {{"content-type", "text/html"},
          {"vary", "*"},
          {"expires", "0"},
          {"cache-control", "no-store"},
          {"etag", "\"a\""},
          {"last-modified", "x"}},
         SILENT},
        {404, {{"content-type", "text/html"}}, SILENT},
        {500, {{"content-type", "text/html"}}, SILENT},
        {302, {{"content-type", "text/html"}}, SILENT},
        {201, {{"content-type", "text/html"}}, SILENT},
        {200, {{"content-type", "text/html"}, {"content-encoding", "identity"}}, SILENT},
        {200, {{"content-type", "text/html"}, {"content-encoding", ""}}, SILENT},
        {200, {{"content-type", "text/html"}, {"content-disposition", "inline"}}, SILENT},
        {200,
         {{"content-type", "text/html"},
          {"content-disposition", "INLINE; filename=\"attachment\""}},
         SILENT},
    };
    assert_responses(rows, COUNT(rows), HR_PAGE_YES);
}

static void test_anything_else_is_no_page(void **state)
{
    static const struct response_row rows[] = {
        {101, {{"content-type", "text/html"}}, SILENT},
        {103, {{"content-type", "text/html"}}, SILENT},
        {204, {{"content-type", "text/html"}}, SILENT},
        {205, {{"content-type", "text/html"}}, SILENT},
        {206, {{"content-type", "text/html"}}, SILENT},
        {304, {{"content-type", "text/html"}}, SILENT},
        {200, {{"content-type", "application/json"}}, SILENT},
        {200, {{"content-type", "text/html-sandboxed"}}, SILENT},
        {200, {{"content-type", "text/htm"}}, SILENT},
        {200, {{"content-type", "text/plain; a=text/html"}}, SILENT},
        {200, {{"content-type", "text/html, text/plain"}}, SILENT},
        {200, {{"content-type", "text/html"}, {"content-type", "text/plain"}}, SILENT},
        {200, {{"content-type", ""}}, SILENT},
        {200,
         {{"content-type", "text/html"}, {"Content-Disposition", "Attachment; filename=a"}},
         SILENT},
        {200, {{"content-type", "text/html"}, {"content-disposition", "attachment"}}, SILENT},
        {200, {{"content-type", "text/html"}, {"content-disposition", "form-data"}}, SILENT},
        {302, {{"location", "/"}}, SILENT},
        {307, {{NULL, NULL}}, SILENT},
    };
    assert_responses(rows, COUNT(rows), HR_PAGE_NO);
}

static void test_says_why_where_a_person_would_wonder(void **state)
{
    static const struct response_row rows[] = {
        {200, {{NULL, NULL}}, WITH_REASON},
        {200, {{"content-type", "application/xhtml+xml"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=utf-16"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=UTF-16LE"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=utf-32"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=ISO-2022-JP"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=\"iso-2022-jp\""}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=hz-gb-2312"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=utf-7"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=cp037"}}, WITH_REASON},
        {200, {{"content-type", "text/html; charset=nonsense"}}, WITH_REASON},
        {200, {{"content-type", "text/html; profile=\"a;b\" ; charset = utf-16"}}, WITH_REASON},
        {200, {{"content-type", "text/html; profile=\"a;b\" ; charset=utf-16"}}, WITH_REASON},
        {200, {{"content-type", "text/html"}, {"content-encoding", "br"}}, WITH_REASON},
        {200, {{"content-type", "text/html"}, {"content-encoding", "br"}}, WITH_REASON},
        {200, {{"content-type", "text/html"}, {"Content-Encoding", "identity, zstd"}}, WITH_REASON},
        {200, {{"content-encoding", "unknown"}, {"content-type", "text/html"}}, WITH_REASON},
    };
    assert_responses(rows, COUNT(rows), HR_PAGE_NO);
}

static void test_page_is_no_surer_than_its_request(void **state)
{
    static const struct header html[HEADERS] = {{"content-type", "text/html"}};
    static const struct header bare[HEADERS] = {{NULL, NULL}};
    static const struct header accepts[HEADERS] = {{"accept", "text/html"}};

    hr_request request = request_of("GET", accepts);
    hr_response response = response_of(&request, 200, html);
    assert_int_equal(hr_response_page(&response), HR_PAGE_MAYBE);

    request = request_of("PUT", browser);
    response = response_of(&request, 200, html);
    assert_int_equal(hr_response_page(&response), HR_PAGE_NO);
    assert_null(response.reason);
    response = response_of(&request, 200, bare);
    assert_int_equal(hr_response_page(&response), HR_PAGE_NO);
    assert_null(response.reason);
}

static void test_injected_page_loses_validators_ranges_and_digests(void **state)
{
    static const char *const dropped[] = {
        "etag",        "last-modified", "accept-ranges",  "content-md5", "digest",
        "repr-digest", "Repr-Digest",   "content-digest", "ETag",        "Last-Modified",
    };
    static const char *const kept[] = {
        "",           "content-type", "content-length", "vary",    "date",          "expires",
        "set-cookie", "digesx",       "cache-control",  "etagged", "content-range", "content-md6",
    };
    const hr_response plain = {0};
    for (size_t i = 0; i < COUNT(dropped); i++) {
        if (!hr_response_header_drops(&plain, name_bytes(dropped[i])))
            fail_msg("%s is kept", dropped[i]);
    }
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (hr_response_header_drops(&plain, name_bytes(kept[i])))
            fail_msg("%s is dropped", kept[i]);
    }
    const hr_response coded = {.coding = HR_CODING_GZIP};
    assert_false(hr_response_header_drops(&plain, name_bytes("content-encoding")));
    assert_true(hr_response_header_drops(&coded, name_bytes("Content-Encoding")));
    assert_true(hr_header_is_length(name_bytes("Content-LENGTH")));
    assert_false(hr_header_is_length(name_bytes("content-type")));
}

static void test_tells_how_the_body_is_coded(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        hr_page page;
        hr_coding coding;
    } rows[] = {
        {"", "identity", HR_PAGE_YES, HR_CODING_NONE},
        {"gzip", NULL, HR_PAGE_YES, HR_CODING_GZIP},
        {"X-GZip", NULL, HR_PAGE_YES, HR_CODING_GZIP},
        {" identity ,\tgzip, ", "", HR_PAGE_YES, HR_CODING_GZIP},
        {"identity", "Deflate", HR_PAGE_YES, HR_CODING_DEFLATE},
        {"gzip, gzip", NULL, HR_PAGE_NO, HR_CODING_NONE},
        {"gzip", "deflate", HR_PAGE_NO, HR_CODING_NONE},
        {"br", NULL, HR_PAGE_NO, HR_CODING_NONE},
        {"br, gzip", NULL, HR_PAGE_NO, HR_CODING_NONE},
        {"gzip", "zstd", HR_PAGE_NO, HR_CODING_NONE},
        {"gzip2", NULL, HR_PAGE_NO, HR_CODING_NONE},
    };
    hr_request request = request_of("GET", browser);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct header headers[HEADERS] = {{"content-type", "text/html"},
                                                {"content-encoding", rows[i].first},
                                                {"content-encoding", rows[i].second}};
        hr_response response = response_of(&request, 200, headers);
        hr_page page = hr_response_page(&response);
        if (page != rows[i].page || (page && response.coding != rows[i].coding))
            fail_msg("row %zu", i);
        if (!page && (!response.reason || !strstr(response.reason, "Accept-Encoding")))
            fail_msg("row %zu does not say what to do", i);
    }
}

static void test_page_is_asked_for_again_and_by_navigations_only(void **state)
{
    static const struct {
        struct header headers[HEADERS];
        unsigned lacks;
    } rows[] = {
        {{{NULL, NULL}}, HR_LACKS_NO_CACHE | HR_LACKS_VARY},
        {{{"etag", "\"a\""}}, HR_LACKS_NO_CACHE | HR_LACKS_VARY},
        {{{"cache-control", ""}}, HR_LACKS_VARY},
        {{{"Cache-Control", "max-age=5"}}, HR_LACKS_VARY},
        {{{"expires", "0"}}, HR_LACKS_VARY},
        {{{"vary", "Accept-Encoding, Cookie"}}, HR_LACKS_NO_CACHE | HR_LACKS_VARY},
        {{{"vary", "Sec-Fetch-Destination"}}, HR_LACKS_NO_CACHE | HR_LACKS_VARY},
        {{{"vary", ""}}, HR_LACKS_NO_CACHE | HR_LACKS_VARY},
        {{{"Vary", "Accept-Encoding ,\tsec-fetch-dest"}}, HR_LACKS_NO_CACHE},
        {{{"vary", "Cookie"}, {"vary", "Sec-Fetch-Dest"}}, HR_LACKS_NO_CACHE},
        {{{"vary", "*"}, {"cache-control", "no-store"}}, 0},
    };
    hr_request request = request_of("GET", browser);
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_response response = response_of(&request, 200, rows[i].headers);
        if (hr_response_lacks(&response) != rows[i].lacks)
            fail_msg("row %zu", i);
    }
}

static void test_what_is_not_injected_is_kept_by_no_browser_on_a_guess(void **state)
{
    static const struct {
        const char *method;
        struct header headers[HEADERS];
        unsigned lacks;
    } rows[] = {
        {"GET", {{"content-type", "text/css"}}, 0},
        {"GET", {{"etag", "\"a\""}}, HR_LACKS_NO_CACHE},
        {"GET", {{"Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"}}, HR_LACKS_NO_CACHE},
        {"HEAD", {{"etag", "\"a\""}, {"last-modified", "x"}}, HR_LACKS_NO_CACHE},
        {"GET", {{"etag", "\"a\""}, {"Cache-Control", "max-age=5"}}, 0},
        {"GET", {{"expires", "0"}, {"last-modified", "x"}}, 0},
        {"GET", {{"cache-control", ""}}, 0},
        {"POST", {{"etag", "\"a\""}}, 0},
        {"PUT", {{"etag", "\"a\""}}, 0},
    };
    static const struct header fetched[HEADERS] = {{"sec-fetch-dest", "style"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        hr_request request = request_of(rows[i].method, fetched);
        hr_response response = response_of(&request, 200, rows[i].headers);
        if (hr_response_lacks(&response) != rows[i].lacks)
            fail_msg("row %zu", i);
    }
}

static void test_fetched_html_is_not_used_for_a_navigation(void **state)
{
    static const struct {
        const char *purpose;
        struct header headers[HEADERS];
        unsigned lacks;
    } rows[] = {
        {NULL, {{"content-type", "text/html"}}, 0},
        {NULL, {{"content-type", "text/html"}, {"etag", "x"}}, HR_LACKS_NO_CACHE},
        {NULL, {{"content-type", "text/html"}, {"cache-control", "max-age=60"}}, HR_LACKS_VARY},
        {NULL, {{"content-type", "text/html"}, {"expires", "tomorrow"}}, HR_LACKS_VARY},
        {NULL, {{"content-type", "text/html"}, {"cache-control", "private, NO-CACHE"}}, 0},
        {NULL, {{"content-type", "text/html"}, {"cache-control", "no-store"}}, 0},
        {NULL, {{"content-type", "text/html"}, {"cache-control", "public"}, {"vary", "*"}}, 0},
        {NULL, {{"content-type", "text/css"}, {"cache-control", "max-age=60"}}, 0},
        {"prefetch", {{"content-type", "text/html"}}, HR_LACKS_VARY},
        {"Prefetch;prerender", {{"content-type", "text/html"}}, HR_LACKS_VARY},
        {"prefetched", {{"content-type", "text/html"}}, 0},
        {"prefetch", {{"content-type", "application/json"}}, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct header headers[HEADERS] = {{"sec-fetch-dest", "empty"},
                                                {"sec-purpose", rows[i].purpose}};
        hr_request request = request_of("GET", headers);
        hr_response response = response_of(&request, 200, rows[i].headers);
        if (hr_response_lacks(&response) != rows[i].lacks)
            fail_msg("row %zu", i);
    }
}

static void test_bytes_without_memory_are_empty_ones(void **state)
{
    const hr_bytes none = {NULL, 0};
    hr_request request;
    hr_response response;

    hr_request_init(&request, none);
    hr_request_header(&request, none, none);
    assert_int_equal(hr_request_page(&request), HR_PAGE_NO);
    assert_int_equal(hr_request_header_action(none), HR_HEADER_KEEP);
    hr_response_init(&response, &request, 200);
    assert_false(hr_response_header_drops(&response, none));
    assert_false(hr_header_is_length(none));
    static const char *const seen[] = {"content-type", "content-encoding", "content-disposition",
                                       "vary"};
    for (size_t i = 0; i < COUNT(seen); i++)
        hr_response_header(&response, name_bytes(seen[i]), none);
    static const char *const asked[] = {"accept", "sec-fetch-dest"};
    for (size_t i = 0; i < COUNT(asked); i++)
        hr_request_header(&request, name_bytes(asked[i]), none);
    assert_int_equal(hr_response_page(&response), HR_PAGE_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_navigation_asks_for_a_document),
        cmocka_unit_test(test_anything_but_a_navigation_asks_for_none),
        cmocka_unit_test(test_accepting_html_asks_perhaps),
        cmocka_unit_test(test_app_of_a_page_gets_no_validators_no_ranges_and_no_coding),
        cmocka_unit_test(test_html_of_any_status_with_content_is_a_page),
        cmocka_unit_test(test_anything_else_is_no_page),
        cmocka_unit_test(test_says_why_where_a_person_would_wonder),
        cmocka_unit_test(test_page_is_no_surer_than_its_request),
        cmocka_unit_test(test_injected_page_loses_validators_ranges_and_digests),
        cmocka_unit_test(test_tells_how_the_body_is_coded),
        cmocka_unit_test(test_page_is_asked_for_again_and_by_navigations_only),
        cmocka_unit_test(test_what_is_not_injected_is_kept_by_no_browser_on_a_guess),
        cmocka_unit_test(test_fetched_html_is_not_used_for_a_navigation),
        cmocka_unit_test(test_bytes_without_memory_are_empty_ones),
    };

    guard_init(&names, 4096);
    guard_init(&values, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&names);
    guard_fini(&values);
    return failed;
}
