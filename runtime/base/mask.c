/* Secret masking: registered texts and secret-looking patterns (runtime ).
 *
 * One pass over the text; a table of 256 entries says for each byte whether a secret begins with it or a pattern is
 * triggered by it, so that ordinary text costs one look-up a byte. Matches that overlap are replaced as one: with the
 * secrets "abcdef" and "defghi", nothing of "abcdefghi" may stay.
 *
 * A secret is known in several forms: as it is, percent-encoded, as it stands in JSON text, and base64. In
 * "Authorization: Basic <base64 of user:secret>" the secret begins at an unknown place within a group of three bytes,
 * so for each of the three alignments the characters that it alone determines are looked for, and the whole base64 word
 * around them is replaced. */
#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mask_patterns.h"
#include "base/mem.h"

#define REDACTED "[REDACTED]"
#define LEAST 3 /* a "secret" of one or two characters would blot out every text and hide nothing */
#define SHOWN 6        /* characters of a match that the console style keeps */
#define BASE64_LEAST 8 /* fewer characters are too likely to be ordinary text */
#define BASE64_WORD 4096

struct secret {
    struct secret *next;
    char *text;
    size_t n;
    bool hide;   /* */
    bool base64; /* stands for the whole base64 word around it */
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct secret *by_first[256]; /* longest first */
static unsigned char at_byte[256];   /* AT_* */
static pthread_once_t once = PTHREAD_ONCE_INIT;

enum { AT_SECRET = 1, AT_PATTERN = 2 };

static void set_up(void)
{
    for (int c = 0; c < 256; c++)
        at_byte[c] = mask_pattern_trigger((unsigned char)c) ? AT_PATTERN : 0;
}

static void insert(struct str s, bool hide, bool base64)
{
    struct secret **at = &by_first[(unsigned char)s.p[0]];
    for (; *at && (*at)->n >= s.n; at = &(*at)->next) {
        if ((*at)->n == s.n && memcmp((*at)->text, s.p, s.n) == 0) {
            (*at)->hide |= hide;
            return;
        }
    }
    struct secret *x = xmalloc(sizeof(*x));
    *x = (struct secret){*at, xstrndup(s.p, s.n), s.n, hide, base64};
    *at = x;
    at_byte[(unsigned char)s.p[0]] |= AT_SECRET;
}

static void insert_percent(struct str s, bool hide)
{
    struct buf form;
    buf_init(&form, BUF_NO_LIMIT);
    url_encode(&form, s);
    insert(buf_str(&form), hide, false);
    for (size_t i = 0; i + 2 < form.n; i++) { /* lower-case hexadecimal is as good */
        if (form.p[i] != '%')
            continue;
        for (size_t k = i + 1; k <= i + 2; k++)
            form.p[k] |= form.p[k] >= 'A' ? 0x20 : 0;
    }
    insert(buf_str(&form), hide, false);
    buf_done(&form);
}

static void insert_json(struct str s, bool hide)
{
    struct buf form;
    buf_init(&form, BUF_NO_LIMIT);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\')
            buf_addf(&form, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_addf(&form, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else
            buf_addc(&form, c);
    }
    insert(buf_str(&form), hide, false);
    buf_done(&form);
}

/* Value of the six bits that begin at bit `at` of s preceded by `skip` zero bytes. */
static unsigned sextet(struct str s, size_t skip, size_t at)
{
    unsigned v = 0;
    for (size_t bit = at; bit < at + 6; bit++) {
        size_t byte = bit / 8;
        unsigned char c = byte < skip || byte - skip >= s.n ? 0 : (unsigned char)s.p[byte - skip];
        v = v << 1 | (c >> (7 - bit % 8) & 1);
    }
    return v;
}

static void insert_base64(struct str s, bool hide)
{
    static const char *const alphabets[] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    struct buf form;
    buf_init(&form, BUF_NO_LIMIT);
    for (size_t alphabet = 0; alphabet < 2; alphabet++) {
        for (size_t skip = 0; skip < 3; skip++) {
            size_t first = (skip * 8 + 5) / 6, end = (skip + s.n) * 8 / 6;
            buf_reset(&form);
            for (size_t i = first; i < end; i++)
                buf_addc(&form, alphabets[alphabet][sextet(s, skip, i * 6)]);
            if (form.n >= BASE64_LEAST)
                insert(buf_str(&form), hide, true);
        }
    }
    buf_done(&form);
}

void mask_add(struct str secret)
{
    struct str s = str_trim(secret);
    if (utf8_count(s) < LEAST)
        return;
    bool hide = utf8_count(s) <= SHOWN;
    pthread_once(&once, set_up);
    pthread_rwlock_wrlock(&lock);
    insert(s, hide, false);
    insert_percent(s, hide);
    insert_json(s, hide);
    insert_base64(s, hide);
    pthread_rwlock_unlock(&lock);
}

void mask_clear(void)
{
    pthread_once(&once, set_up);
    pthread_rwlock_wrlock(&lock);
    for (size_t i = 0; i < 256; i++) {
        at_byte[i] &= (unsigned char)~AT_SECRET;
        while (by_first[i]) {
            struct secret *x = by_first[i];
            by_first[i] = x->next;
            free(x->text);
            free(x);
        }
    }
    pthread_rwlock_unlock(&lock);
}

static bool is_base64(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '+' || c == '/' || c == '-' ||
           c == '_' || c == '=';
}

/* The longest registered secret at `at`. */
static bool secret_at(struct str s, size_t at, struct mask_span *ret)
{
    const struct secret *x = by_first[(unsigned char)s.p[at]];
    while (x && (s.n - at < x->n || memcmp(s.p + at, x->text, x->n) != 0))
        x = x->next;
    if (!x)
        return false;
    *ret = (struct mask_span){at, at + x->n, x->hide};
    if (!x->base64)
        return true;
    while (ret->start && at - ret->start < BASE64_WORD && is_base64(s.p[ret->start - 1]))
        ret->start--;
    while (ret->end < s.n && ret->end - at < BASE64_WORD && is_base64(s.p[ret->end]))
        ret->end++;
    return true;
}

struct pass {
    struct buf *out;
    struct str s;
    enum mask_style style;
    size_t from; /* what precedes it has been written */
    size_t found;
    struct mask_span open; /* the match that later ones may still join; empty: none */
};

static void flush(struct pass *p)
{
    struct mask_span m = p->open;
    if (m.end == m.start)
        return;
    buf_add(p->out, p->s.p + p->from, m.start - p->from);
    if (p->style == MASK_CONSOLE && !m.hide) {
        size_t end = m.start;
        for (int shown = 0; shown < SHOWN && end < m.end; shown++)
            for (end++; end < m.end && ((unsigned char)p->s.p[end] & 0xC0) == 0x80;)
                end++;
        buf_add(p->out, p->s.p + m.start, end - m.start);
    }
    buf_adds(p->out, REDACTED);
    p->from = m.end;
    p->found++;
    p->open = (struct mask_span){0};
}

static void take(struct pass *p, struct mask_span m)
{
    struct mask_span *o = &p->open;
    if (o->end > o->start && m.start >= o->end)
        flush(p);
    if (m.start < p->from)
        m.start = p->from;
    if (o->end == o->start) {
        *o = m;
        return;
    }
    o->start = m.start < o->start ? m.start : o->start;
    o->end = m.end > o->end ? m.end : o->end;
    o->hide |= m.hide;
}

size_t mask_text(struct buf *out, struct str s, enum mask_style style)
{
    struct pass p = {.out = out, .s = s, .style = style};
    struct mask_span m;
    pthread_once(&once, set_up);
    pthread_rwlock_rdlock(&lock);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char at = at_byte[(unsigned char)s.p[i]];
        if (!at)
            continue;
        if ((at & AT_SECRET) && secret_at(s, i, &m))
            take(&p, m);
        if ((at & AT_PATTERN) && mask_pattern_at(s, i, &m))
            take(&p, m);
    }
    pthread_rwlock_unlock(&lock);
    flush(&p);
    if (s.n)
        buf_add(out, s.p + p.from, s.n - p.from);
    return p.found;
}
