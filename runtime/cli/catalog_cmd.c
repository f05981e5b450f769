/* `ocean-run catalog`: list, show, search and export open the file read-only, also beside a process that writes it;
 * reset wants it alone; serve is port-local by another name. */
#include "cli/catalog_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "cli/playground.h"
#include "io/loop.h"
#include "json/json.h"

static int exit_of(const struct err *e)
{
    if (e->code == ERR_INVAL)
        return EXIT_USAGE;
    return e->code == ERR_BUSY || e->code == ERR_CONFIG || e->code == ERR_NOT_FOUND ? EXIT_CONFIG : EXIT_FAILED;
}

static int report(const struct err *e)
{
    fprintf(stderr, "ocean-run: %s\n", e->msg);
    return exit_of(e);
}

static void print_table(struct json root)
{
    printf("%-32s %10s  %s\n", "BLUEPRINT", "ENTITIES", "TITLE");
    for (struct json_iter it = json_iter(json_get_c(root, "blueprints")); json_next(&it);) {
        struct str id = json_str(json_get_c(it.val, "identifier")), title = json_str(json_get_c(it.val, "title"));
        struct str n = json_num_text(json_get_c(it.val, "entities"));
        printf("%-32.*s %10.*s  %.*s\n", STR_FMT(id), STR_FMT(n), STR_FMT(title));
    }
    struct str total = json_num_text(json_get_c(root, "entities"));
    printf("%-32s %10.*s\n", "total", STR_FMT(total));
}

static int list(const char *file, bool as_json)
{
    struct err e = {0};
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    int rc = EXIT_DONE;
    struct json_doc *doc = NULL;
    if (catalog_list(file, &text, &e) < 0)
        rc = report(&e);
    else if (as_json)
        printf("%s\n", buf_cstr(&text));
    else if (json_parse(buf_str(&text), &doc, &e) < 0)
        rc = report(&e);
    else
        print_table(json_root(doc));
    json_unref(doc);
    buf_done(&text);
    return rc;
}

static void print_line(void *arg, struct str text)
{
    bool as_json = *(bool *)arg;
    struct json_doc *doc = NULL;
    struct buf pretty;
    buf_init(&pretty, BUF_NO_LIMIT);
    if (!as_json && json_parse(text, &doc, NULL) == 0 && json_write_pretty(&pretty, json_root(doc)) == 0)
        printf("%s\n", buf_cstr(&pretty));
    else
        printf("%.*s\n", STR_FMT(text));
    buf_done(&pretty);
    json_unref(doc);
}

static void print_found(void *arg, struct str text)
{
    struct json_doc *doc = NULL;
    if (*(bool *)arg || json_parse(text, &doc, NULL) < 0) {
        printf("%.*s\n", STR_FMT(text));
        return;
    }
    struct json root = json_root(doc);
    struct str blueprint = json_str(json_get_c(root, "blueprint")), id = json_str(json_get_c(root, "identifier"));
    struct str title = json_str(json_get_c(root, "title"));
    printf("%-24.*s  %-40.*s  %.*s\n", STR_FMT(blueprint), STR_FMT(id), STR_FMT(title));
    json_unref(doc);
}

static void print_raw(void *arg, struct str text)
{
    (void)arg;
    printf("%.*s\n", STR_FMT(text));
}

static void stop_loop(void *arg, int signum)
{
    (void)signum;
    loop_stop(arg);
}

static int serve(const char *file, const char *listen)
{
    char host[256];
    int port;
    struct err e = {0};
    if (!options_host_port(listen ? listen : "127.0.0.1:5555", host, sizeof(host), &port)) {
        fprintf(stderr, "ocean-run: --listen \"%s\": expected HOST:PORT, for instance 127.0.0.1:5555\n", listen);
        return EXIT_USAGE;
    }
    struct loop *loop = loop_new();
    struct catalog *c = NULL;
    struct playground *playground = playground_new(loop);
    struct catalog_opts o = {.file = file, .host = host, .port = port, .evaluator = playground_evaluator(playground)};
    int rc = EXIT_DONE;
    if (catalog_start(loop, &o, &c, &e) < 0) {
        rc = report(&e);
    } else {
        loop_on_signal(loop, stop_loop, loop);
        printf("catalog %s listening on %s\n", file, catalog_url(c));
        fflush(stdout);
        loop_run(loop);
        catalog_stop(c);
    }
    playground_free(playground);
    loop_free(loop);
    return rc;
}

int catalog_command(const struct catalog_options *o)
{
    char *file = o->file ? strdup(o->file) : catalog_default_file();
    struct err e = {0};
    bool as_json = o->json;
    int rc;
    if (!strcmp(o->command, "serve")) {
        rc = serve(file, o->listen);
    } else if (!strcmp(o->command, "list")) {
        rc = list(file, o->json);
    } else if (!strcmp(o->command, "search")) {
        rc = catalog_search(file, o->query, print_found, &as_json, &e) < 0 ? report(&e) : EXIT_DONE;
    } else if (!strcmp(o->command, "export")) {
        rc = catalog_export(file, print_raw, NULL, &e) < 0 ? report(&e) : EXIT_DONE;
    } else if (!strcmp(o->command, "reset")) {
        rc = catalog_reset(file, &e) < 0 ? report(&e) : EXIT_DONE;
    } else {
        rc = catalog_show(file, o->blueprint, o->identifier, print_line, &as_json, &e) < 0 ? report(&e) : EXIT_DONE;
    }
    free(file);
    return rc;
}
