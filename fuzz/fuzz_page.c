/*
 * Oracle: the rules of docs/pages.md, said once more over a head whose names and values are put
 * into lower case and taken apart first. Besides: a response is never more of a page than its
 * request is; a header whose name has none of the sizes that the header file lists changes nothing;
 * and a reason is given only where the page is refused.
 *
 * Input: a byte for the method and one for the status; then the head of the request, a header a
 * line, an empty line, and the head of the response.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "hotreload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS = 24 };

struct header {
    char *name, *value; /* each of its own memory, so that a read beyond it is found */
    size_t name_size, value_size;
};

struct head {
    struct header headers[HEADERS];
    size_t count;
};

static char *copy(const char *data, size_t size)
{
    char *copied = malloc(size ? size : 1);
    CHECK(copied);
    memcpy(copied, data, size);
    return copied;
}

static void read_header(struct head *head, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (!colon || head->count == HEADERS)
        return;
    const size_t name = (size_t)(colon - line);
    head->headers[head->count++] = (struct header){
        .name = copy(line, name),
        .value = copy(colon + 1, size - name - 1),
        .name_size = name,
        .value_size = size - name - 1,
    };
}

static void free_head(struct head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        free(head->headers[i].name);
        free(head->headers[i].value);
    }
}

/* Text, in lower case. */

