/* What is added to a Content-Security-Policy. Linked so that memory and random bits can run out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include <cmocka.h>

#include "failing.h"
#include "guard.h"
#include "hotreload.h"

enum { HEADERS = 3 };
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

#define SCRIPT  "localhost:8000/__hot/"
#define CONNECT "localhost:8000/__hot"
#define FRESH   "AAECAwQFBgcICQoLDA0ODw=="

/* Random bits: 0, 1, 2 … unless something is wrong. */

ssize_t __wrap_getrandom(void *memory, size_t size, unsigned flags);

static struct {
    int error;            /* of every call */
    unsigned interrupted; /* so many calls to come */
    unsigned char begin, step;
    unsigned calls;
} randomness = {.step = 1};

ssize_t __wrap_getrandom(void *memory, size_t size, unsigned flags)
{
    randomness.calls++;
    if (randomness.interrupted) {
        randomness.interrupted--;
        errno = EINTR;
        return -1;
    }
    if (randomness.error) {
        errno = randomness.error;
        return -1;
    }
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)memory)[i] = (unsigned char)(randomness.begin + i * randomness.step);
    return (ssize_t)size;
}

/* Bytes right before pages without access. */

static struct guard names, values[HEADERS], hosts, paths;

static hr_bytes bytes_in(struct guard *guard, const char *text)
{
    return (hr_bytes){guard_put(guard, text, strlen(text)), strlen(text)};
}

/* One response. A value that begins with `?` is of a report-only header. */

static hr_bytes name_of(const char *header)
{
    return bytes_in(&names, header[0] == '?' ? "Content-Security-Policy-Report-Only"
                                             : "Content-Security-Policy");
}

static hr_bytes value_of(const char *header, size_t index)
{
    return bytes_in(&values[index], header[0] == '?' ? header + 1 : header);
}

static void tell(hr_policy *policy, const char *const headers[HEADERS])
{
    hr_policy_init(policy);
    for (size_t i = 0; i < HEADERS && headers[i]; i++)
        hr_policy_header(policy, name_of(headers[i]), value_of(headers[i], i));
}

static bool is_text(const hr_buffer *buffer, const char *text)
{
    return buffer->size == strlen(text) &&
           (!buffer->size || memcmp(buffer->data, text, buffer->size) == 0);
}

struct row {
    const char *in[HEADERS];
    const char *out[HEADERS]; /* without `?`; NULL: nothing is appended */
    const char *nonce;        /* NULL: none */
};

static const struct place {
    const char *host, *path;
} here = {"localhost:8000", "/__hot"};

static void assert_row(const struct row *row, const struct place *place)
{
    hr_policy policy;
    char again[HEADERS][1024];
    struct row second = {.nonce = row->nonce};
    const char *nonce = row->nonce ? row->nonce : "";

    tell(&policy, row->in);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_null(policy.reason);
    if (policy.nonce.size != strlen(nonce) ||
        (policy.nonce.size && memcmp(policy.nonce.data, nonce, policy.nonce.size) != 0))
        fail_msg("%s: nonce is \"%.*s\"", row->in[0], (int)policy.nonce.size, policy.nonce.data);

    const hr_policy_client client = {bytes_in(&hosts, place->host), bytes_in(&paths, place->path)};
    for (size_t i = 0; i < HEADERS && row->in[i]; i++) {
        const bool monitored = row->in[i][0] == '?';
        hr_buffer out = {0};
        const hr_bytes value = {values[i].map + values[i].size - strlen(row->in[i] + monitored),
                                strlen(row->in[i] + monitored)};
        assert_int_equal(hr_policy_rewrite(&policy, value, client, &out), HR_OK);
        if (!is_text(&out, row->out[i] ? row->out[i] : ""))
            fail_msg("%s: became \"%.*s\"", row->in[i], (int)out.size, out.data);
        snprintf(again[i], sizeof again[i], "%s%s", monitored ? "?" : "",
                 row->out[i] ? row->out[i] : row->in[i] + monitored);
        second.in[i] = again[i];
        hr_buffer_fini(&out);
    }
    for (size_t i = 0; i < HEADERS; i++) {
        if (row->out[i]) {
            assert_row(&second, place);
            return;
        }
    }
}

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_row(&rows[i], &here);
}

