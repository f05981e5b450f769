/* Secret masking: registered texts and secret-looking patterns (runtime ).
 *
 * One pass over the text. At each position the registered secrets are tried (indexed by first byte), then the patterns,
 * each of which starts with a literal that is cheap to reject. A match is replaced and the pass goes on behind it.
 * A registered secret is known in three forms: as it is, percent-encoded, and base64. */
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#define REDACTED "[REDACTED]"
#define SHOWN 6 /* characters of a match that the console style keeps */

struct secret {
    struct secret *next;
    char *text;
    size_t n;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct secret *by_first[256]; /* longest first */

static void insert(struct str s)
{
    struct secret **at = &by_first[(unsigned char)s.p[0]];
    for (; *at && (*at)->n >= s.n; at = &(*at)->next)
        if ((*at)->n == s.n && memcmp((*at)->text, s.p, s.n) == 0)
            return;
    struct secret *x = xmalloc(sizeof(*x));
    *x = (struct secret){*at, xstrndup(s.p, s.n), s.n};
    *at = x;
}

static void base64(struct buf *out, struct str s)
{
    static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        unsigned v = (unsigned)(unsigned char)s.p[i] << 16;
        v |= i + 1 < s.n ? (unsigned)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= i + 2 < s.n ? (unsigned)(unsigned char)s.p[i + 2] : 0;
        buf_addc(out, abc[v >> 18]);
        buf_addc(out, abc[v >> 12 & 63]);
        if (i + 1 < s.n)
            buf_addc(out, abc[v >> 6 & 63]);
        if (i + 2 < s.n)
            buf_addc(out, abc[v & 63]);
    }
}

void mask_add(struct str secret)
{
    struct str s = str_trim(secret);
    if (!s.n)
        return;
    struct buf form;
    buf_init(&form, BUF_NO_LIMIT);
    pthread_rwlock_wrlock(&lock);
    insert(s);
    url_encode(&form, s);
    insert(buf_str(&form));
    if (s.n > SHOWN) { /* the base64 of a short word is too likely to be ordinary text */
        buf_reset(&form);
        base64(&form, s);
        insert(buf_str(&form));
    }
    pthread_rwlock_unlock(&lock);
    buf_done(&form);
}

void mask_clear(void)
{
    pthread_rwlock_wrlock(&lock);
    for (size_t i = 0; i < 256; i++) {
        while (by_first[i]) {
            struct secret *x = by_first[i];
            by_first[i] = x->next;
            free(x->text);
            free(x);
        }
    }
    pthread_rwlock_unlock(&lock);
}

static size_t run_of(struct str s, size_t at, bool (*member)(char), size_t max)
{
    size_t n = 0;
    while (at + n < s.n && n < max && member(s.p[at + n]))
        n++;
    return n;
}

static bool word_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-'; }
static bool upper_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
static bool alnum(char c) { return isalnum((unsigned char)c); }
static bool hex_dash(char c) { return isxdigit((unsigned char)c) || c == '-'; }
static bool not_at(char c) { return c != '@' && c != '/' && c != ':' && c != '"' && c != '\'' && !isspace((unsigned char)c); }

static bool has(struct str s, size_t at, const char *lit)
{
    size_t n = strlen(lit);
    return s.n - at >= n && memcmp(s.p + at, lit, n) == 0;
}

/* scheme://user:pass@host: the part from the scheme's end to the '@'. */
static size_t match_url_password(struct str s, size_t at)
{
    size_t i = at + 3, user = run_of(s, i, not_at, 256);
    if (!user || i + user >= s.n || s.p[i + user] != ':')
        return 0;
    i += user + 1;
    size_t pass = run_of(s, i, not_at, 256);
    return pass && i + pass < s.n && s.p[i + pass] == '@' ? i + pass + 1 - at : 0;
}

/* "api key", "secret" or "github" and, within 20 characters, a quoted token of the length the word asks for. */
static size_t match_named(struct str s, size_t at, size_t word, size_t least, size_t most)
{
    size_t i = at + word, stop = i + 20 < s.n ? i + 20 : s.n;
    while (i < stop && s.p[i] != '"' && s.p[i] != '\'' && s.p[i] != '\n')
        i++;
    /* {"secret": "..."}: the first quote closes the key */
    for (int tries = 0; tries < 3 && i < stop; tries++) {
        if (s.p[i] == '"' || s.p[i] == '\'') {
            size_t n = run_of(s, i + 1, alnum, most + 1);
            if (n >= least && n <= most && i + 1 + n < s.n && s.p[i + 1 + n] == s.p[i])
                return i + n + 2 - at;
        }
        i++;
        while (i < stop && s.p[i] != '"' && s.p[i] != '\'' && s.p[i] != '\n')
            i++;
    }
    return 0;
}

static bool starts_word(struct str s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s.n - at >= n && str_ieq((struct str){s.p + at, n}, str_of(word));
}

