/* Recognisers for secret-looking texts, written by hand so that a line of the log needs no regular expression engine.
 * Each is tried only at a byte that cannot be missing from its match (the "trigger": the ':' of "://", the dot of
 * ".firebaseio.com"), and looks backwards from there if the match begins earlier. Every look in either direction is
 * bounded, so that hostile text costs no more than a constant per byte. */
#include "base/mask_patterns.h"

#include "base/mem.h"

#define USERINFO_MAX 512
#define LINE_BACK 256 /* how far before a quoted token its name is looked for */
#define PEM_MAX 16384
#define TOKEN_MAX 4096

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
static bool is_word(char c) { return is_alnum(c) || c == '_' || c == '-'; }
static bool is_host(char c) { return is_word(c) || c == '.'; }
static bool is_upper_digit(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }
static bool is_hex_dash(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || c == '-'; }
static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_pem_head(char c) { return c == ' ' || is_upper_digit(c); }
static bool is_listed_value(char c) { return c != ';' && c != '"' && c != '\'' && c != '\n'; }
static bool is_value(char c) { return is_listed_value(c) && !is_space(c) && c != '&' && c != ','; }
static bool is_pem_body(char c) { return is_alnum(c) || is_space(c) || c == '+' || c == '/' || c == '=' || c == '\\'; }

static bool is_userinfo(char c)
{
    return !is_space(c) && c != '/' && c != '?' && c != '#' && c != '"' && c != '\'' && c != '<' && c != '>' &&
           c != '\\';
}

static size_t run_of(struct str s, size_t at, bool (*member)(char), size_t max)
{
    size_t n = 0;
    while (n < max && at + n < s.n && member(s.p[at + n]))
        n++;
    return n;
}

static size_t run_before(struct str s, size_t at, bool (*member)(char), size_t max)
{
    size_t n = 0;
    while (n < max && n < at && member(s.p[at - n - 1]))
        n++;
    return n;
}

static bool has(struct str s, size_t at, struct str lit)
{
    return at + lit.n <= s.n && memcmp(s.p + at, lit.p, lit.n) == 0;
}

static bool has_word(struct str s, size_t at, struct str lit)
{
    return at + lit.n <= s.n && str_ieq((struct str){s.p + at, lit.n}, lit);
}

static bool found(struct mask_span *ret, size_t start, size_t end, bool hide)
{
    *ret = (struct mask_span){start, end, hide};
    return true;
}

/* scheme://user:pass@host, also a connection string of that form: user and password are hidden, the host stays. */
static bool url_password(struct str s, size_t at, struct mask_span *ret)
{
    if (!has(s, at, STR("://")) || at == 0 || !is_alnum(s.p[at - 1]))
        return false;
    size_t from = at + 3, n = run_of(s, from, is_userinfo, USERINFO_MAX);
    while (n && s.p[from + n - 1] != '@') /* an unencoded '@' in the password: the last one ends it */
        n--;
    if (n < 3 || !memchr(s.p + from, ':', n - 1))
        return false;
    return found(ret, from, from + n - 1, true);
}

/* Is there "api key", "secret" or (for its own token lengths) "github" before `at` on the same line? */
static bool named_before(struct str s, size_t at, bool named, bool github)
{
    for (size_t back = 1; back <= LINE_BACK && back <= at; back++) {
        size_t i = at - back;
        char c = s.p[i] | 0x20;
        if (s.p[i] == '\n')
            return false;
        if (named && c == 's' && has_word(s, i, STR("secret")))
            return true;
        if (github && c == 'g' && has_word(s, i, STR("github")))
            return true;
        if (named && c == 'a' && has_word(s, i, STR("api"))) {
            size_t sep = i + 3 < s.n && (s.p[i + 3] == '_' || s.p[i + 3] == '-' || s.p[i + 3] == ' ');
            if (has_word(s, i + 3 + sep, STR("key")))
                return true;
        }
    }
    return false;
}

/* A quoted token of 32 to 45 letters and digits (35 to 40 after "github") with a name before it. The quotes may be
 * escaped, as in JSON inside JSON. */
static bool quoted_token(struct str s, size_t at, struct mask_span *ret)
{
    size_t n = run_of(s, at + 1, is_alnum, 46), end = at + 1 + n;
    if (n < 32 || n > 45 || end >= s.n)
        return false;
    bool closed = s.p[end] == s.p[at] || (s.p[end] == '\\' && end + 1 < s.n && s.p[end + 1] == s.p[at]);
    if (!closed || !named_before(s, at, true, n >= 35 && n <= 40))
        return false;
    return found(ret, at + 1, end, true);
}

/* "type": "service_account", the mark of a Google key file; quotes may be escaped. */
static bool service_account(struct str s, size_t at, struct mask_span *ret)
{
    if (!has(s, at, STR("\"type")))
        return false;
    size_t i = at + 5;
    i += has(s, i, STR("\\"));
    if (!has(s, i, STR("\"")))
        return false;
    for (i++; i < s.n && i < at + 32 && (s.p[i] == ':' || is_space(s.p[i]));)
        i++;
    i += has(s, i, STR("\\"));
    if (!has(s, i, STR("\"service_account")))
        return false;
    i += STR("\"service_account").n;
    i += has(s, i, STR("\\"));
    i += has(s, i, STR("\""));
    return found(ret, at, i, false);
}

/* -----BEGIN ... PRIVATE KEY----- and PGP blocks, with what follows up to the end line, or as far as it looks like a
 * key. */
