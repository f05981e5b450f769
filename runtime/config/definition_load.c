/* The .port folder (runtime section 3). Each file is parsed with marks, so that a problem names line and
 * column; problems of all files are gathered before anything is given up. */
#define LOG_GROUP "config"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/definition_priv.h"
#include "json/yaml.h"

#define FILE_LIMIT ((size_t)16 << 20)

enum resource { RES_BLUEPRINTS, RES_ACTIONS, RES_SCORECARDS, RES_PAGES, RES_MAPPING, RES_COUNT };

static const char *const stems[RES_COUNT] = {"blueprints", "actions", "scorecards", "pages",
                                             "port-app-config"};
static const char *const extensions[] = {".json", ".yaml", ".yml"};

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static struct json_doc *load_spec_file(struct definition *d, const char *path, struct buf *problems)
{
    struct json_doc *doc = NULL;
    struct yaml_marks *marks = NULL;
    struct err e;
    if (yaml_load_file(path, FILE_LIMIT, &doc, &marks, &e) < 0) {
        buf_addf(problems, "%s\n", e.msg);
        return NULL;
    }
    check_spec(&(struct part){json_root(doc), path, marks, problems});
    yaml_marks_free(marks);
    d->spec_from = xstrdup(path);
    return doc;
}

static void load_spec(struct definition *d, const struct settings *s, struct buf *problems)
{
    for (size_t i = 0; i < ARRAY_LEN(extensions) && !d->spec_from; i++) {
        char *name = xasprintf(".port/spec%s", extensions[i]);
        char *path = settings_find_file(s, name);
        if (path)
            d->spec = load_spec_file(d, path, problems);
        free(path);
        free(name);
        if (path)
            return;
    }
}

/* ---- Resources ---- */

/* Which resource a file name stands for: -1 none of ours; a wrong extension is told through *ret_bad. */
static int resource_of(const char *name, bool *ret_bad)
{
    for (int r = 0; r < RES_COUNT; r++) {
        size_t n = strlen(stems[r]);
        if (strncmp(name, stems[r], n) != 0 || (name[n] && name[n] != '.'))
            continue;
        *ret_bad = true;
        for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
            if (strcmp(name + n, extensions[i]) == 0)
                *ret_bad = false;
        return r;
    }
    return -1;
}

static void check_resource(int r, const struct part *p)
{
    switch (r) {
    case RES_BLUEPRINTS: check_blueprints(p); return;
    case RES_SCORECARDS: check_scorecards(p); return;
    case RES_MAPPING: check_default_mapping(p); return;
    default: check_objects(p, stems[r]); return;
    }
}

static void keep_resource(struct definition *d, int r, struct json_doc *doc, const char *path)
{
    switch (r) {
    case RES_BLUEPRINTS:
        d->blueprints = doc;
        d->blueprints_from = xstrdup(path);
        return;
    case RES_MAPPING:
        d->mapping = doc;
        d->mapping_from = xstrdup(path);
        return;
    case RES_ACTIONS: d->actions = doc; return;
    case RES_SCORECARDS: d->scorecards = doc; return;
    default: d->pages = doc; return;
    }
}

static void load_resource(struct definition *d, int r, const char *path, struct buf *problems)
{
    struct json_doc *doc = NULL;
    struct yaml_marks *marks = NULL;
    struct err e;
    if (yaml_load_file(path, FILE_LIMIT, &doc, &marks, &e) < 0) {
        buf_addf(problems, "%s\n", e.msg);
        return;
    }
    if (json_is_nil(json_root(doc))) {
        log_warn("%s is empty", path);
        json_unref(doc);
    } else {
        check_resource(r, &(struct part){json_root(doc), path, marks, problems});
        keep_resource(d, r, doc, path);
    }
    yaml_marks_free(marks);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char **list_folder(const char *folder, size_t *ret_n, struct buf *problems)
{
    char **names = NULL;
    DIR *dir = opendir(folder);
    *ret_n = 0;
    if (!dir) {
        buf_addf(problems, "%s: %s\n", folder, strerror(errno));
        return NULL;
    }
    for (struct dirent *f; (f = readdir(dir));) {
        names = xrealloc(names, (*ret_n + 1) * sizeof(*names));
        names[(*ret_n)++] = xstrdup(f->d_name);
    }
    closedir(dir);
    if (*ret_n)
        qsort(names, *ret_n, sizeof(*names), by_name);
    return names;
}

static void load_folder(struct definition *d, const char *folder, struct buf *problems)
{
    char *seen[RES_COUNT] = {NULL};
    size_t n;
    char **names = list_folder(folder, &n, problems);
    for (size_t i = 0; i < n; i++) {
        bool bad = false;
        int r = resource_of(names[i], &bad);
        char *path = xasprintf("%s/%s", folder, names[i]);
        if (r >= 0 && (bad || is_folder(path)))
            buf_addf(problems, "%s: expected a file %s.json, %s.yaml or %s.yml\n", path, stems[r], stems[r],
                     stems[r]);
        else if (r >= 0 && seen[r])
            buf_addf(problems, "%s: there is %s beside it; keep one of them\n", path, seen[r]);
        else if (r >= 0)
            load_resource(d, r, path, problems);
        if (r >= 0 && !seen[r])
            seen[r] = xstrdup(names[i]);
        free(path);
        free(names[i]);
    }
    for (int r = 0; r < RES_COUNT; r++)
        free(seen[r]);
    free(names);
}

/* The folder of default resources; NULL if there is none. */
static char *resources_folder(const struct settings *s)
{
    char *path = s->resources_path ? settings_find_file(s, s->resources_path) : NULL;
    if (path && is_folder(path))
        return path;
    if (s->resources_path)
        log_warn("resources_path: there is no folder %s; using .port/resources", s->resources_path);
    free(path);
    path = settings_find_file(s, ".port/resources");
    if (path && is_folder(path))
        return path;
    free(path);
    log_debug("there is no .port/resources: blueprints and mapping can come from ocean.define alone");
    return NULL;
}

static void load_project(struct definition *d, const struct settings *s, struct buf *problems)
{
    struct buf text;
    struct err e;
    char *path = settings_find_file(s, "pyproject.toml");
    if (!path)
        return;
    buf_init(&text, FILE_LIMIT);
    if (file_read(path, FILE_LIMIT, &text, &e) < 0)
        buf_addf(problems, "%s\n", e.msg);
    else
        pyproject_read(buf_str(&text), &d->project_name, &d->project_version);
    buf_done(&text);
    free(path);
}

int definition_load(struct definition *d, const struct settings *s, struct err *e)
{
    struct buf problems;
    buf_init(&problems, 1 << 20);
    load_spec(d, s, &problems);
    load_project(d, s, &problems);
    char *folder = resources_folder(s);
    if (folder)
        load_folder(d, folder, &problems);
    free(folder);
    int rc = definition_problems(&problems, e);
    buf_done(&problems);
    return rc;
}
