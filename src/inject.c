/*
 * Where the tag goes: "13.2.5 Tokenization" of the HTML standard, cut down to what can come before
 * the head element or the first content, which the insertion modes "initial", "before html" and
 * "before head" (13.2.6.4.1 to 3) all skip alike: white space, comments, doctypes, <html>, and end
 * tags other than head, body, html and br. The first other token, or the end of <head>, decides.
 *
 * So no state of raw text, scripts, CDATA or foreign content is ever reached, and each construct
 * that is skipped needs its end only: `>`, a closing quote, or the end of a comment.
 *
 * Works on bytes. In every encoding that hr_response_page() lets through a byte below 0x40 that
 * matters here stands for itself, also after the lead byte of a longer character.
 */
#include <assert.h>
#include <string.h>

#include "hotreload.h"

/* Named after the states of 13.2.5, whose sections are given. */
enum state {
    /* Held: the tag may still go before the token that began at `safe`. */
    START,               /* before the first byte: "13.2.3.2 Determining the character encoding" */
    BOM_UTF8_2,          /* after EF */
    BOM_UTF8_3,          /* after EF BB */
    BOM_UTF16_LE,        /* after FF; UTF-32 LE begins likewise */
    BOM_UTF16_BE,        /* after FE */
    TAG_OPEN,            /* 13.2.5.6, after `<` */
    END_TAG_OPEN,        /* 13.2.5.7, after `</` */
    START_TAG_NAME,      /* 13.2.5.8, while the name is not known */
    END_TAG_NAME,        /* the same of an end tag */
    CHARACTER_REFERENCE, /* 13.2.5.72, after `&` */
    NAMED_TAB,           /* 13.2.5.73, within `&Tab;` */
    NAMED_NEW_LINE,      /* the same within `&NewLine;` */
    NUMERIC,             /* 13.2.5.75, after `&#` */
    HEXADECIMAL_START,   /* 13.2.5.76, after `&#x` */
    HEXADECIMAL,         /* 13.2.5.78 */
    DECIMAL,             /* 13.2.5.79 */
    LAST_HELD = DECIMAL,

    /* Safe: whatever comes, the tag goes after it. */
    DATA,                   /* 13.2.5.1 */
    TAG_NAME,               /* 13.2.5.8, of a tag that is known */
    BEFORE_ATTRIBUTE_NAME,  /* 13.2.5.32 */
    ATTRIBUTE_NAME,         /* 13.2.5.33 */
    AFTER_ATTRIBUTE_NAME,   /* 13.2.5.34 */
    BEFORE_ATTRIBUTE_VALUE, /* 13.2.5.35 */
    DOUBLE_QUOTED,          /* 13.2.5.36 */
    SINGLE_QUOTED,          /* 13.2.5.37 */
    UNQUOTED,               /* 13.2.5.38 */
    AFTER_QUOTED,           /* 13.2.5.39 */
    SELF_CLOSING,           /* 13.2.5.40 */
    BOGUS_COMMENT,          /* 13.2.5.41, and all of 13.2.5.53 to 68: a doctype ends like one */
    MARKUP_DECLARATION,     /* 13.2.5.42, after `<!` */
    MARKUP_DASH,            /* the same after `<!-` */
    MARKUP_DOCTYPE,         /* the same within `<!doctype` */
    COMMENT_START,          /* 13.2.5.43 */
    COMMENT_START_DASH,     /* 13.2.5.44 */
    COMMENT,                /* 13.2.5.45; 46 to 49 differ in parse errors only */
    COMMENT_END_DASH,       /* 13.2.5.50 */
    COMMENT_END,            /* 13.2.5.51 */
    COMMENT_END_BANG,       /* 13.2.5.52 */

    /* Decided. */
    INSERT,
    UNTOUCHED,
};

enum flag {
    DOCUMENT = 1, /* known to be a document: by the request, or by what the bytes have shown */
    IN_HEAD = 2,  /* the tag being skipped is <head> */
};

/* `safe` promises that fewer than 16 bytes are held. */
enum { HELD_MAX = 15 };

