/* Tokens of jq 1.8. Two-character operators are tried before one-character ones; a comment ends at a line end
 * that is not preceded by an odd number of backslashes; keywords lose their meaning after a dot or a dollar
 * sign. */
#include "mapping/ast.h"

static bool word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool word_char(char c) { return word_start(c) || digit(c); }

static char peek(const struct lexer *l, size_t ahead)
{
    return l->pos + ahead < l->src.n ? l->src.p[l->pos + ahead] : 0;
}

static void skip_blank(struct lexer *l)
{
    while (l->pos < l->src.n) {
        char c = l->src.p[l->pos];
        if (c == '#') {
            size_t slashes = 0;
            for (; l->pos < l->src.n; l->pos++) {
                c = l->src.p[l->pos];
                if (c == '\n' && slashes % 2 == 0)
                    break;
                if (c != '\r' || peek(l, 1) != '\n')
                    slashes = c == '\\' ? slashes + 1 : 0;
            }
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->pos++;
        } else {
            return;
        }
    }
}

static size_t word_length(const struct lexer *l, size_t from)
{
    size_t i = from;
    for (;;) {
        if (!word_start(peek(l, i)))
            return i - from;
        while (word_char(peek(l, i)))
            i++;
        if (peek(l, i) != ':' || peek(l, i + 1) != ':' || !word_start(peek(l, i + 2)))
            return i - from;
        i += 2;
    }
}

static bool is_keyword(struct str w)
{
    static const char *const words[] = {"as",   "def",   "module", "import", "include", "if",  "then",
                                        "else", "elif",  "end",    "reduce", "foreach", "and", "or",
                                        "try",  "catch", "label",  "break",  NULL};
    for (const char *const *k = words; *k; k++)
        if (str_is(w, *k))
            return true;
    return false;
}

static size_t number_length(const struct lexer *l)
{
    size_t i = 0;
    while (digit(peek(l, i)))
        i++;
    if (peek(l, i) == '.') {
        if (i == 0 && !digit(peek(l, 1)))
            return 0;
        i++;
        while (digit(peek(l, i)))
            i++;
    }
    if (i && (peek(l, i) == 'e' || peek(l, i) == 'E')) {
        size_t j = i + 1;
        if (peek(l, j) == '+' || peek(l, j) == '-')
            j++;
        if (digit(peek(l, j))) {
            while (digit(peek(l, j)))
                j++;
            i = j;
        }
    }
    return i;
}

static size_t operator_length(const struct lexer *l)
{
    static const char *const ops[] = {
        "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", "..", NULL};
    for (const char *const *o = ops; *o; o++) {
        size_t n = strlen(*o);
        if (l->src.n - l->pos >= n && memcmp(l->src.p + l->pos, *o, n) == 0)
            return n;
    }
    return strchr(".?=;,:|+-*/%$<>()[]{}", peek(l, 0)) ? 1 : 0;
}

struct token lex_next(struct lexer *l)
{
    skip_blank(l);
    struct token t = {.kind = T_END, .at = l->pos};
    if (l->pos >= l->src.n)
        return t;
    const char *p = l->src.p + l->pos;
    char c = *p;
    size_t skip = 0, n;
    if (c == '"') {
        t.kind = T_QUOTE;
        n = 1;
    } else if (word_start(c)) {
        n = word_length(l, 0);
        t.kind = is_keyword((struct str){p, n}) ? T_KEYWORD : T_IDENT;
    } else if (c == '.' && word_start(peek(l, 1))) {
        skip = n = 1;
        while (word_char(peek(l, n)))
            n++;
        t.kind = T_FIELD;
    } else if (c == '$' && word_start(peek(l, 1))) {
        skip = 1;
        n = 1 + word_length(l, 1);
        t.kind = T_VAR;
    } else if (c == '@' && word_char(peek(l, 1))) {
        skip = n = 1;
        while (word_char(peek(l, n)))
            n++;
        t.kind = T_FORMAT;
    } else if ((n = number_length(l))) {
        t.kind = T_NUMBER;
    } else if (c && (n = operator_length(l))) {
        t.kind = T_OP;
    } else {
        t.kind = T_BAD;
        n = 1;
        while (l->pos + n < l->src.n && (p[n] & 0xC0) == 0x80)
            n++;
    }
    t.text = (struct str){p + skip, n - skip};
    l->pos += n;
    return t;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static void add_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_addc(b, (char)c);
        return;
    }
    char s[4];
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6)
        s[i] = (char)(0x80 | (c & 63));
    s[0] = (char)((0xF00 >> n & 0xFF) | c);
    buf_add(b, s, (size_t)n);
}

/* After "\u": one code point, or a surrogate pair. */
static bool unicode_escape(struct lexer *l, struct buf *text, const char **fault)
{
    const char *p = l->src.p + l->pos;
    size_t left = l->src.n - l->pos;
    int u = left >= 4 ? hex4(p) : -1;
    if (u < 0) {
        *fault = "Invalid \\uXXXX escape";
        return false;
    }
    l->pos += 4;
    if (u >= 0xD800 && u < 0xE000) {
        int low = u < 0xDC00 && left >= 10 && p[4] == '\\' && p[5] == 'u' ? hex4(p + 6) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            *fault = "Invalid \\uXXXX\\uXXXX surrogate pair escape";
            return false;
        }
        l->pos += 6;
        add_utf8(text, 0x10000 + (((uint32_t)u - 0xD800) << 10) + ((uint32_t)low - 0xDC00));
        return true;
    }
    add_utf8(text, (uint32_t)u);
    return true;
}

enum string_part lex_string_part(struct lexer *l, struct buf *text, const char **fault)
{
    while (l->pos < l->src.n) {
        char c = l->src.p[l->pos++];
        if (c == '"')
            return PART_END;
        if (c != '\\') {
            buf_addc(text, c);
            continue;
        }
        c = l->pos < l->src.n ? l->src.p[l->pos++] : 0;
        switch (c) {
        case '(': return PART_INTERPOLATION;
        case '"':
        case '\\':
        case '/': buf_addc(text, c); break;
        case 'n': buf_addc(text, '\n'); break;
        case 'r': buf_addc(text, '\r'); break;
        case 't': buf_addc(text, '\t'); break;
        case 'b': buf_addc(text, '\b'); break;
        case 'f': buf_addc(text, '\f'); break;
        case 'u':
            if (!unicode_escape(l, text, fault))
                return PART_BROKEN;
            break;
        default: *fault = "Invalid escape in a string"; return PART_BROKEN;
        }
    }
    *fault = "unfinished string: its closing quote is missing";
    return PART_BROKEN;
}