static bool pem(struct str s, size_t at, struct mask_span *ret)
{
    if (!has(s, at, STR("-----BEGIN ")))
        return false;
    size_t from = at + STR("-----BEGIN ").n, n = run_of(s, from, is_pem_head, 48), i = from + n;
    struct str head = {s.p + from, n};
    bool key = memmem(head.p, head.n, "PRIVATE KEY", 11) || (str_starts(head, STR("PGP ")) && n > 4);
    if (!key || !has(s, i, STR("-----")))
        return false;
    i += 5;
    size_t most = s.n - i < PEM_MAX ? s.n - i : PEM_MAX;
    const char *end = memmem(s.p + i, most, "-----END ", 9);
    if (!end)
        return found(ret, at, i + run_of(s, i, is_pem_body, PEM_MAX), false);
    i = (size_t)(end - s.p) + 9;
    i += run_of(s, i, is_pem_head, 48);
    i += has(s, i, STR("-----")) ? 5 : 0;
    return found(ret, at, i, false);
}

/* name.firebaseio.com and 123-abc.apps.googleusercontent.com, seen at the dot before the domain. */
static bool google_host(struct str s, size_t at, struct mask_span *ret)
{
    const struct str firebase = STR(".firebaseio.com"), client = STR(".apps.googleusercontent.com");
    if (has(s, at, firebase)) {
        size_t n = run_before(s, at, is_host, 64);
        return n && found(ret, at - n, at + firebase.n, false);
    }
    if (!has(s, at, client) || run_before(s, at, is_word, 33) < 33 || s.p[at - 33] != '-')
        return false;
    size_t digits = run_before(s, at - 33, is_digit, 40);
    return digits && found(ret, at - 33 - digits, at + client.n, false);
}

static bool cloud_key(struct str s, size_t at, struct mask_span *ret)
{
    if ((has(s, at, STR("AKIA")) || has(s, at, STR("ASIA"))) && run_of(s, at + 4, is_upper_digit, 16) == 16)
        return found(ret, at, at + 20, false);
    if (has(s, at, STR("AIza")) && run_of(s, at + 4, is_word, 35) == 35)
        return found(ret, at, at + 39, false);
    if (has(s, at, STR("amzn.mws.")) && run_of(s, at + 9, is_hex_dash, 36) == 36)
        return found(ret, at, at + 45, false);
    if (has(s, at, STR("ya29."))) {
        size_t n = run_of(s, at + 5, is_word, TOKEN_MAX);
        return n && found(ret, at, at + 5 + n, false);
    }
    return false;
}

/* Tokens whose makers gave them a prefix so that they can be found: GitHub's, GitLab's and Slack's. */
static bool prefixed_token(struct str s, size_t at, struct mask_span *ret)
{
    static const struct {
        struct str prefix;
        size_t least;
    } tokens[] = {{{"ghp_", 4}, 36},  {{"gho_", 4}, 36},         {{"ghu_", 4}, 36},   {{"ghs_", 4}, 36},
                  {{"ghr_", 4}, 36},  {{"github_pat_", 11}, 22}, {{"glpat-", 6}, 20}, {{"xoxb-", 5}, 10},
                  {{"xoxp-", 5}, 10}, {{"xoxa-", 5}, 10}};
    for (size_t k = 0; k < ARRAY_LEN(tokens); k++) {
        size_t n = has(s, at, tokens[k].prefix) ? run_of(s, at + tokens[k].prefix.n, is_word, TOKEN_MAX) : 0;
        if (n >= tokens[k].least)
            return found(ret, at, at + tokens[k].prefix.n + n, false);
    }
    return false;
}

/* Password=...; and AccountKey=... of "name=value;" connection strings. A lone "password=x" is left to the registered
 * secrets: it is as often a name in a message as a value. */
static bool connection_string(struct str s, size_t at, struct mask_span *ret)
{
    static const struct {
        struct str name;
        bool always;
    } names[] = {
        {{"AccountKey=", 11}, true}, {{"SharedAccessKey=", 16}, true}, {{"password=", 9}, false}, {{"pwd=", 4}, false}};
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        if (!has_word(s, at, names[k].name))
            continue;
        size_t from = at + names[k].name.n, n = run_of(s, from, is_listed_value, USERINFO_MAX);
        size_t blanks = run_before(s, at, is_space, 8);
        bool listed = from + n < s.n && s.p[from + n] == ';';
        if (!listed) { /* the last of a list ends at a blank */
            n = run_of(s, from, is_value, USERINFO_MAX);
            listed = at > blanks && s.p[at - blanks - 1] == ';';
        }
        return n && (names[k].always ? n >= 20 : listed) && found(ret, from, from + n, true);
    }
    return false;
}

bool mask_pattern_trigger(unsigned char c)
{
    switch (c) {
    case ':':
    case '-':
    case '"':
    case '\'':
    case '.':
    case 'A':
    case 'a':
    case 'y':
    case 'g':
    case 'x':
    case 'S':
    case 's':
    case 'P':
    case 'p': return true;
    default: return false;
    }
}

bool mask_pattern_at(struct str s, size_t at, struct mask_span *ret)
{
    switch (s.p[at]) {
    case ':': return url_password(s, at, ret);
    case '-': return pem(s, at, ret);
    case '"': return quoted_token(s, at, ret) || service_account(s, at, ret);
    case '\'': return quoted_token(s, at, ret);
    case '.': return google_host(s, at, ret);
    case 'A':
    case 'a': return cloud_key(s, at, ret) || connection_string(s, at, ret);
    case 'y': return cloud_key(s, at, ret);
    case 'g':
    case 'x': return prefixed_token(s, at, ret);
    default: return connection_string(s, at, ret);
    }
}
