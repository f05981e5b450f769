/* Escaping and the small phrases every page shares. */
#include "catalog/page/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

static void add_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '&': buf_adds(out, "&amp;"); return;
    case '<': buf_adds(out, "&lt;"); return;
    case '>': buf_adds(out, "&gt;"); return;
    case '"': buf_adds(out, "&quot;"); return;
    case '\'': buf_adds(out, "&#39;"); return;
    default: break;
    }
    if (c == 0x7f)
        buf_adds(out, "\xe2\x90\xa1");
    else /* U+2400 + c */
        buf_add(out, (char[]){(char)0xe2, (char)0x90, (char)(0x80 + c)}, 3);
}

static bool plain(unsigned char c)
{
    return c >= 0x20 ? !(c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' || c == 0x7f)
                     : c == '\n' || c == '\t';
}

void html_text(struct buf *out, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (plain((unsigned char)s.p[i]))
            continue;
        buf_add(out, s.p + from, i - from);
        add_escaped(out, (unsigned char)s.p[i]);
        from = i + 1;
    }
    if (from < s.n)
        buf_add(out, s.p + from, s.n - from);
}

void html_cut(struct buf *out, struct str s, size_t max)
{
    if (s.n <= max) {
        html_text(out, s);
        return;
    }
    size_t n = max;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    html_text(out, (struct str){s.p, n});
    buf_adds(out, "\xe2\x80\xa6");
}

static void grouped(struct buf *out, int64_t v)
{
    char digits[32];
    int n = snprintf(digits, sizeof(digits), "%" PRId64, v < 0 ? -v : v);
    if (v < 0)
        buf_addc(out, '-');
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf_addc(out, ',');
        buf_addc(out, digits[i]);
    }
}

void html(struct buf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (const char *p = fmt; *p; p++) {
        const char *percent = strchr(p, '%');
        if (!percent) {
            buf_adds(out, p);
            break;
        }
        buf_add(out, p, (size_t)(percent - p));
        p = percent + 1;
        switch (*p) {
        case 't': html_text(out, va_arg(ap, struct str)); break;
        case 'c': html_text(out, str_of(va_arg(ap, const char *))); break;
        case 'u': url_encode(out, va_arg(ap, struct str)); break;
        case 'd': buf_addf(out, "%" PRId64, va_arg(ap, int64_t)); break;
        case 'n': grouped(out, va_arg(ap, int64_t)); break;
        case 'r': buf_adds(out, va_arg(ap, const char *)); break;
        default: buf_addc(out, '%'); break;
        }
    }
    va_end(ap);
}

void html_ago(struct buf *out, int64_t at_us, int64_t now_us)
{
    char iso[40];
    int64_t s = (now_us - at_us) / 1000000;
    iso_format(iso, at_us, ISO_Z_MILLIS);
    html(out, "<time datetime=\"%c\" title=\"%c\">", iso, iso);
    if (s < 0)
        html(out, "%c", iso);
    else if (s < 5)
        buf_adds(out, "just now");
    else if (s < 120)
        html(out, "%d s ago", s);
    else if (s < 7200)
        html(out, "%d min ago", s / 60);
    else if (s < 172800)
        html(out, "%d h ago", s / 3600);
    else
        html(out, "%d days ago", s / 86400);
    buf_adds(out, "</time>");
}

void html_bytes(struct buf *out, int64_t n)
{
    if (n < 1000)
        html(out, "%d B", n);
    else if (n < 1000000)
        buf_addf(out, "%.1f kB", (double)n / 1e3);
    else
        buf_addf(out, "%.1f MB", (double)n / 1e6);
}

void html_duration(struct buf *out, int64_t us)
{
    if (us < 1000000)
        html(out, "%d ms", us / 1000);
    else if (us < 60000000)
        buf_addf(out, "%.1f s", (double)us / 1e6);
    else
        html(out, "%d min %d s", us / 60000000, us / 1000000 % 60);
}
