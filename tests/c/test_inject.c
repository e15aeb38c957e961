/* The place of the tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "feeder.h"
#include "hotreload.h"

/* A document in which `|` shows where the tag goes; without one it is left untouched. */
struct sample {
    const char *text;
    size_t size;
};
#define SAMPLE(text)                                                                               \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define RUN(samples, certain)                                                                      \
    do {                                                                                           \
        for (size_t i = 0; i < sizeof(samples) / sizeof *(samples); i++)                           \
            run(&(samples)[i], (certain));                                                         \
    } while (0)

static struct guard guard;

static struct outcome search_in_two(const char *text, size_t size, size_t split, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    feeder_feed(&feeder, text, split);
    feeder_feed(&feeder, text + split, size - split);
    return feeder_finish(&feeder);
}

static struct outcome search_by_bytes(const char *text, size_t size, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    for (size_t i = 0; i < size; i++)
        feeder_feed(&feeder, text + i, 1);
    return feeder_finish(&feeder);
}

static struct outcome search_in_pieces(const char *text, size_t size, uint32_t seed, bool certain)
{
    struct feeder feeder;
    feeder_begin(&feeder, &guard, certain);
    for (size_t at = 0; at < size;) {
        seed = seed * 1664525 + 1013904223;
        size_t piece = (seed >> 24) % 12; /* empty ones too */
        if (piece > size - at)
            piece = size - at;
        feeder_feed(&feeder, text + at, piece);
        at += piece;
    }
    return feeder_finish(&feeder);
}

static void assert_same(struct outcome found, struct outcome expected, const char *text,
                        const char *how)
{
    if (found.fed == expected.fed && found.ended == expected.ended &&
        found.offset == expected.offset)
        return;
    fail_msg("%.60s: fed %s: verdict %d then %d at %ju, expected %d then %d at %ju", text, how,
             found.fed, found.ended, (uintmax_t)found.offset, expected.fed, expected.ended,
             (uintmax_t)expected.offset);
}

/* However a document is cut, it is searched with the same outcome; the one of the whole. */
static struct outcome search(const char *text, size_t size, bool certain)
{
    struct outcome whole = search_in_two(text, size, size, certain);

    assert_same(search_by_bytes(text, size, certain), whole, text, "byte by byte");
    for (uint32_t seed = 0; seed < 16; seed++)
        assert_same(search_in_pieces(text, size, seed, certain), whole, text, "in pieces");
    for (size_t split = 0; split < size && size < 1000; split++)
        assert_same(search_in_two(text, size, split, certain), whole, text, "in two");
    return whole;
}

static void run(const struct sample *sample, bool certain)
{
    char text[512];
    const char *mark = memchr(sample->text, '|', sample->size);
    size_t offset = mark ? (size_t)(mark - sample->text) : sample->size;
    size_t size = sample->size - (mark ? 1 : 0);

    assert_true(size <= sizeof text);
    memcpy(text, sample->text, offset);
    memcpy(text + offset, sample->text + sample->size - (size - offset), size - offset);

    struct outcome outcome = search(text, size, certain);
    if (mark && outcome.ended != HR_INSERT)
        fail_msg("%s: no place found", sample->text);
    if (mark && outcome.offset != offset)
        fail_msg("%s: the tag went to %ju", sample->text, (uintmax_t)outcome.offset);
    if (!mark && outcome.ended != HR_UNTOUCHED)
        fail_msg("%s: the tag went to %ju", sample->text, (uintmax_t)outcome.offset);
}

