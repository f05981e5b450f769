/* mapping: speed of the mapping engine on one core, parsing included, beside others in the same run.
 *
 *   mapping [CORPUS]   prints one line per figure: entities per second, and how many times as fast that is
 *
 * Two mappings: ten plain paths over objects of 1.4 KB, and eighteen fields, three of them non-trivial, over issues of
 * 7 KB. Beside ours: libjq with one execution per field (engines.h), the jq command, which builds the whole entity with
 * one program, and the original's engine, if OCEAN_BENCH_PYTHON names a Python that can import port_ocean. Then every
 * mapping of CORPUS (mappings.jsonl of ../shared/corpus), none of which may be slower than libjq: else the exit code
 * is 1.
 *
 * Ours and libjq's turns alternate, a tenth of a second each, and the medians count: what else runs on the machine
 * then hits both. */
#include "engines.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define PAGE 100
#define TURNS 11
#define TURN_SECONDS 0.1

static const char small_mapping[] =
    "{\"resources\":[{\"kind\":\"item\",\"selector\":{\"query\":\"true\"},\"port\":{\"entity\":{\"mappings\":{"
    "\"identifier\":\".id\",\"title\":\".name\",\"blueprint\":\"\\\"item\\\"\",\"properties\":{\"url\":\".url\","
    "\"state\":\".state\",\"owner\":\".owner.login\",\"email\":\".owner.email\",\"created\":\".created_at\","
    "\"updated\":\".updated_at\",\"score\":\".score\",\"labels\":\".labels\"}}}}}]}";

static const char issue_mapping[] =
    "{\"resources\":[{\"kind\":\"issue\",\"selector\":{\"query\":\".fields.issuetype.name != \\\"Epic\\\"\"},\"port\":{\"entity\":{"
    "\"mappings\":{\"identifier\":\".key\",\"title\":\".fields.summary\",\"blueprint\":\"\\\"issue\\\"\",\"properties\":{"
    "\"url\":\"(.self | split(\\\"/\\\") | .[:3] | join(\\\"/\\\")) + \\\"/browse/\\\" + .key\",\"status\":\".fields.status.name\","
    "\"type\":\".fields.issuetype.name\",\"components\":\".fields.components\",\"assignee\":\".fields.assignee.emailAddress\","
    "\"reporter\":\".fields.reporter.emailAddress\",\"creator\":\".fields.creator.emailAddress\",\"priority\":\".fields.priority.name\","
    "\"created\":\".fields.created\",\"updated\":\".fields.updated\",\"labels\":\".fields.labels | map(ascii_downcase)\","
    "\"resolved\":\".fields.resolutiondate\",\"points\":\".fields.customfield_1\",\"sprint\":\".fields.sprint.name\"},"
    "\"relations\":{\"project\":\".fields.project.key\",\"parent\":\".fields.parent.key\","
    "\"subtasks\":\"[.fields.subtasks[] | select(.done | not) | .key]\"}}}}}]}";

static const char *const words = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
                                 "et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris. ";

static void filler(struct buf *b, size_t bytes)
{
    for (size_t n = 0; n < bytes; n += strlen(words))
        buf_adds(b, words);
}

static void small_item(struct buf *b, int i)
{
    buf_addf(b,
             "{\"id\":\"item-%d\",\"node\":%d,\"name\":\"Item number %d\",\"state\":\"open\",\"url\":\"https://x.example/%d\",\"score\":%d.5,"
             "\"labels\":[\"a\",\"b\",\"c\"],\"owner\":{\"login\":\"u%d\",\"id\":%d,\"email\":\"u%d@example.com\",\"site\":false},"
             "\"created_at\":\"2024-01-02T03:04:05Z\",\"updated_at\":\"2025-01-02T03:04:05Z\",\"forks\":%d,\"private\":false,"
             "\"permissions\":{\"admin\":false,\"push\":true,\"pull\":true},\"description\":\"",
             i, i, i, i, i, i % 50, i, i, i);
    filler(b, 900);
    buf_adds(b, "\"}");
}

