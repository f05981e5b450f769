/* One pass from the left. A quote and the white space beside it form one match, so a space between two quotes
 * belongs to the first of them (S-71's last example). White space is Unicode's, as in the original's regular
 * expression. */
#include "mapping/quotes.h"

/* Bytes of the white-space character that starts at p, or ends before it. */
static size_t blank_at(const char *p, size_t n)
{
    static const char *const wide[] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
                                       "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
                                       "\xE2\x81\x9F", "\xE3\x80\x80", NULL};
    if (!n)
        return 0;
    unsigned char c = (unsigned char)p[0];
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F))
        return 1;
    for (const char *const *w = wide; *w; w++) {
        size_t len = strlen(*w);
        if (n >= len && memcmp(p, *w, len) == 0)
            return len;
    }
    return n >= 3 && memcmp(p, "\xE2\x80", 2) == 0 && (unsigned char)p[2] >= 0x80 &&
                   (unsigned char)p[2] <= 0x8A
               ? 3
               : 0;
}

static bool blank_before(struct str s, size_t i)
{
    for (size_t n = 1; n <= 3 && n <= i; n++)
        if (blank_at(s.p + i - n, n) == n)
            return true;
    return false;
}

bool quotes_normalise(struct buf *out, struct str s)
{
    bool changed = false;
    size_t i = 0;
    while (i < s.n) {
        /* Opening: the start of the text or a blank, then a quote, then neither a blank nor a double quote.
         */
        size_t blank = blank_at(s.p + i, s.n - i), at = i + blank;
        if ((blank || i == 0) && at < s.n && s.p[at] == '\'') {
            bool stays = at + 1 < s.n && (s.p[at + 1] == '"' || blank_at(s.p + at + 1, s.n - at - 1));
            if (!stays) {
                buf_add(out, s.p + i, blank);
                buf_addc(out, '"');
                changed = true;
                i = at + 1;
                continue;
            }
        }
        /* Closing: neither a blank nor a double quote, then a quote, then a blank or the end. */
        if (s.p[i] == '\'' && !(i && (s.p[i - 1] == '"' || blank_before(s, i)))) {
            blank = blank_at(s.p + i + 1, s.n - i - 1);
            if (blank || i + 1 == s.n) {
                buf_addc(out, '"');
                buf_add(out, s.p + i + 1, blank);
                changed = true;
                i += 1 + blank;
                continue;
            }
        }
        buf_addc(out, s.p[i++]);
    }
    return changed;
}
