/* A variable is left out when its name belongs to a sensitive setting: everything under OCEAN__PORT, secrets of the other
 * sections, and the OCEAN__INTEGRATION__CONFIG__ names whose declaration says `sensitive: true` (a JSON value for the
 * whole section may hold one, so it goes as well). Names are compared as settings are: any case, `_` and `-` ignored. */
#include "cli/environment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

extern char **environ;

#define CONFIG_PREFIX "OCEAN__INTEGRATION__CONFIG"

static const char *const sensitive_prefixes[] = {
    "OCEAN__PORT",
    "OCEAN__EVENT_LISTENER__APP_HOST",
    "OCEAN__LIVE_EVENTS__REDIS__PASSWORD",
    "OCEAN__LIVE_EVENTS__REDIS__PRIVATE_KEY",
    "OCEAN__IDENTITY_PROPAGATION",
};

static bool starts_nocase(const char *s, const char *prefix) { return strncasecmp(s, prefix, strlen(prefix)) == 0; }

/* Letters and digits of both, compared without case. */
static bool same_name(struct str a, struct str b)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a.n && !isalnum((unsigned char)a.p[i]))
            i++;
        while (j < b.n && !isalnum((unsigned char)b.p[j]))
            j++;
        if (i == a.n || j == b.n)
            return i == a.n && j == b.n;
        if (tolower((unsigned char)a.p[i++]) != tolower((unsigned char)b.p[j++]))
            return false;
    }
}

static bool declared_sensitive(const struct definition *d, struct str key)
{
    struct json list = d->spec ? json_get_c(json_root(d->spec), "configurations") : JSON_NONE;
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (json_is_true(json_get_c(it.val, "sensitive")) && same_name(json_str(json_get_c(it.val, "name")), key))
            return true;
    return false;
}

static bool is_secret(const struct definition *d, const char *entry)
{
    const char *eq = strchr(entry, '=');
    struct str name = {entry, eq ? (size_t)(eq - entry) : strlen(entry)};
    for (size_t i = 0; i < ARRAY_LEN(sensitive_prefixes); i++)
        if (starts_nocase(entry, sensitive_prefixes[i]))
            return true;
    if (str_ieq(name, STR("OCEAN__INTEGRATION")) || str_ieq(name, STR(CONFIG_PREFIX)))
        return true;
    size_t skip = strlen(CONFIG_PREFIX "__");
    return starts_nocase(entry, CONFIG_PREFIX "__") &&
           declared_sensitive(d, (struct str){name.p + skip, name.n - skip});
}

char **environment_for_mapping(const struct definition *d)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **env = xcalloc(n + 1, sizeof(*env));
    for (size_t i = 0; i < n; i++)
        if (!is_secret(d, environ[i]))
            env[kept++] = xstrdup(environ[i]);
    return env;
}

void environment_free(char **env)
{
    for (char **e = env; e && *e; e++)
        free(*e);
    free(env);
}
