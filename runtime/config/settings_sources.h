/* settings_sources.h: reads the environment, .env and config.yaml into a tree. Private to config/. Loop
 * thread. */
#pragma once
#include "base/strmap.h"
#include "config/settings_tree.h"

struct sources {
    struct tree *tree;
    struct strmap *dotenv; /* name -> char *; filled by sources_dotenv */
    struct buf *problems;  /* one line each */
    bool any_port_setting;
};

/* Adds all OCEAN__ and APPLICATION__ variables of a "NAME=value" list (NULL ends). */
void sources_environment(struct sources *s, const char *const *env);
/* Parses .env and adds its variables. `path` is used in messages. */
void sources_dotenv(struct sources *s, struct str text, const char *path);
/* Parses config.yaml and adds it; value providers look at the environment, then at .env. */
void sources_yaml(struct sources *s, struct str text, const char *path);

/* .env text to name -> value (runtime R-24): comments, export, quotes, escapes, ${NAME}. Problems name path
 * and line. */
void dotenv_parse(struct strmap *out, struct str text, const char *path, struct buf *problems);