static void test_goes_right_after_head(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<head>|"),
        SAMPLE("<HEAD>|<title>"),
        SAMPLE("<hEaD\n>|"),
        SAMPLE("<head/>|<title>"),
        SAMPLE("<head / >|"),
        SAMPLE("<!doctype html><html><head>|<meta charset=utf-8><title>a</title>"),
        SAMPLE("<!doctype html>\n<html lang=en>\n  <head prefix=\"og: >\">|\n    <base href=x>"),
        SAMPLE("<head>|</head><head>"),
        SAMPLE("<!-- <head> --><head>|"),
        SAMPLE("<html data-a='<head>'><head>|"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_goes_before_the_first_content_where_there_is_no_head(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("|text"),
        SAMPLE(" \t\r\n\f|text"),
        SAMPLE("|<title>a</title>"),
        SAMPLE("<html>\n|<title>a</title>"),
        SAMPLE("<!doctype html>|<p>"),
        SAMPLE("|<body>"),
        SAMPLE("<html>|<frameset>"),
        SAMPLE("|<header>"),
        SAMPLE("|<heads>"),
        SAMPLE("|<hea>"),
        SAMPLE("|<htmlx>"),
        SAMPLE("|<xhead>"),
        SAMPLE("|<xhtml>"),
        SAMPLE("|<br>"),
        SAMPLE("|<script>'<head>'</script>"),
        SAMPLE("|<h\0ead>"),
        SAMPLE("|<head\0>"),
        SAMPLE("<html>|< head>"),
        SAMPLE("|<>"),
        SAMPLE("|<1>"),
        SAMPLE("|\x0b"),
        SAMPLE("|\xc2\xa0<head>"),
    };
    RUN(samples, true);
}

static void test_goes_before_end_tags_that_imply_the_head(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<html>|</head>"),
        SAMPLE("<html>|</body >"),
        SAMPLE("<html>|</HTML/>"),
        SAMPLE("<html>|</br>"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_skips_other_end_tags(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<html></p></section class='>'></header></headx></bod></b></html5></brr>|<p>"),
        SAMPLE("<html></><//></ head></1></\0>|<p>"),
        SAMPLE("<html></p></head\0>|<p>"),
        SAMPLE("<html></>|x"),
        SAMPLE("<html></z a='>'>|<p>"),
        SAMPLE("<html></Z a='>'>|<p>"),
        SAMPLE("<html></sections=\"a>|\">"),
        SAMPLE("<html></[ a=\">|\">"),
        SAMPLE("<html></@ a=\">|\">"),
        SAMPLE("<html></p/ a=/></title/>|x"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_skips_markup_declarations_to_their_first_greater_than_sign(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<!DocType html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" 'a'><html>|<p>"),
        SAMPLE("<!doctype html PUBLIC \">|\"><head>"),
        SAMPLE("<!doctype>|x"),
        SAMPLE("<html><!>|<p>"),
        SAMPLE("<html><!->|<p>"),
        SAMPLE("<html><!DO>|<p>"),
        SAMPLE("<html><!><!x><!-><!-x><!DO><![CDATA[<p>|]]>"),
    };
    RUN(samples, true);
    RUN(samples, false);
    static const struct sample instructions[] = {
        SAMPLE("<?xml version=\"1.0\"?><?><?a>|b<head>"),
        SAMPLE("<?php echo '>|'; ?><head>"),
    };
    RUN(instructions, true);
}

static void test_skips_comments(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<!----><html>|<p>"),
        SAMPLE("<!--><html>|<p>"),
        SAMPLE("<!---><html>|<p>"),
        SAMPLE("<!-- a-b -- c -> <head> --><html>|<p>"),
        SAMPLE("<!-- a --!><html>|<p>"),
        SAMPLE("<!----!><html>|<p>"),
        SAMPLE("<!--!><p>--><html>|<p>"),
        SAMPLE("<!---!><p>--><html>|<p>"),
        SAMPLE("<!-- --!-><p>--><html>|<p>"),
        SAMPLE("<!-- --!--><html>|<p>"),
        SAMPLE("<!-- --!a--><html>|<p>"),
        SAMPLE("<!-----><html>|<p>"),
        SAMPLE("<!-- ------------><html>|<p>"),
        SAMPLE("<!--a-><p>--><html>|<p>"),
        SAMPLE("<!--ab-><p>--><html>|<p>"),
        SAMPLE("<!-- <!-- a --><html>|<p>-->"),
        SAMPLE("<!-- <!--><html>|<p>-->"),
        SAMPLE("<!-- <!-x--><html>|<p>-->"),
        SAMPLE("<!--\0\xff--><html>|<p>"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_reads_attributes_as_the_standard_does(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<html a=\">\" b='>' c=d>|<p>"),
        SAMPLE("<html a = \">\">|<p>"),
        SAMPLE("<html a\n=\n'>'>|<p>"),
        SAMPLE("<html a\">|<p>\">"),
        SAMPLE("<html \">|<p>\">"),
        SAMPLE("<html a=b\">|<p>\">"),
        SAMPLE("<html a=b c=\">\">|<p>"),
        SAMPLE("<html a=b'c='>|<p>'>"),
        SAMPLE("<html a=>|<p>"),
        SAMPLE("<html =\">|<p>\">"),
        SAMPLE("<html  =\">|<p>\">"),
        SAMPLE("<html / =\">|<p>\">"),
        SAMPLE("<html/?>|<p>"),
        SAMPLE("<html ==\">\">|<p>"),
        SAMPLE("<html a=\"b\"c='>'>|<p>"),
        SAMPLE("<html a=\"b\"/>|<p>"),
        SAMPLE("<html a=/>|<p>"),
        SAMPLE("<html a/=\">|<p>\">"),
        SAMPLE("<html a/b=\">\">|<p>"),
        SAMPLE("<html a /b c>|<p>"),
        SAMPLE("<html/a=\">\">|<p>"),
        SAMPLE("<html/=\">|<p>\">"),
        SAMPLE("<html a b=\">\">|<p>"),
        SAMPLE("<html a='b'c=\">\">|<p>"),
        SAMPLE("<html a=b =\">|<p>\">"),
        SAMPLE("<html a=\"b\"=\">|<p>\">"),
        SAMPLE("<html////>|<p>"),
        SAMPLE("<html a='\">'>|<p>"),
        SAMPLE("<html a=\0>|<p>"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_skips_references_to_white_space(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<html>&#32;&#9;&#10;&#12;&#13;|x"),
        SAMPLE("<html>&#x20;&#X9;&#xa;&#xA;&#xC;&#x0d;|x"),
        SAMPLE("<html>&Tab;&NewLine;|x"),
        SAMPLE("<html>&#32 &#32&#10<head>|"),
        SAMPLE("<html>&#x20 &#x20&#xA<head>|"),
        SAMPLE("<html>&#x000000020;|x"),
        SAMPLE("<html>&#x20|g"),
        SAMPLE("<html>|&#x20f"),
        SAMPLE("<html>|&#x`;"),
        SAMPLE("<html>|&#33"),
        SAMPLE("<html>|&#320;"),
        SAMPLE("<html>|&#x2;"),
        SAMPLE("<html>|&#x:;"),
        SAMPLE("<html>&#0000000000032;|x"),
        SAMPLE("<html>|&#11;"),
        SAMPLE("<html>|&#0;"),
        SAMPLE("<html>|&#4294967328;"),
        SAMPLE("<html>|&#x100000020;"),
        SAMPLE("<html>|&#160;"),
        SAMPLE("<html>|&nbsp;"),
        SAMPLE("<html>|&Tab "),
        SAMPLE("<html>|&tab;"),
        SAMPLE("<html>|&Tabs;"),
        SAMPLE("<html>|&NewLines"),
        SAMPLE("<html>|&Newline;"),
        SAMPLE("<html>|&NotEqual;"),
        SAMPLE("<html>|&;"),
        SAMPLE("<html>|& "),
        SAMPLE("<html>|&#;"),
        SAMPLE("<html>|&#a;"),
        SAMPLE("<html>|&#x;"),
        SAMPLE("<html>|&#xg;"),
        SAMPLE("<html>|&\0"),
    };
    RUN(samples, true);
    RUN(samples, false);
}

static void test_gives_up_on_a_reference_too_long_to_hold(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<html>&#00000000000032;<p>"),
        SAMPLE("<html>&#000000000000000000032;<p>"),
        SAMPLE("<html>&#x00000000000000000020;<p>"),
    };
    RUN(samples, true);
}

static void test_skips_one_utf8_byte_order_mark(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("\xef\xbb\xbf<!doctype html>|<p>"),
        SAMPLE("\xef\xbb\xbf|x"),
        SAMPLE("\xef\xbb\xbf|\xef\xbb\xbf<p>"),
        SAMPLE(" |\xef\xbb\xbf<p>"),
        SAMPLE("|\xef\xbb<p>"),
        SAMPLE("|\xef<p>"),
        SAMPLE("|\xff<p>"),
        SAMPLE("|\xefx\xbf<p>"),
        SAMPLE("|\xfe<p>"),
        SAMPLE("\xef\xbb\xbf|"),
    };
    RUN(samples, true);
}

static void test_leaves_utf16_and_utf32_untouched(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("\xff\xfe<\0h\0e\0a\0d\0>\0"),
        SAMPLE("\xfe\xff\0<\0h\0e\0a\0d\0>"),
        SAMPLE("\xff\xfe\0\0<\0\0\0p\0\0\0>\0\0\0"),
        SAMPLE("\0\0\xfe\xff\0\0\0<\0\0\0p\0\0\0>"),
        SAMPLE("<\0h\0e\0a\0d\0>\0"),
        SAMPLE("\0<\0h\0e\0a\0d\0>"),
    };
    RUN(samples, true);
}

static void test_leaves_nul_before_content_untouched(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("\0<frameset>"),
        SAMPLE("<!doctype html>\0<p>"),
        SAMPLE("<html> \0<head>"),
    };
    RUN(samples, true);
}

static void test_leaves_input_cut_off_inside_a_construct_untouched(void **state)
{
    static const char *const texts[] = {
        "<",          "</",         "<h",       "<html",     "<head",     "</p",
        "<html ",     "<html a",    "<html a=", "<html a='", "<html a=b", "<html a=\"b\"",
        "<html/",     "<head a='>", "</p a",    "<!",        "<!-",       "<!--",
        "<!-- a ->",  "<!-- a --",  "<!-- --!", "<!---",     "<!doc",     "<!doctype",
        "<!doctype ", "<!x",        "<?xml",    "</ ",       "&",         "&#",
        "&#3",        "&#x",        "&#x2",     "&#32",      "&Tab",      "&NewLin",
        "\xef",       "\xef\xbb",   "\xff",     "\xfe",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        run(&(struct sample){texts[i], strlen(texts[i])}, true);
        run(&(struct sample){texts[i], strlen(texts[i])}, false);
    }
}

static void test_takes_the_end_of_a_document_without_content(void **state)
{
    static const struct sample samples[] = {
        SAMPLE("<!doctype html>|"),
        SAMPLE("<!doctype html>\n<!-- a -->\n|"),
        SAMPLE("<html>|"),
        SAMPLE("<html></p>&#32;|"),
    };
    RUN(samples, true);
    RUN(samples, false);
    static const struct sample bare[] = {SAMPLE("|"), SAMPLE("\n|"), SAMPLE("<!-- a -->|")};
    RUN(bare, true);
}

static void test_leaves_alone_what_does_not_show_that_it_is_a_document(void **state)
{
    static const struct sample fragments[] = {
        SAMPLE(""),           SAMPLE("text"),          SAMPLE(" <p>a</p>"),
        SAMPLE("<header>"),   SAMPLE("<title>"),       SAMPLE("<!-- a --><li>"),
        SAMPLE("<!doc><p>"),  SAMPLE("</head><p>"),    SAMPLE("</body>"),
        SAMPLE("<!-- a -->"), SAMPLE("\xef\xbb\xbf"),  SAMPLE("<?xml version='1.0'?><a/>"),
        SAMPLE("<bodyx>"),    SAMPLE("<p><head>"),     SAMPLE("<!-doctype html><p>"),
        SAMPLE("&#32;<p>"),   SAMPLE("</html><html>"), SAMPLE("<![CDATA[<html>]]>"),
    };
    RUN(fragments, false);
    static const struct sample documents[] = {
        SAMPLE("<!doctype html>|<p>"),
        SAMPLE("<!DOCTYPEhtml>|text"),
        SAMPLE("<html>|text"),
        SAMPLE("<head>|"),
        SAMPLE("|<body>"),
        SAMPLE("|<BODY class=a>"),
        SAMPLE("<!-- a -->|<body/>"),
    };
    RUN(documents, false);
}

/* A comment that ends, or would end, around the limit. */
static struct outcome search_long(size_t comment, const char *rest)
{
    size_t size = comment + strlen(rest);
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'a', comment);
    memcpy(text, "<!--", 4);
    memcpy(text + comment - 3, "-->", 3);
    memcpy(text + comment, rest, strlen(rest));
    struct outcome outcome = search(text, size, true);
    free(text);
    return outcome;
}