/* Nothing to do. */

static void test_policy_that_allows_all_is_left_alone(void **state)
{
    static const struct row rows[] = {
        {.in = {""}},
        {.in = {" ;, ;"}},
        {.in =
             {"img-src 'none'; script-src-attr 'none'; worker-src 'none'; style-src-elem 'none'"}},
        {.in = {"default-src 'self'"}},
        {.in = {"default-src *"}},
        {.in = {"default-src http:"}},
        {.in = {"DEFAULT-SRC\t'SELF'\t; object-src 'none'"}},
        {.in = {"default-src 'none'; script-src 'self'; connect-src 'self'"}},
        {.in =
             {"default-src 'none'; script-src-elem 'self'; script-src 'none'; connect-src HTTP:"}},
        {.in = {"script-src https://cdn.example 'self' 'unsafe-inline'"}},
        {.in = {"script-src 'self' 'nonce-a' 'sha256-b'"}},
        {.in = {"connect-src 'self' 'strict-dynamic'"}},
        {.in = {"script-src 'none' 'self'"}},
        {.in = {"script-src " SCRIPT "; connect-src " CONNECT}},
        {.in = {"script-src http://" SCRIPT "; connect-src HTTP://" CONNECT}},
        {.in = {"script-src localhost:8000; connect-src localhost:8000/"}},
        {.in = {"script-src http://localhost:8000; connect-src http://localhost:8000/"}},
        {.in = {"script-src 'self'; script-src 'none'; Script-Src-Elem 'self'; script-src-elem"}},
        {.in = {"script-src 'self', connect-src 'self'"}},
        {.in = {"require-trusted-types-for 'script'; trusted-types a; report-uri /r"}},
        {.in = {"script-src 'nonce-YWJj' 'unsafe-inline' https:"}, .nonce = "YWJj"},
        {.in = {"script-src 'NONCE-YWJj' 'Strict-Dynamic'"}, .nonce = "YWJj"},
        {.in = {"script-src 'strict-dynamic' 'nonce-a-_/+=='"}, .nonce = "a-_/+=="},
        {.in = {"script-src 'strict-dynamic' 'self' 'nonce-a'"}, .nonce = "a"},
        {.in = {"?script-src 'nonce-a'; connect-src 'self'"}, .nonce = "a"},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_other_headers_are_ignored(void **state)
{
    hr_policy policy;
    const hr_bytes value = {"script-src 'strict-dynamic'; sandbox", 36};

    hr_policy_init(&policy);
    hr_policy_header(&policy, (hr_bytes){"X-Content-Security-Policy", 25}, value);
    hr_policy_header(&policy, (hr_bytes){"Content-Security-Polic", 22}, value);
    hr_policy_header(&policy, (hr_bytes){NULL, 0}, value);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_int_equal(policy.nonce.size, 0);
    assert_null(policy.reason);
    assert_true(hr_policy_is_header((hr_bytes){"CONTENT-security-policy", 23}));
    assert_true(hr_policy_is_header((hr_bytes){"content-security-policy-report-only", 35}));
    assert_false(hr_policy_is_header((hr_bytes){"content-security-policy-", 24}));
    assert_false(hr_policy_is_header((hr_bytes){NULL, 0}));
}

/* Something to do. */

static void test_address_is_added_where_addresses_count(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src https://cdn.example"},
         .out = {"script-src https://cdn.example " SCRIPT}},
        {.in = {"script-src-elem data:; script-src 'self'"},
         .out = {"script-src-elem data: " SCRIPT "; script-src 'self'"}},
        {.in = {"script-src 'unsafe-inline'"}, .out = {"script-src 'unsafe-inline' " SCRIPT}},
        {.in = {"script-src 'unsafe-inline' https: ; img-src *"},
         .out = {"script-src 'unsafe-inline' https: " SCRIPT " ; img-src *"}},
        {.in = {"script-src 'sha256-YWJj' 'unsafe-hashes' 'unsafe-inline'"},
         .out = {"script-src 'sha256-YWJj' 'unsafe-hashes' 'unsafe-inline' " SCRIPT}},
        {.in = {"script-src 'report-sample'"}, .out = {"script-src 'report-sample' " SCRIPT}},
        {.in = {"connect-src wss: https:"}, .out = {"connect-src wss: https: " CONNECT}},
        {.in = {"connect-src 'nonce-a'"}, .out = {"connect-src 'nonce-a' " CONNECT}},
        {.in = {"connect-src " SCRIPT}, .out = {"connect-src " SCRIPT " " CONNECT}},
        {.in = {"script-src localhost http://localhost:80000 https://localhost:8000"},
         .out = {"script-src localhost http://localhost:80000 https://localhost:8000 " SCRIPT}},
        {.in = {"connect-src a; script-src b"},
         .out = {"connect-src a " CONNECT "; script-src b " SCRIPT}},
        {.in = {"script-src b; connect-src a;"},
         .out = {"script-src b " SCRIPT "; connect-src a " CONNECT ";"}},
        {.in = {"\tScript-Src\f\ta  b \r;"}, .out = {"\tScript-Src\f\ta  b " SCRIPT " \r;"}},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_none_gives_way_where_it_counts(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src 'none'"}, .out = {"script-src " SCRIPT}},
        {.in = {"script-src\t'None'\t;"}, .out = {"script-src\t" SCRIPT "\t;"}},
        {.in = {"script-src"}, .out = {"script-src " SCRIPT}},
        {.in = {"script-src ;connect-src"}, .out = {"script-src " SCRIPT " ;connect-src " CONNECT}},
        {.in = {"connect-src 'none'"}, .out = {"connect-src " CONNECT}},
        {.in = {"connect-src 'none';script-src 'none'"},
         .out = {"connect-src " CONNECT ";script-src " SCRIPT}},
        /* not alone, it means nothing */
        {.in = {"script-src 'none' 'none'"}, .out = {"script-src 'none' 'none' " SCRIPT}},
        {.in = {"script-src a 'none'"}, .out = {"script-src a 'none' " SCRIPT}},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_default_is_not_widened(void **state)
{
    static const struct row rows[] = {
        {.in = {"default-src 'none'"},
         .out = {"default-src 'none'; script-src " SCRIPT "; connect-src " CONNECT}},
        {.in = {"default-src"},
         .out = {"default-src; script-src " SCRIPT "; connect-src " CONNECT}},
        {.in = {" default-src 'none' ; , img-src *"},
         .out = {" default-src 'none' ; script-src " SCRIPT "; connect-src " CONNECT
                 " , img-src *"}},
        {.in = {"default-src https:  data: 'unsafe-inline' 'unsafe-eval' 'report-sample'"},
         .out = {"default-src https:  data: 'unsafe-inline' 'unsafe-eval' 'report-sample'; "
                 "script-src https: data: 'unsafe-inline' 'unsafe-eval' 'report-sample' " SCRIPT
                 "; connect-src https: data: " CONNECT}},
        {.in = {"default-src 'sha256-a' b; connect-src 'self';"},
         .out = {"default-src 'sha256-a' b; connect-src 'self'; script-src 'sha256-a' b " SCRIPT}},
        {.in = {"default-src 'nonce-a'; img-src *"},
         .out = {"default-src 'nonce-a'; img-src *; connect-src " CONNECT},
         .nonce = "a"},
        {.in = {"default-src 'none'; script-src 'none'"},
         .out = {"default-src 'none'; script-src " SCRIPT "; connect-src " CONNECT}},
        {.in = {"connect-src 'none'; default-src 'none'"},
         .out = {"connect-src " CONNECT "; default-src 'none'; script-src " SCRIPT}},
        {.in = {"default-src 'none'; connect-src 'none'"},
         .out = {"default-src 'none'; connect-src " CONNECT "; script-src " SCRIPT}},
        {.in = {"default-src 'self' 'strict-dynamic'"},
         .out = {"default-src 'self' 'strict-dynamic'; "
                 "script-src 'self' 'strict-dynamic' 'nonce-" FRESH "'"},
         .nonce = FRESH},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_nonce_is_added_under_strict_dynamic_only(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src 'strict-dynamic' 'self' * http: " SCRIPT},
         .out = {"script-src 'strict-dynamic' 'self' * http: " SCRIPT " 'nonce-" FRESH "'"},
         .nonce = FRESH},
        {.in = {"script-src 'unsafe-inline' 'Strict-Dynamic'; connect-src 'none'"},
         .out = {"script-src 'unsafe-inline' 'Strict-Dynamic' 'nonce-" FRESH
                 "'; connect-src " CONNECT},
         .nonce = FRESH},
        {.in = {"script-src 'strict-dynamic' 'sha256-YWJj'"},
         .out = {"script-src 'strict-dynamic' 'sha256-YWJj' 'nonce-" FRESH "'"},
         .nonce = FRESH},
        {.in = {"?script-src 'strict-dynamic'"},
         .out = {"script-src 'strict-dynamic' 'nonce-" FRESH "'"},
         .nonce = FRESH},
        /* no policy asks for the nonce that is there */
        {.in = {"script-src 'self' 'nonce-a'", "script-src 'strict-dynamic'"},
         .out = {NULL, "script-src 'strict-dynamic' 'nonce-" FRESH "'"},
         .nonce = FRESH},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_what_is_no_nonce_is_not_used(void **state)
{
    static const char *const wrong[] = {
        "'nonce-'", "'nonce-",    "'nonce-a",   "'nonce-='",  "'nonce-a==='", "'nonce-a=b'",
        "nonce-a",  "'nonce-a!'", "'nonce-a''", "'nonce-\"'", "'nonce",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char in[64], out[128];
        snprintf(in, sizeof in, "script-src 'unsafe-inline' %s", wrong[i]);
        snprintf(out, sizeof out, "%s " SCRIPT, in);
        assert_row(&(struct row){{in}, {out}, NULL}, &here);
    }
}

static void test_one_nonce_serves_all_policies(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src 'nonce-a'", "script-src 'strict-dynamic'"},
         .out = {NULL, "script-src 'strict-dynamic' 'nonce-a'"},
         .nonce = "a"},
        {.in = {"script-src 'strict-dynamic'", "script-src 'nonce-a'"},
         .out = {"script-src 'strict-dynamic' 'nonce-a'"},
         .nonce = "a"},
        {.in = {"script-src 'strict-dynamic' 'nonce-a', script-src 'nonce-b' 'strict-dynamic'"},
         .out = {"script-src 'strict-dynamic' 'nonce-a', script-src 'nonce-b' 'strict-dynamic' "
                 "'nonce-a'"},
         .nonce = "a"},
        /* where an address will do */
        {.in = {"script-src 'nonce-a', script-src 'nonce-b'"},
         .out = {"script-src 'nonce-a', script-src 'nonce-b' " SCRIPT},
         .nonce = "a"},
        {.in = {"script-src 'nonce-a' 'nonce-b'", "script-src 'nonce-c' 'nonce-a'"}, .nonce = "a"},
        /* rather one of an enforced policy */
        {.in = {"?script-src 'strict-dynamic' 'nonce-a'", "script-src 'nonce-b'",
                "script-src 'nonce-c' 'strict-dynamic'"},
         .out = {"script-src 'strict-dynamic' 'nonce-a' 'nonce-b'", NULL,
                 "script-src 'nonce-c' 'strict-dynamic' 'nonce-b'"},
         .nonce = "b"},
        {.in = {"?script-src 'nonce-a'", "?script-src 'nonce-b'", "script-src 'unsafe-inline'"},
         .out = {NULL, "script-src 'nonce-b' " SCRIPT, "script-src 'unsafe-inline' " SCRIPT},
         .nonce = "a"},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_each_policy_is_looked_at(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src 'self'", "?script-src 'none'", "connect-src 'none'"},
         .out = {NULL, "script-src " SCRIPT, "connect-src " CONNECT}},
        {.in = {",script-src 'none' , ,connect-src 'none';,default-src 'none',"},
         .out = {",script-src " SCRIPT " , ,connect-src " CONNECT
                 ";,default-src 'none'; script-src " SCRIPT "; connect-src " CONNECT ","}},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_first_directive_of_a_name_counts(void **state)
{
    static const struct row rows[] = {
        {.in = {"script-src 'none'; SCRIPT-SRC 'self'; script-src 'none'"},
         .out = {"script-src " SCRIPT "; SCRIPT-SRC 'self'; script-src 'none'"}},
        {.in = {"connect-src; connect-src *"}, .out = {"connect-src " CONNECT "; connect-src *"}},
        /* one that is not ASCII does not count at all */
        {.in = {"script-src 'self' \xc3\xa9; script-src 'none'"},
         .out = {"script-src 'self' \xc3\xa9; script-src " SCRIPT}},
        {.in = {"connect-src 'self'\x80; default-src 'none'; script-src 'self'"},
         .out = {"connect-src 'self'\x80; default-src 'none'; script-src 'self'; "
                 "connect-src " CONNECT}},
        {.in = {"script-src 'none' \xff"}},
    };
    assert_rows(rows, COUNT(rows));
}

static void test_address_is_written_as_a_source(void **state)
{
    static const struct {
        struct place place;
        const char *out;
    } rows[] = {
        {{"example.com", "/a"}, "script-src example.com/a/; connect-src example.com/a"},
        {{"Example-1.COM:80", "/a"},
         "script-src Example-1.COM:80/a/; connect-src Example-1.COM:80/a"},
        {{"127.0.0.1:8000", "/a"}, "script-src 127.0.0.1:8000/a/; connect-src 127.0.0.1:8000/a"},
        {{"a", "/b;c,d/e%20f"}, "script-src a/b%3Bc%2Cd/e%20f/; connect-src a/b%3Bc%2Cd/e%20f"},
        {{"a", "/-._~!$&'()*+=:@0"},
         "script-src a/-._~!$&'()*+=:@0/; connect-src a/-._~!$&'()*+=:@0"},
        {{"a", "/\"\xc3\xa9?"}, "script-src a/%22%C3%A9%3F/; connect-src a/%22%C3%A9%3F"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_row(&(struct row){{"script-src 'none'; connect-src"}, {rows[i].out}, NULL},
                   &rows[i].place);
}

static void test_self_stands_for_a_host_that_cannot_be_written(void **state)
{
    static const char *const wrong[] = {
        "",   "[::1]:8000", "[::1]", "a_b", "*",   "*.a", ":80", "a:", "a:80x", "a:*",
        "a.", ".a",         "a..b",  "a b", "a;b", "a,b", "a/b", "a'", "u@a",   "\xc3\xa9.example",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const struct place place = {wrong[i], "/__hot"};
        assert_row(&(struct row){{"script-src 'none'; connect-src a /"},
                                 {"script-src 'self'; connect-src a / 'self'"},
                                 NULL},
                   &place);
        assert_row(&(struct row){{"default-src 'nonce-a' b"},
                                 {"default-src 'nonce-a' b; connect-src b 'self'"},
                                 "a"},
                   &place);
    }
}

/* Nothing to be done. */

static const char *reason_of(const char *const headers[HEADERS])
{
    hr_policy policy;
    tell(&policy, headers);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    return policy.reason;
}
#define REASON(...) reason_of((const char *const[HEADERS]){__VA_ARGS__})

static bool takes_no_worker(const char *name, const char *value)
{
    hr_policy policy;
    hr_policy_init(&policy);
    hr_policy_header(&policy, (hr_bytes){name, strlen(name)}, (hr_bytes){value, strlen(value)});
    return policy.no_worker;
}

static void test_tells_where_no_worker_is_taken(void **state)
{
    static const char *const taken[] = {
        "",
        "img-src 'none'",
        "script-src 'self'",
        "script-src 'self' 'nonce-abc'",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "worker-src 'self'; script-src 'nonce-abc'",
        "child-src http:; script-src 'nonce-abc'",
        "trusted-types 'none'",
    };
    static const char *const refused[] = {
        "worker-src 'none'",
        "worker-src https://cdn.example.com",
        "child-src 'none'; script-src 'self'",
        "script-src 'nonce-abc'",
        "default-src 'nonce-abc'",
        "script-src 'sha256-abc=' 'strict-dynamic'",
        "script-src 'self' 'strict-dynamic'",
        "script-src-elem 'unsafe-inline'; script-src 'none'",
        "script-src 'self', worker-src 'none'",
        "require-trusted-types-for 'script'",
    };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (takes_no_worker("content-security-policy", taken[i]))
            fail_msg("refused: %s", taken[i]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (!takes_no_worker("content-security-policy", refused[i]) ||
            !takes_no_worker("Content-Security-Policy-Report-Only", refused[i]))
            fail_msg("taken: %s", refused[i]);
    }
}

static void test_sandbox_without_scripts_or_origin_is_a_reason(void **state)
{
    const char *scripts = REASON("sandbox");
    const char *origin = REASON("sandbox allow-scripts");

    assert_string_equal(scripts, "its Content-Security-Policy has a sandbox without "
                                 "allow-scripts, so that no script runs");
    assert_string_equal(origin, "its Content-Security-Policy has a sandbox without "
                                "allow-same-origin, so that no script can reach the event stream");
    assert_ptr_equal(REASON("img-src *; Sandbox allow-same-origin allow-forms"), scripts);
    assert_ptr_equal(REASON("sandbox allow-same-origin Allow-Scripts, sandbox allow-scripts"),
                     origin);
    assert_ptr_equal(REASON("sandbox allow-scripts", "sandbox"), scripts);
    assert_ptr_equal(REASON("sandbox allow-scripts; script-src 'strict-dynamic'"), origin);
    assert_ptr_equal(REASON("sandbox allow-scripts-", "?sandbox"), scripts);
}

static void test_other_sandboxes_are_none(void **state)
{
    assert_null(REASON("sandbox allow-scripts allow-same-origin"));
    assert_null(REASON("sandbox ALLOW-SAME-ORIGIN\tallow-forms\tALLOW-SCRIPTS; sandbox"));
    assert_null(REASON("?sandbox", "?sandbox allow-scripts"));
    assert_null(REASON("sandbox \xff", "sandboxes", "script-src 'none'"));
}

/* What may go wrong. */

static void test_nonce_is_fresh_and_whole(void **state)
{
    const hr_bytes value = {"script-src 'strict-dynamic'", 27};
    hr_policy policy;

    for (unsigned i = 0; i < 2; i++) {
        hr_policy_init(&policy);
        hr_policy_header(&policy, name_of(""), value);
        randomness.begin = i ? 0xff : 0xf0;
        randomness.step = !i;
        randomness.interrupted = 2;
        randomness.calls = 0;
        assert_int_equal(hr_policy_settle(&policy), HR_OK);
        assert_int_equal(randomness.calls, 3);
        assert_int_equal(policy.nonce.size, 24);
        assert_memory_equal(policy.nonce.data,
                            i ? "/////////////////////w==" : "8PHy8/T19vf4+fr7/P3+/w==", 24);
        assert_int_equal(hr_policy_settle(&policy), HR_OK); /* says the same again */
        assert_int_equal(randomness.calls, 3);
    }
    randomness.begin = 0;
    randomness.step = 1;
}

static void test_no_random_bits_is_an_answer(void **state)
{
    hr_policy policy;
    const char *const dynamic[HEADERS] = {"script-src 'strict-dynamic'"};
    const char *const sandboxed[HEADERS] = {"script-src 'strict-dynamic'", "sandbox"};
    const char *const other[HEADERS] = {"script-src 'nonce-a' 'strict-dynamic'; connect-src x"};

    randomness.error = ENOSYS;
    tell(&policy, dynamic);
    assert_int_equal(hr_policy_settle(&policy), HR_SYSTEM);
    assert_int_equal(errno, ENOSYS);
    assert_int_equal(policy.nonce.size, 0);
    tell(&policy, other); /* needs none */
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    tell(&policy, sandboxed); /* will not be rewritten */
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_non_null(policy.reason);
    randomness.error = 0;
    tell(&policy, dynamic);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_int_equal(policy.nonce.size, 24);
}

static void test_no_memory_leaves_the_buffer_as_it_was(void **state)
{
    /* Longer than a buffer is at first, so that there are several allocations in many places. */
    enum { LENGTH = 3000 };
    static char source[LENGTH + 1];
    static char text[4 * LENGTH];
    memset(source, 'a', LENGTH);
    const int size = snprintf(text, sizeof text,
                              "script-src 'strict-dynamic'; connect-src 'none' %s, default-src %s",
                              source, source);
    const hr_bytes value = {text, (size_t)size};
    /* The address nearly fills a buffer, so that the nonce after it needs a larger one. */
    const hr_policy_client client = {{"localhost:8000", 14}, {source, 1005}};
    hr_policy policy;
    size_t failed = 0;

    hr_policy_init(&policy);
    hr_policy_header(&policy, name_of(""), value);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    for (;; failed++) {
        hr_buffer out = {0};
        failing_never();
        assert_int_equal(hr_buffer_append(&out, "abc", 3), HR_OK);
        failing_at(failed, false);
        const hr_status status = hr_policy_rewrite(&policy, value, client, &out);
        const bool happened = failing_happened();
        failing_never();
        assert_int_equal(status, happened ? HR_NOMEM : HR_OK);
        assert_true(happened ? out.size == 3 : out.size > value.size + 3);
        assert_memory_equal(out.data, "abc", 3);
        hr_buffer_fini(&out);
        if (!happened)
            break;
    }
    assert_true(failed >= 5);
}

static void test_what_needs_nothing_keeps_what_the_buffer_holds(void **state)
{
    hr_policy policy;
    hr_buffer out = {0};
    const char *const headers[HEADERS] = {"script-src 'self'"};

    tell(&policy, headers);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_int_equal(hr_buffer_append(&out, "abc", 3), HR_OK);
    assert_int_equal(
        hr_policy_rewrite(&policy, value_of(headers[0], 0), (hr_policy_client){0}, &out), HR_OK);
    assert_int_equal(hr_policy_rewrite(&policy, (hr_bytes){NULL, 0}, (hr_policy_client){0}, &out),
                     HR_OK);
    assert_int_equal(out.size, 3);
    assert_memory_equal(out.data, "abc", 3);
    hr_buffer_fini(&out);
}

/* Hostile values: as they come out, they begin with what they were. */
static void assert_takes(const void *data, size_t size)
{
    static struct guard guard;
    hr_policy policy;
    hr_buffer out = {0};
    guard_init(&guard, size);
    const hr_bytes value = {guard_put(&guard, data, size), size};
    const hr_policy_client client = {{here.host, strlen(here.host)},
                                     {here.path, strlen(here.path)}};

    hr_policy_init(&policy);
    hr_policy_header(&policy, name_of(""), value);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_null(policy.reason);
    assert_int_equal(hr_policy_rewrite(&policy, value, client, &out), HR_OK);
    assert_true(out.size == 0 || out.size > size);
    hr_buffer_fini(&out);
    guard_fini(&guard);
}
#define TAKES(text) assert_takes((text), sizeof(text) - 1)

static void test_nul_and_open_quotes_are_bytes_like_others(void **state)
{
    static const char in[] = "script-src a\0b 'self\0'; connect-src \0";
    static const char out[] = "script-src a\0b 'self\0' " SCRIPT "; connect-src \0 " CONNECT;
    hr_policy policy;
    hr_buffer got = {0};
    const hr_bytes value = {in, sizeof in - 1};

    hr_policy_init(&policy);
    hr_policy_header(&policy, name_of(""), value);
    assert_int_equal(hr_policy_settle(&policy), HR_OK);
    assert_int_equal(hr_policy_rewrite(&policy, value,
                                       (hr_policy_client){{here.host, 14}, {here.path, 6}}, &got),
                     HR_OK);
    assert_int_equal(got.size, sizeof out - 1);
    assert_memory_equal(got.data, out, got.size);
    hr_buffer_fini(&got);

    TAKES("script-src '");
    TAKES("script-src 'nonce-");
    TAKES("script-src 'nonce-a\0'");
    TAKES("\0");
    TAKES("default-src '; 'self");
    TAKES("\xff;\xfe,\x80");
}

static void test_huge_values_are_taken(void **state)
{
    enum { SIZE = 1 << 20 };
    static const char *const parts[] = {
        ",",
        ";",
        " ",
        "\f",
        "'",
        "a",
        "\xff",
        "script-src,",
        "default-src a;",
        "x 'nonce-a' ",
        "script-src 'none',",
        "default-src 'strict-dynamic',",
    };
    static const char *const begins[] = {"", "default-src ", "script-src 'nonce-", "script-src"};
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(parts) * COUNT(begins); i++) {
        const char *part = parts[i % COUNT(parts)], *begin = begins[i / COUNT(parts)];
        size_t size = strlen(begin);
        memcpy(text, begin, size);
        for (; size + strlen(part) <= SIZE; size += strlen(part))
            memcpy(text + size, part, strlen(part));
        assert_takes(text, size);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_that_allows_all_is_left_alone),
        cmocka_unit_test(test_other_headers_are_ignored),
        cmocka_unit_test(test_address_is_added_where_addresses_count),
        cmocka_unit_test(test_none_gives_way_where_it_counts),
        cmocka_unit_test(test_default_is_not_widened),
        cmocka_unit_test(test_nonce_is_added_under_strict_dynamic_only),
        cmocka_unit_test(test_what_is_no_nonce_is_not_used),
        cmocka_unit_test(test_one_nonce_serves_all_policies),
        cmocka_unit_test(test_each_policy_is_looked_at),
        cmocka_unit_test(test_first_directive_of_a_name_counts),
        cmocka_unit_test(test_address_is_written_as_a_source),
        cmocka_unit_test(test_self_stands_for_a_host_that_cannot_be_written),
        cmocka_unit_test(test_tells_where_no_worker_is_taken),
        cmocka_unit_test(test_sandbox_without_scripts_or_origin_is_a_reason),
        cmocka_unit_test(test_other_sandboxes_are_none),
        cmocka_unit_test(test_nonce_is_fresh_and_whole),
        cmocka_unit_test(test_no_random_bits_is_an_answer),
        cmocka_unit_test(test_no_memory_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_what_needs_nothing_keeps_what_the_buffer_holds),
        cmocka_unit_test(test_nul_and_open_quotes_are_bytes_like_others),
        cmocka_unit_test(test_huge_values_are_taken),
    };
    guard_init(&names, 64);
    guard_init(&hosts, 64);
    guard_init(&paths, 64);
    for (size_t i = 0; i < HEADERS; i++)
        guard_init(&values[i], 1024);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&names);
    guard_fini(&hosts);
    guard_fini(&paths);
    for (size_t i = 0; i < HEADERS; i++)
        guard_fini(&values[i]);
    return failed;
}