static void issue_item(struct buf *b, int i)
{
    buf_addf(b,
             "{\"key\":\"PROJ-%d\",\"id\":\"%d\",\"self\":\"https://jira.example.com/rest/api/3/issue/%d\",\"fields\":{\"summary\":\"Issue %d\","
             "\"status\":{\"name\":\"In Progress\",\"id\":\"3\",\"statusCategory\":{\"key\":\"x\",\"name\":\"y\"}},\"issuetype\":{\"name\":\"Bug\",\"id\":\"1\"},"
             "\"components\":[{\"name\":\"core\"},{\"name\":\"web\"}],\"assignee\":{\"emailAddress\":\"a%d@example.com\",\"displayName\":\"A\"},"
             "\"reporter\":{\"emailAddress\":\"r@example.com\"},\"creator\":{\"emailAddress\":\"c@example.com\"},\"priority\":{\"name\":\"High\"},"
             "\"created\":\"2024-01-02T03:04:05.000+0000\",\"updated\":\"2025-01-02T03:04:05.000+0000\",\"labels\":[\"Alpha\",\"BETA\"],"
             "\"resolutiondate\":null,\"customfield_1\":5,\"sprint\":{\"name\":\"Sprint 9\"},\"project\":{\"key\":\"PROJ\"},\"parent\":{\"key\":\"PROJ-1\"},"
             "\"subtasks\":[",
             i, i, i, i, i % 50);
    for (int k = 0; k < 8; k++)
        buf_addf(b, "%s{\"key\":\"PROJ-%d\",\"done\":%s,\"fields\":{\"summary\":\"sub\",\"status\":{\"name\":\"Open\"}}}", k ? "," : "", i + k,
                 k % 2 ? "true" : "false");
    buf_adds(b, "],\"comment\":{\"comments\":[");
    for (int k = 0; k < 6; k++) {
        buf_addf(b, "%s{\"id\":%d,\"author\":{\"emailAddress\":\"x@example.com\"},\"body\":\"", k ? "," : "", k);
        filler(b, 500);
        buf_adds(b, "\"}");
    }
    buf_adds(b, "]},\"description\":\"");
    filler(b, 1200);
    buf_adds(b, "\"}}");
}

static struct page page_of(struct buf *b, void (*item)(struct buf *, int))
{
    buf_init(b, BUF_NO_LIMIT);
    buf_addc(b, '[');
    for (int i = 0; i < PAGE; i++) {
        if (i)
            buf_addc(b, ',');
        item(b, i);
    }
    buf_addc(b, ']');
    return (struct page){buf_str(b), PAGE};
}

/* Figures --------------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_number);
    return v[n / 2];
}

struct contest {
    const struct plan *plan;
    struct programs libjq;
    struct page page;
};

/* Seconds for one page, over `seconds` of them; ours, else libjq's. */
static double turn(const struct contest *c, bool ours, double seconds)
{
    size_t pages = 0;
    double start = cpu_seconds(), now;
    do {
        if (ours)
            map_page(c->plan, c->page);
        else
            libjq_page(&c->libjq, c->page);
        pages++;
        now = cpu_seconds();
    } while (now - start < seconds);
    return (now - start) / (double)pages;
}

static void compete(const struct contest *c, int turns, double seconds, double *ours, double *theirs)
{
    double a[TURNS], b[TURNS];
    for (int i = 0; i < turns; i++) {
        a[i] = turn(c, true, seconds);
        b[i] = turn(c, false, seconds);
    }
    *ours = median(a, (size_t)turns);
    *theirs = median(b, (size_t)turns);
}

/* Others ---------------------------------------------------------------------------------------------------------- */

static void put_program(struct buf *b, struct json node)
{
    bool first = true;
    if (json_is_str(node)) {
        buf_addf(b, "((%.*s)? // null)", STR_FMT(json_str(node)));
        return;
    }
    buf_addc(b, '{');
    for (struct json_iter it = json_iter(node); json_next(&it); first = false) {
        buf_addf(b, "%s\"%.*s\":", first ? "" : ",", STR_FMT(it.key));
        put_program(b, it.val);
    }
    buf_addc(b, '}');
}

static char *write_file(const char *suffix, struct str text)
{
    const char *dir = getenv("TMPDIR");
    char *path = xasprintf("%s/ocean-bench-%d-%s", dir && *dir ? dir : "/tmp", (int)getpid(), suffix);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(text.p, 1, text.n, f) < text.n || fclose(f) != 0) {
        fprintf(stderr, "mapping: cannot write %s\n", path);
        exit(1);
    }
    return path;
}