/* Names of up to four letters, as START_TAG_NAME and END_TAG_NAME pack them into `value`. */
enum name {
    NAME_BR = 'b' << 8 | 'r',
    NAME_BODY = 'b' << 24 | 'o' << 16 | 'd' << 8 | 'y',
    NAME_HEAD = 'h' << 24 | 'e' << 16 | 'a' << 8 | 'd',
    NAME_HTML = 'h' << 24 | 't' << 16 | 'm' << 8 | 'l',
};

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static bool ends_name(uint8_t c)
{
    return is_space(c) || c == '/' || c == '>';
}

/* The value of a digit, or `base`. */
static uint32_t digit_value(uint8_t c, uint32_t base)
{
    uint32_t value = base;
    if ((uint8_t)(c - '0') < 10)
        value = c - '0';
    else if ((uint8_t)((c | 0x20) - 'a') < 6)
        value = (c | 0x20) - 'a' + 10;
    return value < base ? value : base;
}

static hr_verdict verdict(const hr_inject *inject)
{
    if (inject->state == INSERT)
        return HR_INSERT;
    return inject->state == UNTOUCHED ? HR_UNTOUCHED : HR_UNDECIDED;
}

static hr_verdict leave_untouched(hr_inject *inject)
{
    inject->state = UNTOUCHED;
    return HR_UNTOUCHED;
}

/* The tag goes at `offset`, if this is a document. */
static hr_verdict insert(hr_inject *inject, uint64_t offset)
{
    if (!(inject->flags & DOCUMENT))
        return leave_untouched(inject);
    inject->state = INSERT;
    inject->offset = offset;
    inject->safe = offset;
    return HR_INSERT;
}

void hr_inject_init(hr_inject *inject, bool certain)
{
    *inject = (hr_inject){.state = START, .flags = certain ? DOCUMENT : 0};
}