struct text {
    char data[4096];
    size_t size;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static void set(struct text *text, const char *data, size_t size)
{
    while (size && (data[0] == ' ' || data[0] == '\t')) {
        data++;
        size--;
    }
    while (size && (data[size - 1] == ' ' || data[size - 1] == '\t'))
        size--;
    CHECK(size <= sizeof text->data);
    text->size = size;
    for (size_t i = 0; i < size; i++)
        text->data[i] = lower(data[i]);
}

static bool is(const struct text *text, const char *expected)
{
    return text->size == strlen(expected) && memcmp(text->data, expected, text->size) == 0;
}

static bool is_one_of(const struct text *text, const char *const *list)
{
    while (*list && !is(text, *list))
        list++;
    return *list;
}

/* The part with this number between separators; false: there are fewer. */
static bool part(const struct text *text, char separator, size_t number, struct text *out)
{
    size_t begin = 0;
    for (size_t i = 0; i <= text->size; i++) {
        if (i < text->size && text->data[i] != separator)
            continue;
        if (number-- == 0) {
            set(out, text->data + begin, i - begin);
            return true;
        }
        begin = i + 1;
    }
    return false;
}

static bool lists(const struct text *text, char separator, const char *item)
{
    static struct text found;
    for (size_t i = 0; part(text, separator, i, &found); i++)
        if (is(&found, item))
            return true;
    return false;
}

static bool has_name(const struct header *header, const char *name)
{
    if (header->name_size != strlen(name))
        return false;
    for (size_t i = 0; i < header->name_size; i++)
        if (lower(header->name[i]) != name[i])
            return false;
    return true;
}

static bool names_one_of(const struct header *header, const char *const *names)
{
    while (*names && !has_name(header, *names))
        names++;
    return *names;
}

/* The request. */

static const char *const methods[] = {"GET", "POST", "HEAD", "get", "PUT", "", "GETS", "OPTIONS"};

struct request_model {
    bool other_method, kept, document, empty, other, navigates, html, fragment, ahead;
};

static void read_request(struct request_model *model, const struct header *header)
{
    static const char *const documents[] = {"document", "iframe", "frame", NULL};
    static const char *const fragments[] = {"hx-request", "turbo-frame", "x-requested-with",
                                            "datastar-request", NULL};
    static struct text value, range, type;
    set(&value, header->value, header->value_size);
    if (has_name(header, "sec-fetch-dest")) {
        model->document |= is_one_of(&value, documents);
        model->empty |= is(&value, "empty");
        model->other |= !is_one_of(&value, documents) && !is(&value, "empty");
    }
    if (has_name(header, "sec-fetch-mode"))
        model->navigates |= is(&value, "navigate");
    if (has_name(header, "sec-purpose") && part(&value, ';', 0, &type))
        model->ahead |= is(&type, "prefetch");
    for (size_t i = 0; has_name(header, "accept") && part(&value, ',', i, &range); i++)
        if (part(&range, ';', 0, &type))
            model->html |= is(&type, "text/html");
    model->fragment |= names_one_of(header, fragments);
}

static hr_page request_page(const struct request_model *model)
{
    if (model->other_method || model->other)
        return HR_PAGE_NO;
    if (model->empty)
        return model->navigates ? HR_PAGE_YES : HR_PAGE_NO;
    if (model->document)
        return HR_PAGE_YES;
    return model->html && !model->fragment ? HR_PAGE_MAYBE : HR_PAGE_NO;
}

static void check_action(const struct header *header, hr_bytes name)
{
    static const char *const dropped[] = {"range", "if-range", "if-none-match", "if-modified-since",
                                          NULL};
    hr_header_action expected = HR_HEADER_KEEP;
    if (names_one_of(header, dropped))
        expected = HR_HEADER_DROP;
    else if (has_name(header, "accept-encoding"))
        expected = HR_HEADER_IDENTITY;
    CHECK(hr_request_header_action(name) == expected);
    if (expected != HR_HEADER_KEEP)
        CHECK(HR_REQUEST_ACTION_NAMES >> header->name_size & 1);
}

/* The response. */

struct response_model {
    bool type, html, xhtml, other_type, foreign_charset, download, foreign_coding;
    bool caching, asks_again, validator, varies;
    size_t codings;
    hr_coding coding;
};

/* Of the families in which ASCII stands for itself. */
static bool keeps_ascii(const struct text *label)
{
    static const char families[] =
        " utf-8 utf8 ansi_x3.4 ascii big5 cp125 cp819 euc- gb iso-8859 iso8859 iso_8859 koi8 ks_c "
        "latin mac shift sjis tis-620 us-ascii windows- x-mac- x-sjis ";
    for (const char *at = families + 1; *at;) {
        const size_t size = strcspn(at, " ");
        if (label->size >= size && memcmp(label->data, at, size) == 0)
            return true;
        at += size + 1;
    }
    return false;
}

/* The value of the first charset that has one; false: there is none. */
static bool find_charset(const struct text *value, struct text *out)
{
    static struct text name;
    size_t at = 0;
    while (at < value->size && value->data[at] != ';')
        at++;
    while (at < value->size) {
        size_t begin = ++at; /* after the semicolon */
        while (at < value->size && value->data[at] != ';' && value->data[at] != '=')
            at++;
        set(&name, value->data + begin, at - begin);
        if (at == value->size || value->data[at] == ';')
            continue;
        at++;
        while (at < value->size && (value->data[at] == ' ' || value->data[at] == '\t'))
            at++;
        begin = at;
        const bool quoted = at < value->size && value->data[at] == '"';
        size_t end;
        if (quoted) {
            begin = ++at;
            while (at < value->size && value->data[at] != '"')
                at += value->data[at] == '\\' && at + 1 < value->size ? 2 : 1;
            end = at;
        }
        while (at < value->size && value->data[at] != ';')
            at++;
        if (!quoted)
            end = at;
        while (end > begin && !quoted &&
               (value->data[end - 1] == ' ' || value->data[end - 1] == '\t'))
            end--;
        if (is(&name, "charset") && end > begin) {
            set(out, value->data + begin, end - begin);
            return true;
        }
    }
    return false;
}

static void read_type(struct response_model *model, const struct text *value)
{
    static struct text type, charset;
    model->type = true;
    part(value, ';', 0, &type);
    if (is(&type, "text/html")) {
        model->html = true;
        model->foreign_charset |= find_charset(value, &charset) && !keeps_ascii(&charset);
    } else if (is(&type, "application/xhtml+xml")) {
        model->xhtml = true;
    } else {
        model->other_type = true;
    }
}

static void read_codings(struct response_model *model, const struct text *value)
{
    static struct text coding;
    for (size_t i = 0; part(value, ',', i, &coding); i++) {
        if (!coding.size || is(&coding, "identity"))
            continue;
        model->codings++;
        if (is(&coding, "gzip") || is(&coding, "x-gzip"))
            model->coding = HR_CODING_GZIP;
        else if (is(&coding, "deflate"))
            model->coding = HR_CODING_DEFLATE;
        else
            model->foreign_coding = true;
    }
}

static void read_response(struct response_model *model, const struct header *header)
{
    static struct text value, first;
    set(&value, header->value, header->value_size);
    if (has_name(header, "etag") || has_name(header, "last-modified"))
        model->validator = true;
    if (has_name(header, "vary"))
        model->varies |= lists(&value, ',', "*") || lists(&value, ',', "sec-fetch-dest");
    if (has_name(header, "expires") || has_name(header, "cache-control"))
        model->caching = true;
    if (has_name(header, "cache-control"))
        model->asks_again |= lists(&value, ',', "no-cache") || lists(&value, ',', "no-store");
    if (has_name(header, "content-type"))
        read_type(model, &value);
    if (has_name(header, "content-encoding"))
        read_codings(model, &value);
    if (has_name(header, "content-disposition") && part(&value, ';', 0, &first))
        model->download |= first.size && !is(&first, "inline");
}

static hr_page response_page(const struct response_model *model, hr_page request, int status)
{
    const bool content =
        status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
    if (!content || !model->html || model->xhtml || model->other_type || model->foreign_charset ||
        model->download || model->foreign_coding || model->codings > 1)
        return HR_PAGE_NO;
    return request;
}

static unsigned lacks(const struct request_model *request, const struct response_model *model,
                      hr_page page)
{
    if (page != HR_PAGE_NO)
        return (model->caching ? 0 : HR_LACKS_NO_CACHE) | (model->varies ? 0 : HR_LACKS_VARY);
    if (!request->kept)
        return 0;
    if (model->validator && !model->caching)
        return HR_LACKS_NO_CACHE;
    const bool reused = (model->caching && !model->asks_again) || request->ahead;
    return reused && model->html && !model->varies ? HR_LACKS_VARY : 0;
}

static void check_drops(const hr_response *response, const struct header *header, hr_bytes name)
{
    static const char *const dropped[] = {
        "etag",          "digest",        "content-md5",    "repr-digest",
        "last-modified", "accept-ranges", "content-digest", NULL};
    const bool coding = response->coding && has_name(header, "content-encoding");
    CHECK(hr_response_header_drops(response, name) == (names_one_of(header, dropped) || coding));
    CHECK(hr_header_is_length(name) == has_name(header, "content-length"));
    if (name.size > 31 || !((uint32_t)HR_RESPONSE_CHANGED_NAMES >> name.size & 1))
        CHECK(!hr_response_header_drops(response, name) && !hr_header_is_length(name));
}

static void check(const struct head *asked, const struct head *answered, const char *method,
                  int status)
{
    struct request_model request_model = {0};
    struct response_model response_model = {0};
    hr_request request;
    hr_response response;

    request_model.kept = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    request_model.other_method = !request_model.kept && strcmp(method, "POST") != 0;
    hr_request_init(&request, (hr_bytes){method, strlen(method)});
    for (size_t i = 0; i < asked->count; i++) {
        const struct header *header = &asked->headers[i];
        const hr_bytes name = {header->name, header->name_size};
        const uint32_t before = request.flags;
        hr_request_header(&request, name, (hr_bytes){header->value, header->value_size});
        if (header->name_size > 31 || !((uint32_t)HR_REQUEST_NAMES >> header->name_size & 1))
            CHECK(request.flags == before);
        read_request(&request_model, header);
        check_action(header, name);
    }
    const hr_page asked_for = hr_request_page(&request);
    CHECK(asked_for == request_page(&request_model));

    hr_response_init(&response, &request, status);
    for (size_t i = 0; i < answered->count; i++) {
        const struct header *header = &answered->headers[i];
        const hr_bytes name = {header->name, header->name_size};
        const hr_response before = response;
        hr_response_header(&response, name, (hr_bytes){header->value, header->value_size});
        if (header->name_size > 31 || !((uint32_t)HR_RESPONSE_NAMES >> header->name_size & 1))
            CHECK(response.flags == before.flags && response.coding == before.coding);
        read_response(&response_model, header);
    }
    const hr_page page = hr_response_page(&response);
    CHECK(page == response_page(&response_model, asked_for, status) && page <= asked_for);
    CHECK(!response.reason || (page == HR_PAGE_NO && asked_for != HR_PAGE_NO));
    if (page != HR_PAGE_NO)
        CHECK(response.coding == response_model.coding);
    CHECK(hr_response_lacks(&response) == lacks(&request_model, &response_model, page));
    for (size_t i = 0; i < answered->count; i++) {
        const struct header *header = &answered->headers[i];
        check_drops(&response, header, (hr_bytes){header->name, header->name_size});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 404, 500, 301, 304, 204, 205, 206, 199, 100, 418, 0, -1};
    if (size < 2)
        return 0;
    struct head heads[2] = {0};
    size_t which = 0;
    const char *text = (const char *)data + 2;
    size_t begin = 0;
    for (size_t i = 0; i <= size - 2; i++) {
        if (i < size - 2 && text[i] != '\n')
            continue;
        if (i == begin && which == 0)
            which = 1;
        else
            read_header(&heads[which], text + begin, i - begin);
        begin = i + 1;
    }
    check(&heads[0], &heads[1], methods[data[0] % (sizeof methods / sizeof *methods)],
          statuses[data[1] % (sizeof statuses / sizeof *statuses)]);
    free_head(&heads[0]);
    free_head(&heads[1]);
    return 0;
}
