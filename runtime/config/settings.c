/* Loading: find the script, put all sources into one tree (highest first), check every known setting, warn
 * about unknown names, fill the struct. Nothing stops at the first problem: `problems` gets one line each
 * (runtime R-57). */
#define LOG_GROUP "config"
#include "config/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings_all.h"
#include "config/settings_sources.h"
#include "json/yaml.h"

#define FILE_LIMIT ((size_t)4 << 20)

extern char **environ;

const struct setting_value *settings_value(const struct settings *s, const char *dotted)
{
    int i = settings_table_find(str_of(dotted));
    assert(i >= 0);
    return &s->all->values[i];
}

const char *settings_text(const struct settings *s, const char *dotted)
{
    int i = settings_table_find(str_of(dotted));
    return i >= 0 && s->all->values[i].set ? s->all->values[i].text : NULL;
}

const char *settings_source(const struct settings *s, const char *dotted)
{
    static const char *const words[] = {"flag", "environment", ".env", "config.yaml", "default"};
    int i = settings_table_find(str_of(dotted));
    if (i >= 0)
        return words[s->all->values[i].set ? s->all->values[i].from : FROM_DEFAULT];
    const struct tree_node *n = tree_find(&s->all->tree, dotted);
    return words[n ? n->from : FROM_DEFAULT];
}

char *settings_find_file(const struct settings *s, const char *name)
{
    if (access(name, F_OK) == 0) {
        log_debug("using %s of the working directory", name);
        return xstrdup(name);
    }
    if (!s->folder || name[0] == '/' || strcmp(s->folder, ".") == 0)
        return NULL;
    char *path = xasprintf("%s/%s", s->folder, name);
    if (access(path, F_OK) == 0) {
        log_info("using %s (there is no %s in the working directory)", path, name);
        return path;
    }
    free(path);
    return NULL;
}

/* Reads an optional file; false if it is absent or cannot be read (then a problem says so). */
static bool read_optional(const char *path, struct buf *text, struct buf *problems)
{
    struct err e;
    if (file_read(path, FILE_LIMIT, text, &e) == 0)
        return true;
    buf_addf(problems, "%s\n", e.msg);
    return false;
}

static void put_flag(struct tree *t, const char *section, const char *name, const char *value)
{
    const struct tree_origin o = {FROM_FLAG, "command line", NULL};
    if (!value)
        return;
    struct tree_node *at = section ? tree_section(t, &t->root, str_of(section), &o) : &t->root;
    tree_put_text(t, at, str_of(name), value, &o);
}

static void load_files(struct settings *s, struct sources *src)
{
    struct buf text;
    buf_init(&text, FILE_LIMIT + 1);
    char *path = settings_find_file(s, ".env");
    if (path && read_optional(path, &text, src->problems))
        sources_dotenv(src, buf_str(&text), path);
    free(path);
    buf_reset(&text);
    path = settings_find_file(s, "config.yaml");
    if (!path && (path = settings_find_file(s, "config.yml")))
        log_warn("%s: the name of the file is config.yaml; please rename it", path);
    if (path && read_optional(path, &text, src->problems))
        sources_yaml(src, buf_str(&text), path);
    free(path);
    buf_done(&text);
}

static void load_sources(struct settings *s, const struct settings_flags *f, struct buf *problems)
{
    struct tree *t = &s->all->tree;
    struct sources src = {.tree = t, .problems = problems};
    put_flag(t, "event_listener", "type", f->once ? "ONCE" : NULL);
    put_flag(t, "application", "port", f->port);
    put_flag(t, "application", "log_level", f->log_level);
    put_flag(t, NULL, "lua_memory", f->lua_memory);
    put_flag(t, NULL, "lua_cpu", f->lua_cpu);
    sources_environment(&src, (const char *const *)environ);
    load_files(s, &src);
    s->any_port_setting = src.any_port_setting;
    if (src.dotenv)
        strmap_free(src.dotenv);
}