static void test_searches_no_further_than_the_limit(void **state)
{
    struct outcome outcome = search_long(HR_INJECT_LIMIT - 6, "<head>|");
    assert_int_equal(outcome.ended, HR_INSERT);
    assert_int_equal(outcome.offset, HR_INJECT_LIMIT);

    outcome = search_long(HR_INJECT_LIMIT - 5, "<head>");
    assert_int_equal(outcome.fed, HR_UNTOUCHED);

    outcome = search_long(HR_INJECT_LIMIT - 1, "");
    assert_int_equal(outcome.fed, HR_UNDECIDED);
    assert_int_equal(outcome.ended, HR_INSERT);
    assert_int_equal(outcome.offset, HR_INJECT_LIMIT - 1);

    outcome = search_long(HR_INJECT_LIMIT, "");
    assert_int_equal(outcome.fed, HR_UNTOUCHED);
}

static void test_lets_go_of_what_comes_before_any_place(void **state)
{
    static const struct {
        const char *text;
        uint64_t safe;
    } rows[] = {
        {"<", 0},         {"<htm", 0},         {"</bo", 0},
        {"&#x2", 0},      {"<!", 2},           {"<!--a", 5},
        {"<?", 2},        {"</p ", 4},         {"<html ", 6},
        {"<html>\n", 7},  {"<head a=", 8},     {" \n<ht", 2},
        {"<html>&Ta", 6}, {"<html>&Tab;", 11}, {"</section", 9},
        {"\xef\xbb", 0},  {"\xef\xbb\xbf", 3}, {"<!doctype html><", 15},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct feeder feeder;
        feeder_begin(&feeder, &guard, true);
        feeder_feed(&feeder, rows[i].text, strlen(rows[i].text));
        assert_int_equal(feeder.verdict, HR_UNDECIDED);
        if (feeder.inject.safe != rows[i].safe)
            fail_msg("%s: safe is %ju", rows[i].text, (uintmax_t)feeder.inject.safe);
    }
}