/* Processor seconds of a program whose output is thrown away; < 0: it failed or is not there. */
static double run_program(char *const *argv)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    struct rusage u;
    if (pid < 0 || wait4(pid, &status, 0, &u) < 0 || status != 0)
        return -1;
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void jq_command(const struct mapping_resource *r, struct page page, double ours)
{
    struct buf program;
    buf_init(&program, BUF_NO_LIMIT);
    buf_addf(&program, ".[] | select(%.*s) | ", STR_FMT(r->query));
    put_program(&program, r->mappings);
    char *file = write_file("page.json", page.text), *text = xstrdup(buf_cstr(&program));
    char *argv[64] = {"jq", "-c", text};
    const size_t pages = 20;
    for (size_t i = 0; i < pages; i++)
        argv[3 + i] = file;
    double s = run_program(argv);
    if (s < 0)
        printf("  jq command: left out: no jq on the path, or it failed\n");
    else
        printf("  jq command, one program for the entity: %.0f/s, ours %.1f times as fast\n",
               (double)(pages * page.items) / s, s / (double)(pages * page.items) / ours);
    unlink(file);
    free(file);
    free(text);
    buf_done(&program);
}

static void python_engine(const struct mapping_resource *r, struct page page, double ours)
{
    const char *python = getenv("OCEAN_BENCH_PYTHON");
    if (!python || !*python) {
        printf("  original's engine: left out: OCEAN_BENCH_PYTHON names no Python that imports port_ocean\n");
        return;
    }
    struct buf resource;
    buf_init(&resource, BUF_NO_LIMIT);
    json_write(&resource, r->raw);
    char *items = write_file("items.json", page.text), *mapping = write_file("resource.json", buf_str(&resource));
    char out[64] = "";
    double rate = 0;
    char *command = xasprintf("'%s' tests/bench/original.py '%s' '%s'", python, mapping, items);
    FILE *f = popen(command, "r");
    if (f && fgets(out, sizeof(out), f))
        rate = strtod(out, NULL);
    if (!f || pclose(f) != 0 || rate <= 0)
        printf("  original's engine: left out: '%s' failed\n", command);
    else
        printf("  original's engine: %.0f/s, ours %.0f times as fast\n", rate, 1 / rate / ours);
    unlink(items);
    unlink(mapping);
    free(items);
    free(mapping);
    free(command);
    buf_done(&resource);
}

static void measure(const char *label, const char *mapping, void (*item)(struct buf *, int))
{
    struct err e = {0};
    struct json_doc *doc = NULL;
    struct mapping_doc *m = NULL;
    struct plan *plan = NULL;
    struct plan_opts o = {.env_access = true};
    struct buf b;
    struct page page = page_of(&b, item);
    must(json_parse(str_of(mapping), &doc, &e), &e);
    must(mapping_doc_parse(json_root(doc), &m, &e), &e);
    must(plan_compile(&m->resources[0], &o, &plan, &e), &e);
    struct contest c = {plan, programs_of(&m->resources[0]), page};
    size_t mapped = map_page(plan, page);
    if (mapped != PAGE || !c.libjq.complete) {
        fprintf(stderr, "mapping: %zu of %d items were mapped; libjq %s\n", mapped, PAGE,
                c.libjq.complete ? "compiles all" : "does not compile all");
        exit(1);
    }
    double ours, theirs;
    compete(&c, TURNS, TURN_SECONDS, &ours, &theirs);
    printf("mapping, %s of %zu bytes: %.0f entities/s; libjq per field %.0f/s, ratio %.1f\n", label,
           page.text.n / PAGE, PAGE / ours, PAGE / theirs, theirs / ours);
    jq_command(&m->resources[0], page, ours / PAGE);
    python_engine(&m->resources[0], page, ours / PAGE);
    free(c.libjq.fields);
    plan_free(plan);
    mapping_doc_free(m);
    json_unref(doc);
    buf_done(&b);
}

/* The corpus ------------------------------------------------------------------------------------------------------ */

/* The case's inputs again and again until they make a page. */
static struct page page_of_case(struct json inputs, struct buf *b)
{
    struct page p = {.items = 0};
    buf_init(b, BUF_NO_LIMIT);
    buf_addc(b, '[');
    while (p.items < PAGE && json_len(inputs)) {
        for (struct json_iter it = json_iter(inputs); json_next(&it); p.items++) {
            if (p.items)
                buf_addc(b, ',');
            json_write(b, it.val);
        }
    }
    buf_addc(b, ']');
    p.text = buf_str(b);
    return p;
}

