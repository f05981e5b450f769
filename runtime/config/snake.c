/* The snake_case rule of configuration names (runtime R-44), in two passes over the name.
 *
 * First every run of capitals and digits is reduced to its capitalised form. A run is followed by a word when
 * its last character starts one ("APIKey": run "API", word "Key"), so a run that is followed by anything but
 * a capital or digit gives its last character back. Then a break is put before every capital and everything
 * is lower-cased. */
#include "config/settings.h"

#include <ctype.h>
#include <stdlib.h>

static bool capital(char c) { return c >= 'A' && c <= 'Z'; }
static bool run_char(char c) { return capital(c) || (c >= '0' && c <= '9'); }

/* Entirely upper-case (with at least one letter) or entirely digits: stays as it is. */
static bool unchanged(struct str s)
{
    bool letter = false, lower = false, other = false;
    for (size_t i = 0; i < s.n; i++) {
        letter |= capital(s.p[i]);
        lower |= s.p[i] >= 'a' && s.p[i] <= 'z';
        other |= !isdigit((unsigned char)s.p[i]);
    }
    return s.n == 0 || !other || (letter && !lower);
}

/* Lower-cases the letters of a run that follow a letter. */
static void capitalise(char *p, size_t n)
{
    bool after_letter = false;
    for (size_t i = 0; i < n; i++) {
        bool is = capital(p[i]);
        if (is && after_letter)
            p[i] = (char)(p[i] - 'A' + 'a');
        after_letter = is;
    }
}

void settings_snake(struct buf *out, struct str name)
{
    if (unchanged(name)) {
        buf_addstr(out, name);
        return;
    }
    char *s = str_dup(name);
    for (size_t i = 0; i < name.n;) {
        size_t end = i;
        while (end < name.n && run_char(s[end]))
            end++;
        size_t stop = end;
        if (end > i && end < name.n)
            stop = end - 1; /* the last one starts the next word */
        capitalise(s + i, stop - i);
        i = end > i ? end : i + 1;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (capital(s[i]) && i > 0 && s[i - 1] != '_' && s[i - 1] != '-')
            buf_addc(out, '_');
        buf_addc(out, (char)tolower((unsigned char)s[i]));
    }
    free(s);
}
