/* Help texts. What is printed here is what the other files of cli/ accept: change both together. */
#include "cli/help.h"

#include <string.h>

#include "base/mem.h"
#include "base/version.h"

static const char overview[] =
    "ocean-run " OCEAN_VERSION ": keeps a Port software catalog in step with a third-party system,\n"
    "driven by one Lua script.\n"
    "\n"
    "  ocean-run [options] SCRIPT.lua | FOLDER    run an integration (a folder holds integration.lua)\n"
    "  ocean-run map MAPPING [FILE...]            map JSON with a mapping document and print the entities\n"
    "  ocean-run catalog list|show|search|export|reset|serve    look at and serve the embedded catalog\n"
    "  ocean-run version\n"
    "  ocean-run help [run|map|catalog|settings|exit]\n"
    "\n"
    "No account yet? `ocean-run --once --local demo.db SCRIPT.lua` fills an embedded, Port-compatible\n"
    "catalog; `ocean-run catalog list --local demo.db` shows it.\n";

static const char run[] =
    "ocean-run [options] SCRIPT.lua | FOLDER\n"
    "\n"
    "  --once               one resync, then exit; the exit code says how it went (help exit)\n"
    "  --plan               with --once: show what would change, write nothing\n"
    "  --accept-plan HASH   change exactly what --plan showed with this hash, or nothing (first resync only)\n"
    "  --local FILE         use the embedded catalog in FILE, even if credentials are set\n"
    "  --kind NAME          only this kind (repeatable); nothing is deleted then\n"
    "  --json               one summary object per resync on stdout, everything else on stderr\n"
    "  --state DIR          where state is kept (OCEAN_STATE, else $XDG_STATE_HOME/ocean-run)\n"
    "  --port N             HTTP port of a run without --once (8000; 0: any free one)\n"
    "  --allow-empty KIND   delete a kind's entities although it extracted nothing (first resync only)\n"
    "  --max-shrink PERCENT how much a kind may shrink before its deletions are held back (30)\n"
    "  --reset-mapping      replace the mapping stored in Port by the script's own\n"
    "  --lua-memory SIZE    memory cap of the script, documents included (256M)\n"
    "  --lua-cpu SECONDS    CPU time a handler may use between two waits (5)\n"
    "  --log-level LEVEL    debug, info, warning, error (APPLICATION__LOG_LEVEL)\n"
    "\n"
    "Without --once the process stays and resyncs every OCEAN__SCHEDULED_RESYNC_INTERVAL minutes.\n";

static const char map[] =
    "ocean-run map [options] MAPPING [FILE...]      map JSON objects, one line a mapped object\n"
    "ocean-run map [options] --expr EXPR [FILE...]  evaluate one jq expression, one line a value\n"
    "\n"
    "MAPPING is YAML or JSON: a mapping document or one resource. FILEs (or standard input, also \"-\") hold\n"
    "objects one after another, or arrays of them, of any size.\n"
    "\n"
    "  --all                also show the entities of objects that the selector leaves out\n"
    "  --kind NAME          only resources of this kind (repeatable)\n"
    "  --index N            only the resource at this position, from 0 (repeatable)\n"
    "  --explain            read no input; show for each field whether it is native or libjq's, and why\n"
    "  --env-access on|off  whether env and $ENV show the environment, without credentials (on)\n"
    "  --now EPOCH          freeze the clock at these seconds since 1970, fractions allowed\n"
    "  with --expr:\n"
    "  --null-input         evaluate once, with null as the input\n"
    "  --all-outputs        a line for every output instead of the first\n"
    "  --engine auto|native|libjq\n"
    "\n"
    "  {\"resource\":0,\"kind\":\"issue\",\"item\":0,\"passed\":true,\"entity\":{...}}\n"
    "  \"element\" numbers what itemsToParse found in an item, \"skipped\" marks entities without identifier or\n"
    "  blueprint, \"error\" stands in place of \"passed\". With --expr: {\"value\":...}, {\"empty\":true} or\n"
    "  {\"error\":\"...\",\"phase\":\"compile\"|\"runtime\"|\"input\"}. What people should know goes to stderr.\n"
    "\n"
    "  exit 0; 1 unreadable input; 2 usage; 3 invalid mapping; 4 error lines, or an expression does not compile\n";

static const char catalog[] =
    "ocean-run catalog list [--json]                 blueprints and how many entities each has\n"
    "ocean-run catalog show BLUEPRINT [ID] [--json]  entities of a blueprint, or one of them\n"
    "ocean-run catalog search TEXT|QUERY [--json]    entities whose identifier or title holds the text, or that a\n"
    "                                                query of Port's search API (JSON) finds\n"
    "ocean-run catalog export                        everything as JSON lines, sorted, to be compared or imported\n"
    "ocean-run catalog reset                         empties the file; nothing may be using it\n"
    "ocean-run catalog serve [--listen HOST:PORT]    serve it over HTTP as Port's API (127.0.0.1:5555)\n"
    "\n"
    "  --local FILE   the catalog's file (default: $XDG_DATA_HOME/ocean-run/catalog.db)\n";

static const char settings[] =
    "Settings come from flags, then the environment, .env, config.yaml, then defaults. The most used:\n"
    "\n"
    "  OCEAN__PORT__CLIENT_ID, OCEAN__PORT__CLIENT_SECRET   credentials of your Port organisation\n"
    "  OCEAN__PORT__BASE_URL                                https://api.getport.io; US: https://api.us.getport.io\n"
    "  OCEAN__INTEGRATION__IDENTIFIER, OCEAN__INTEGRATION__TYPE\n"
    "  OCEAN__INTEGRATION__CONFIG__<KEY>                    what .port/spec.yaml declares\n"
    "  OCEAN__SCHEDULED_RESYNC_INTERVAL                     minutes between resyncs\n"
    "  OCEAN__INITIALIZE_PORT_RESOURCES                     install blueprints and mapping at first start (true)\n"
    "  OCEAN__RESYNC_LOOKAHEAD, OCEAN__MAX_SHRINK\n"
    "  APPLICATION__LOG_LEVEL, OCEAN_LOG=group=level,...    what is logged\n"
    "  OCEAN_STATE                                          folder of the state files\n";

static const char exit_codes[] =
    "  0    done\n"
    "  1    failed: the run as a whole, for instance Port unreachable or its listing incomplete\n"
    "  2    usage\n"
    "  3    configuration, or a script that does not load\n"
    "  4    finished with errors: a kind failed (nothing deleted), entities were rejected, or an\n"
    "       expression does not compile\n"
    "  5    finished, but deletions were held back; or --accept-plan found that the plan would be another one now\n"
    "  130, 143   stopped by SIGINT or SIGTERM (with --once)\n";

int help_print(FILE *out, const char *topic)
{
    static const struct {
        const char *name, *text;
    } topics[] = {{"run", run}, {"map", map}, {"catalog", catalog}, {"settings", settings}, {"exit", exit_codes}};
    if (!topic) {
        fputs(overview, out);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        if (!strcmp(topics[i].name, topic)) {
            fputs(topics[i].text, out);
            return 0;
        }
    }
    return -1;
}