struct tally {
    double *ratios;
    size_t n, slower, incomplete, crashed;
    double slowest;
    char *slowest_id;
};

/* In a process of its own: libjq 1.6 aborts on some expressions, and loops for ever on others. False: it did. */
static bool compete_apart(const struct contest *c, double *ret_ratio)
{
    int fd[2];
    if (pipe(fd) < 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        double ours, theirs;
        if (!freopen("/dev/null", "w", stderr)) /* its assertions */
            _exit(1);
        alarm(20);
        compete(c, 5, 0.004, &ours, &theirs);
        theirs /= ours;
        _exit(write(fd[1], &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
    }
    close(fd[1]);
    bool ok = pid > 0 && read(fd[0], ret_ratio, sizeof(*ret_ratio)) == (ssize_t)sizeof(*ret_ratio);
    close(fd[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return ok;
}

static void corpus_case(struct tally *t, struct json line)
{
    struct err e = {0};
    struct buf text, page_text;
    struct json_doc *doc = NULL;
    struct mapping_doc *m = NULL;
    struct plan *plan = NULL;
    struct plan_opts o = {.env_access = true};
    buf_init(&text, BUF_NO_LIMIT);
    buf_adds(&text, "{\"resources\":[");
    json_write(&text, json_get_c(line, "resource"));
    buf_adds(&text, "]}");
    must(json_parse(buf_str(&text), &doc, &e), &e);
    must(mapping_doc_parse(json_root(doc), &m, &e), &e);
    must(plan_compile(&m->resources[0], &o, &plan, &e), &e);
    struct contest c = {plan, programs_of(&m->resources[0]), page_of_case(json_get_c(line, "inputs"), &page_text)};
    double ratio;
    t->incomplete += !c.libjq.complete;
    if (compete_apart(&c, &ratio)) {
        struct str id = json_str(json_get_c(line, "id"));
        t->ratios[t->n++] = ratio;
        if (ratio < 1) {
            printf("  slower than libjq: %.*s, ratio %.2f\n", STR_FMT(id), ratio);
            t->slower++;
        }
        if (!t->slowest_id || ratio < t->slowest) {
            free(t->slowest_id);
            t->slowest_id = str_dup(id);
            t->slowest = ratio;
        }
    } else {
        t->crashed++;
    }
    free(c.libjq.fields);
    buf_done(&page_text);
    plan_free(plan);
    mapping_doc_free(m);
    json_unref(doc);
    buf_done(&text);
}

/* True if none is slower. */
static bool corpus(const char *path)
{
    char *line = NULL;
    size_t cap = 0, room = 0;
    ssize_t n;
    struct tally t = {0};
    FILE *f = fopen(path, "r");
    if (!f) {
        printf("mapping, corpus: left out: %s is absent\n", path);
        return true;
    }
    while ((n = getline(&line, &cap, f)) > 0) {
        struct err e = {0};
        struct json_doc *doc = NULL;
        must(json_parse((struct str){line, (size_t)n}, &doc, &e), &e);
        if (t.n == room)
            t.ratios = xrealloc(t.ratios, (room = room ? 2 * room : 256) * sizeof(*t.ratios));
        corpus_case(&t, json_root(doc));
        json_unref(doc);
    }
    fclose(f);
    free(line);
    if (t.n)
        printf("mapping, corpus: %zu mappings, slowest %.1f times libjq per field (%s), median %.1f, %zu slower; "
               "%zu that libjq does not compile wholly, %zu that it does not survive\n",
               t.n, t.slowest, t.slowest_id, median(t.ratios, t.n), t.slower, t.incomplete, t.crashed);
    free(t.ratios);
    free(t.slowest_id);
    return !t.slower;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    measure("10 plain paths, objects", small_mapping, small_item);
    measure("18 fields, 3 non-trivial, issues", issue_mapping, issue_item);
    bool ok = corpus(argc > 1 ? argv[1] : "../shared/corpus/mappings.jsonl");
    strmap_free(compiled);
    return ok ? 0 : 1;
}