static void test_may_be_copied_in_the_middle(void **state)
{
    hr_inject first;
    hr_inject_init(&first, true);
    assert_int_equal(hr_inject_feed(&first, (hr_bytes){"<!-- a --><he", 13}), HR_UNDECIDED);
    hr_inject second = first;
    assert_int_equal(hr_inject_feed(&first, (hr_bytes){"ader>", 5}), HR_INSERT);
    assert_int_equal(hr_inject_feed(&second, (hr_bytes){"ad>", 3}), HR_INSERT);
    assert_int_equal(first.offset, 10);
    assert_int_equal(second.offset, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_right_after_head),
        cmocka_unit_test(test_goes_before_the_first_content_where_there_is_no_head),
        cmocka_unit_test(test_goes_before_end_tags_that_imply_the_head),
        cmocka_unit_test(test_skips_other_end_tags),
        cmocka_unit_test(test_skips_markup_declarations_to_their_first_greater_than_sign),
        cmocka_unit_test(test_skips_comments),
        cmocka_unit_test(test_reads_attributes_as_the_standard_does),
        cmocka_unit_test(test_skips_references_to_white_space),
        cmocka_unit_test(test_gives_up_on_a_reference_too_long_to_hold),
        cmocka_unit_test(test_skips_one_utf8_byte_order_mark),
        cmocka_unit_test(test_leaves_utf16_and_utf32_untouched),
        cmocka_unit_test(test_leaves_nul_before_content_untouched),
        cmocka_unit_test(test_leaves_input_cut_off_inside_a_construct_untouched),
        cmocka_unit_test(test_takes_the_end_of_a_document_without_content),
        cmocka_unit_test(test_leaves_alone_what_does_not_show_that_it_is_a_document),
        cmocka_unit_test(test_searches_no_further_than_the_limit),
        cmocka_unit_test(test_lets_go_of_what_comes_before_any_place),
        cmocka_unit_test(test_may_be_copied_in_the_middle),
    };

    guard_init(&guard, 2 * HR_INJECT_LIMIT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_fini(&guard);
    return failed;
}
