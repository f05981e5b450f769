/* main.c: ocean-run's entry point: chooses the command. */
#include <stdio.h>
#include <string.h>

#include "cli/catalog_cmd.h"
#include "cli/help.h"
#include "cli/map.h"
#include "cli/options.h"
#include "cli/playground.h"
#include "cli/run.h"
#include "base/version.h"
#include "mapping/jq.h"

static int help_command(const char *topic)
{
    if (help_print(stdout, topic) == 0)
        return EXIT_DONE;
    fprintf(stderr, "ocean-run: no help on \"%s\"; there are run, map, catalog, settings and exit\n", topic);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_print(stderr, NULL);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    /* This process as the libjq worker; started by mapping/jq.c, never by people. */
    if (!strcmp(word, "--jq-worker"))
        return jq_worker_main();
    if (!strcmp(word, PLAYGROUND_WORKER))
        return playground_serve();
    if (!strcmp(word, "version") || !strcmp(word, "--version")) {
        printf("ocean-run %s\n", OCEAN_VERSION);
        return EXIT_DONE;
    }
    if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"))
        return help_command(argc > 2 ? argv[2] : NULL);
    if (!strcmp(word, "catalog")) {
        struct catalog_options o;
        return options_parse_catalog(argc - 2, argv + 2, &o) < 0 ? EXIT_USAGE : catalog_command(&o);
    }
    if (!strcmp(word, "map"))
        return map_command(argc - 2, argv + 2);
    struct run_options o;
    return options_parse_run(argc - 1, argv + 1, &o) < 0 ? EXIT_USAGE : run_command(&o);
}