/* A node that no setting is named after: a warning with the nearest name. */
static void warn_unknown(const struct tree_node *n, struct str dotted)
{
    const char *near = settings_table_nearest(dotted);
    struct buf env;
    buf_init(&env, BUF_NO_LIMIT);
    if (near)
        settings_env_name(&env, str_of(near));
    log_warn("unknown setting %.*s (from %s) is ignored%s%s%s%s%s", STR_FMT(dotted), n->place,
             near ? "; did you mean " : "", near ? near : "", near ? " (" : "", near ? buf_cstr(&env) : "",
             near ? ")?" : "");
    buf_done(&env);
}

static void walk_names(const struct tree_node *at, struct buf *problems)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    for (const struct tree_node *n = at->child; n; n = n->next) {
        buf_reset(&path);
        tree_path(&path, n);
        struct str dotted = buf_str(&path);
        int known = settings_table_find(dotted);
        if (known >= 0) {
            if (settings_table[known].flags & SETTING_IGNORED)
                log_warn("%.*s (from %s) has no effect here; remove it", STR_FMT(dotted), n->place);
        } else if (!settings_table_section(dotted)) {
            warn_unknown(n, dotted);
        } else if (!n->object) {
            setting_problem(problems, dotted, n);
            buf_adds(problems, "expected an object of settings, got ");
            setting_excerpt(problems, n, false);
            buf_addc(problems, '\n');
        } else if (!str_is(dotted, "integration.config")) {
            walk_names(n, problems);
        }
    }
    buf_done(&path);
}

static void keep_config(struct settings *s)
{
    const struct tree_node *n = tree_find(&s->all->tree, "integration.config");
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    if (n && n->object)
        tree_write(&w, n);
    else
        buf_adds(&text, "{}");
    if (json_parse(buf_str(&text), &s->config_raw, NULL) < 0)
        json_parse(STR("{}"), &s->config_raw, NULL);
    buf_done(&text);
}

/* Secrets may stand anywhere in what was typed; none may leave through a message. */
static void mask_problems(struct buf *problems)
{
    struct buf masked;
    buf_init(&masked, BUF_NO_LIMIT);
    mask_text(&masked, buf_str(problems), MASK_FULL);
    buf_reset(problems);
    buf_addstr(problems, buf_str(&masked));
    buf_done(&masked);
}

static size_t count_lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

int settings_load(const struct settings_flags *f, struct settings **ret, struct buf *problems, struct err *e)
{
    struct settings *s = xcalloc(1, sizeof(*s));
    s->all = xcalloc(1, sizeof(*s->all));
    s->all->values = xcalloc(settings_table_n, sizeof(*s->all->values));
    tree_init(&s->all->tree);
    struct err mine = {0};
    if (settings_find_script(s, f->script, &mine) < 0)
        buf_addf(problems, "%s\n", mine.msg);
    load_sources(s, f, problems);
    walk_names(&s->all->tree.root, problems);
    for (size_t i = 0; i < settings_table_n; i++)
        setting_check(&settings_table[i], tree_find(&s->all->tree, settings_table[i].name),
                      &s->all->values[i], problems);
    settings_fill(s, f, problems);
    keep_config(s);
    size_t n = count_lines(problems);
    if (n) {
        mask_problems(problems);
        settings_free(s);
        struct str rest, first = str_split(buf_str(problems), '\n', &rest);
        return n == 1 ? ERR(e, ERR_CONFIG, "%.*s", STR_FMT(first))
                      : ERR(e, ERR_CONFIG, "%.*s (and %zu more problems)", STR_FMT(first), n - 1);
    }
    *ret = s;
    return 0;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < settings_table_n; i++)
        free(s->all->values[i].text);
    free(s->all->values);
    tree_done(&s->all->tree);
    free(s->all);
    free(s->script);
    free(s->folder);
    free(s->client_id);
    free(s->client_secret);
    free(s->base_url);
    free(s->identifier);
    free(s->type);
    free(s->resources_path);
    free(s->create_resources_origin);
    free(s->event_listener_type);
    free(s->log_level);
    free(s->local_file);
    free(s->state_dir);
    json_unref(s->config_raw);
    free(s);
}