/* A case a state, as in the standard. */
/* NOLINTNEXTLINE(readability-function-cognitive-complexity) */
hr_verdict hr_inject_feed(hr_inject *inject, hr_bytes chunk)
{
    if (inject->state >= INSERT)
        return verdict(inject);
    if (!chunk.size)
        return HR_UNDECIDED;

    uint64_t room = HR_INJECT_LIMIT - inject->position;
    size_t size = chunk.size < room ? chunk.size : (size_t)room;
    const uint8_t *begin = (const uint8_t *)chunk.data;
    const uint8_t *end = begin + size;
    const uint64_t origin = inject->position;
    uint8_t state = inject->state;

#define OFFSET() (origin + (uint64_t)(at - begin))
/* Moves to the next `byte`, or ends the chunk if there is none. */
#define SKIP_TO(byte)                                                                              \
    do {                                                                                           \
        at = memchr(at, (byte), (size_t)(end - at));                                               \
        if (!at)                                                                                   \
            goto out;                                                                              \
    } while (0)

    for (const uint8_t *at = begin; at < end; at++) {
        uint8_t c;
    reconsume:
        c = *at;
        switch ((enum state)state) {
        case START:
            if (c == 0xEF)
                state = BOM_UTF8_2;
            else if (c == 0xFF)
                state = BOM_UTF16_LE;
            else if (c == 0xFE)
                state = BOM_UTF16_BE;
            else {
                state = DATA;
                goto reconsume;
            }
            break;
        case BOM_UTF8_2:
            if (c != 0xBB)
                return insert(inject, 0);
            state = BOM_UTF8_3;
            break;
        case BOM_UTF8_3:
            if (c != 0xBF)
                return insert(inject, 0);
            state = DATA;
            break;
        case BOM_UTF16_LE:
            return c == 0xFE ? leave_untouched(inject) : insert(inject, 0);
        case BOM_UTF16_BE:
            return c == 0xFF ? leave_untouched(inject) : insert(inject, 0);

        case DATA:
            if (is_space(c))
                break;
            inject->safe = OFFSET();
            if (c == '<')
                state = TAG_OPEN;
            else if (c == '&')
                state = CHARACTER_REFERENCE;
            else if (c == 0) /* where it is dropped and where it counts differs: frameset */
                return leave_untouched(inject);
            else
                return insert(inject, inject->safe);
            break;

        case TAG_OPEN:
            inject->value = 0;
            if (c == '!')
                state = MARKUP_DECLARATION;
            else if (c == '/')
                state = END_TAG_OPEN;
            else if (c == '?')
                state = BOGUS_COMMENT;
            else if (is_letter(c)) {
                state = START_TAG_NAME;
                goto reconsume;
            } else if (c == 0) /* text, by the letter; but more likely UTF-16 without its mark */
                return leave_untouched(inject);
            else
                return insert(inject, inject->safe);
            break;
        case END_TAG_OPEN:
            if (is_letter(c))
                state = END_TAG_NAME;
            else if (c == '>')
                state = DATA;
            else
                state = BOGUS_COMMENT;
            if (c != '>')
                goto reconsume;
            break;
        case START_TAG_NAME:
            if (!ends_name(c)) {
                if (inject->value >> 24) /* a fifth letter: none of ours */
                    return insert(inject, inject->safe);
                inject->value = inject->value << 8 | (c | 0x20);
                break;
            }
            if (inject->value == NAME_BODY)
                inject->flags |= DOCUMENT;
            if (inject->value == NAME_HEAD)
                inject->flags |= DOCUMENT | IN_HEAD;
            else if (inject->value == NAME_HTML)
                inject->flags |= DOCUMENT;
            else
                return insert(inject, inject->safe);
            state = TAG_NAME;
            goto reconsume;
        case END_TAG_NAME:
            if (!ends_name(c) && !(inject->value >> 24)) {
                inject->value = inject->value << 8 | (c | 0x20);
                break;
            }
            if (ends_name(c) && (inject->value == NAME_HEAD || inject->value == NAME_BODY ||
                                 inject->value == NAME_HTML || inject->value == NAME_BR))
                return insert(inject, inject->safe);
            state = TAG_NAME;
            goto reconsume;

        case CHARACTER_REFERENCE:
            inject->value = 1; /* letters of the name seen */
            if (c == '#')
                state = NUMERIC;
            else if (c == 'T')
                state = NAMED_TAB;
            else if (c == 'N')
                state = NAMED_NEW_LINE;
            else
                return insert(inject, inject->safe);
            break;
        case NAMED_TAB:
        case NAMED_NEW_LINE: {
            const char *name = state == NAMED_TAB ? "Tab;" : "NewLine;";
            if (c != (uint8_t)name[inject->value++])
                return insert(inject, inject->safe);
            if (c == ';')
                state = DATA;
            break;
        }
        case NUMERIC:
            inject->value = 0;
            if (c == 'x' || c == 'X')
                state = HEXADECIMAL_START;
            else if (digit_value(c, 10) < 10) {
                state = DECIMAL;
                goto reconsume;
            } else
                return insert(inject, inject->safe);
            break;
        case HEXADECIMAL_START:
            if (digit_value(c, 16) == 16)
                return insert(inject, inject->safe);
            state = HEXADECIMAL;
            goto reconsume;
        case HEXADECIMAL:
        case DECIMAL: {
            uint32_t base = state == DECIMAL ? 10 : 16;
            uint32_t digit = digit_value(c, base);
            if (digit < base) {
                inject->value = inject->value * base + digit;
                if (inject->value > ' ')
                    return insert(inject, inject->safe);
                if (OFFSET() + 1 - inject->safe > HELD_MAX) /* leading zeros without end */
                    return leave_untouched(inject);
                break;
            }
            if (!is_space(inject->value)) /* 13.2.5.80 Numeric character reference end state */
                return insert(inject, inject->safe);
            state = DATA;
            if (c != ';')
                goto reconsume;
            break;
        }

        case TAG_NAME:
            if (is_space(c))
                state = BEFORE_ATTRIBUTE_NAME;
            else if (c == '/')
                state = SELF_CLOSING;
            else if (c == '>')
                goto tag_ends;
            break;
        case BEFORE_ATTRIBUTE_NAME:
            if (is_space(c))
                break;
            if (c == '/' || c == '>') {
                state = AFTER_ATTRIBUTE_NAME;
                goto reconsume;
            }
            state = ATTRIBUTE_NAME; /* even `=` begins a name here */
            break;
        case ATTRIBUTE_NAME:
            if (ends_name(c)) {
                state = AFTER_ATTRIBUTE_NAME;
                goto reconsume;
            }
            if (c == '=')
                state = BEFORE_ATTRIBUTE_VALUE;
            break;
        case AFTER_ATTRIBUTE_NAME:
            if (is_space(c))
                break;
            if (c == '>')
                goto tag_ends;
            if (c == '/')
                state = SELF_CLOSING;
            else if (c == '=')
                state = BEFORE_ATTRIBUTE_VALUE;
            else
                state = ATTRIBUTE_NAME;
            break;
        case BEFORE_ATTRIBUTE_VALUE:
            if (is_space(c))
                break;
            if (c == '>')
                goto tag_ends;
            if (c == '"')
                state = DOUBLE_QUOTED;
            else if (c == '\'')
                state = SINGLE_QUOTED;
            else
                state = UNQUOTED;
            break;
        case DOUBLE_QUOTED:
            SKIP_TO('"');
            state = AFTER_QUOTED;
            break;
        case SINGLE_QUOTED:
            SKIP_TO('\'');
            state = AFTER_QUOTED;
            break;
        case UNQUOTED:
            if (is_space(c))
                state = BEFORE_ATTRIBUTE_NAME;
            else if (c == '>')
                goto tag_ends;
            break;
        case AFTER_QUOTED:
            state = BEFORE_ATTRIBUTE_NAME;
            goto reconsume;
        case SELF_CLOSING:
            if (c == '>')
                goto tag_ends;
            state = BEFORE_ATTRIBUTE_NAME;
            goto reconsume;
        tag_ends:
            if (inject->flags & IN_HEAD)
                return insert(inject, OFFSET() + 1);
            state = DATA;
            break;

        case BOGUS_COMMENT:
            SKIP_TO('>');
            state = DATA;
            break;
        case MARKUP_DECLARATION:
            if (c == '-') {
                state = MARKUP_DASH;
                break;
            }
            state = MARKUP_DOCTYPE;
            goto reconsume;
        case MARKUP_DASH:
            if (c == '-') {
                state = COMMENT_START;
                break;
            }
            state = BOGUS_COMMENT;
            goto reconsume;
        case MARKUP_DOCTYPE:
            if ((c | 0x20) != "doctype"[inject->value]) {
                state = BOGUS_COMMENT;
                goto reconsume;
            }
            if (++inject->value == strlen("doctype")) {
                inject->flags |= DOCUMENT;
                state = BOGUS_COMMENT;
            }
            break;

        case COMMENT_START:
            if (c == '-')
                state = COMMENT_START_DASH;
            else if (c == '>')
                state = DATA;
            else
                state = COMMENT;
            break;
        case COMMENT_START_DASH:
            if (c == '-')
                state = COMMENT_END;
            else
                state = c == '>' ? DATA : COMMENT;
            break;
        case COMMENT:
            SKIP_TO('-');
            state = COMMENT_END_DASH;
            break;
        case COMMENT_END_DASH:
            state = c == '-' ? COMMENT_END : COMMENT;
            break;
        case COMMENT_END:
            if (c == '>')
                state = DATA;
            else if (c == '!')
                state = COMMENT_END_BANG;
            else if (c != '-')
                state = COMMENT;
            break;
        case COMMENT_END_BANG:
            if (c == '>')
                state = DATA;
            else
                state = c == '-' ? COMMENT_END_DASH : COMMENT;
            break;

        case INSERT:
        case UNTOUCHED:
            assert(!"decided before");
        }
    }
out:
#undef OFFSET
#undef SKIP_TO
    inject->position = origin + size;
    if (inject->position == HR_INJECT_LIMIT)
        return leave_untouched(inject);
    inject->state = state;
    if (state > LAST_HELD)
        inject->safe = inject->position;
    return HR_UNDECIDED;
}

hr_verdict hr_inject_end(hr_inject *inject)
{
    if (inject->state >= INSERT)
        return verdict(inject);
    if (inject->state == DATA || inject->position == 0)
        return insert(inject, inject->position);
    return leave_untouched(inject);
}