/* -----BEGIN RSA PRIVATE KEY-----, with what follows up to the end line when it is there. */
static size_t match_pem(struct str s, size_t at)
{
    static const char *const heads[] = {"-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN DSA PRIVATE KEY-----",
                                        "-----BEGIN EC PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----",
                                        "-----BEGIN OPENSSH PRIVATE KEY-----",
                                        "-----BEGIN PGP PRIVATE KEY BLOCK-----"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        if (!has(s, at, heads[i]))
            continue;
        size_t n = strlen(heads[i]);
        const char *end = memmem(s.p + at + n, s.n - at - n, "-----END", 8);
        if (!end)
            return n;
        const char *close = memmem(end + 8, (size_t)(s.p + s.n - end - 8), "-----", 5);
        return close ? (size_t)(close + 5 - s.p) - at : n;
    }
    return 0;
}

/* name.firebaseio.com, at most 64 characters before the domain; called at the start of a word. */
static size_t match_firebase(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && n <= 64 && (word_char(s.p[at + n])))
        n++;
    return n && n <= 64 && has(s, at + n, ".firebaseio.com") ? n + strlen(".firebaseio.com") : 0;
}

static size_t match_service_account(struct str s, size_t at)
{
    size_t i = at + 6;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == ':'))
        i++;
    return has(s, i, "\"service_account\"") ? i + strlen("\"service_account\"") - at : 0;
}

static size_t match_google_client(struct str s, size_t at)
{
    size_t digits = 0;
    while (at + digits < s.n && isdigit((unsigned char)s.p[at + digits]) && digits < 40)
        digits++;
    if (digits < 6 || at + digits >= s.n || s.p[at + digits] != '-')
        return 0;
    size_t id = run_of(s, at + digits + 1, word_char, 33);
    size_t end = at + digits + 1 + id;
    return id == 32 && has(s, end, ".apps.googleusercontent.com") ? end + strlen(".apps.googleusercontent.com") - at : 0;
}

/* Length of the pattern match at `at`, or 0. */
static size_t match_pattern(struct str s, size_t at)
{
    bool boundary = at == 0 || !word_char(s.p[at - 1]);
    switch (s.p[at]) {
    case ':': return has(s, at, "://") ? match_url_password(s, at) : 0;
    case '-': return has(s, at, "-----BEGIN") ? match_pem(s, at) : 0;
    case '"': return has(s, at, "\"type\"") ? match_service_account(s, at) : 0;
    case 'A':
        if (has(s, at, "AKIA") && run_of(s, at + 4, upper_digit, 16) == 16)
            return 20;
        if (has(s, at, "AIza") && run_of(s, at + 4, word_char, 35) == 35)
            return 39;
        break;
    case 'a':
        if (has(s, at, "amzn.mws.") && run_of(s, at + 9, hex_dash, 36) == 36)
            return 45;
        break;
    case 'y':
        if (has(s, at, "ya29."))
            return 5 + run_of(s, at + 5, word_char, 4096);
        break;
    default: break;
    }
    if (!boundary)
        return 0;
    if (starts_word(s, at, "api") && at + 4 < s.n) {
        size_t sep = s.p[at + 3] == '_' || s.p[at + 3] == '-' || s.p[at + 3] == ' ';
        if (starts_word(s, at + 3 + sep, "key"))
            return match_named(s, at, 6 + sep, 32, 45);
    }
    if (starts_word(s, at, "secret"))
        return match_named(s, at, 6, 32, 45);
    if (starts_word(s, at, "github"))
        return match_named(s, at, 6, 35, 40);
    if (isdigit((unsigned char)s.p[at])) {
        size_t n = match_google_client(s, at);
        if (n)
            return n;
    }
    return word_char(s.p[at]) ? match_firebase(s, at) : 0;
}

static size_t match_secret(struct str s, size_t at)
{
    for (const struct secret *x = by_first[(unsigned char)s.p[at]]; x; x = x->next)
        if (s.n - at >= x->n && memcmp(s.p + at, x->text, x->n) == 0)
            return x->n;
    return 0;
}

size_t mask_text(struct buf *out, struct str s, enum mask_style style)
{
    size_t found = 0, from = 0;
    pthread_rwlock_rdlock(&lock);
    for (size_t i = 0; i < s.n;) {
        size_t n = match_secret(s, i);
        if (!n)
            n = match_pattern(s, i);
        if (!n) {
            i++;
            continue;
        }
        buf_add(out, s.p + from, i - from);
        if (style == MASK_CONSOLE && n > SHOWN) {
            size_t shown = SHOWN;
            while (shown && ((unsigned char)s.p[i + shown] & 0xC0) == 0x80)
                shown--;
            buf_add(out, s.p + i, shown);
        }
        buf_adds(out, REDACTED);
        i += n;
        from = i;
        found++;
    }
    pthread_rwlock_unlock(&lock);
    if (s.n)
        buf_add(out, s.p + from, s.n - from);
    return found;
}
