#!/usr/bin/env python3
"""Differential fuzzer: expressions from a grammar over generated documents, native evaluator against jq 1.8.2.

    python3 -m venv /tmp/jqvenv && /tmp/jqvenv/bin/pip install jq==1.13.0
    /tmp/jqvenv/bin/python tests/corpus/diff_jq.py EVAL_BINARY [SECONDS] [SEED] [--libjq]

EVAL_BINARY is eval_lines. The oracle runs in processes of its own with TZ=UTC, a time limit and a memory limit. All
outputs are compared; of errors only that there is one, since their wording is not a contract. With --libjq the oracle is
the machine's libjq, first outputs only; LIBJQ_KNOWN says where its version may differ, and why.
"""
import json
import os
import random
import re
import resource
import select
import signal
import subprocess
import sys
import time

os.environ["TZ"] = "UTC"

KEYS = ["a", "b", "c", "id", "name", "x y"]
STRINGS = ['""', '"a"', '"ab"', '"a,b"', '"é€😀"', '"1.50"', '"x1y2"', '" t "', '"2015-03-05T23:51:47Z"']
NUMBERS = ["0", "1", "-1", "2", "3.5", "1.10", "1e2", "-0", "100000000000000000001", "0.00001", "1e17"]
VALUE0 = """type length not tostring tojson fromjson tonumber keys keys_unsorted to_entries from_entries reverse sort unique
min max add any all flatten floor ceil round sqrt abs fabs trunc ascii_downcase ascii_upcase explode implode trim ltrim
rtrim first last values nulls booleans numbers strings arrays objects scalars iterables paths empty recurse tostream
transpose utf8bytelength toboolean infinite nan isnan isinfinite isnormal todate gmtime mktime fromdate
@text @json @html @uri @csv @tsv @sh @base64 @base64d @urid combinations error""".split()
FORM1 = """map select map_values with_entries sort_by group_by unique_by min_by max_by any all recurse path paths del first last
isempty add walk pick INDEX""".split()
VALUE1 = """has contains inside startswith endswith ltrimstr rtrimstr trimstr split join index rindex indices test match
capture scan splits flatten range nth getpath delpaths IN error strftime strptime in bsearch""".split()
OPS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//"]
UPDATES = ["=", "|=", "+=", "-=", "*=", "//="]
REGEX = ['"a"', '"[a-z]+"', '"(?<x>a)?b"', '"^"', '""', '"\\\\d"', '"x?"', '"é|€"', '"(a)(b)?"']


def pick(r, items):
    return items[r.randrange(len(items))]


def literal(r):
    k = r.randrange(8)
    if k < 2:
        return pick(r, ["null", "true", "false"])
    return pick(r, NUMBERS) if k < 5 else pick(r, STRINGS)


def path(r, d):
    out = ""
    for _ in range(r.randrange(1, 4)):
        k = r.randrange(12)
        if k < 6:
            out += "." + pick(r, KEYS[:5])
        elif k == 6:
            out += (out and "[" or ".[") + str(r.randrange(-3, 4)) + "]"
        elif k == 7:
            out += (out and "[" or ".[") + "]"
        elif k == 8:
            out += (out and "[" or ".[") + pick(r, ["1:", ":2", "-2:", "0:1", ":-1", "1.5:"]) + "]"
        elif k == 9:
            out += '."x y"'
        elif k == 10:
            out += (out and "[" or ".[") + expr(r, d - 1) + "]"
        else:
            out += (out or ".a") and "?" if out else ".a?"
    return out


def expr(r, d, scope=()):
    if d <= 0:
        k = r.randrange(6)
        if k == 5 and scope:
            return "$" + pick(r, list(scope))
        return "." if k == 0 else literal(r) if k < 3 else path(r, 0)
    e = lambda: expr(r, d - 1 - r.randrange(2), scope)  # noqa: E731
    k = r.randrange(30)
    if k < 4:
        return path(r, d)
    if k < 7:
        return f"({e()} | {e()})"
    if k == 7:
        return f"({e()}, {e()})"
    if k < 11:
        return f"({e()} {pick(r, OPS)} {e()})"
    if k == 11:
        return f"[{e()}]"
    if k == 12:
        key = pick(r, [pick(r, KEYS[:5]), f"({e()})", f'"k\\({e()})"', '"x y"'])
        return "{" + f"{key}: {e()}, {pick(r, KEYS[:5])}: {e()}" + "}"
    if k == 13:
        return f'"s\\({e()})t\\({e()})"'
    if k == 14:
        return pick(r, [f"if {e()} then {e()} else {e()} end", f"if {e()} then {e()} end"])
    if k == 15:
        return pick(r, [f'try ({e()}) catch "caught"', f"({e()})?", f'(try error({e()}) catch "caught")'])
    if k == 16:
        v = pick(r, ["v", "w"])
        pat = pick(r, [f"${v}", f"[${v}]", "{a: $" + v + "}", "{$" + v + "}", f"[${v}] ?// ${v}"])
        return f"({e()} as {pat} | {expr(r, d - 1, scope + (v,))})"
    if k == 17:
        return f"(reduce {e()} as $v ({e()}; {expr(r, d - 1, scope + ('v',))}))"
    if k == 18:
        return f"(foreach {e()} as $v ({e()}; {expr(r, d - 1, scope + ('v',))}; {expr(r, d - 1, scope + ('v',))}))"
    if k == 19:
        return f"(label $f | {e()} | if {e()} then break $f else . end)"
    if k == 20:
        return f"(def f(g): {expr(r, d - 1, scope)} | g; f({e()}))"
    if k == 21:
        return f"({path(r, 1)} {pick(r, UPDATES)} {e()})"
    if k < 25:
        return f"({e()} | {pick(r, VALUE0)})"
    if k < 27:
        return f"({e()} | {pick(r, FORM1)}({e()}))"
    if k == 27:
        f = pick(r, VALUE1)
        arg = pick(r, REGEX) if f in ("test", "match", "capture", "scan", "splits") and r.randrange(8) else e()
        return f"({e()} | {f}({arg}))"
    if k == 28:
        return pick(r, [f"({e()} | sub({pick(r, REGEX)}; {e()}))", f'({e()} | gsub({pick(r, REGEX)}; "-"))',
                        f"limit({r.randrange(4)}; {e()})", f"first({e()})", f"-({e()})", f"({e()} | setpath({e()}; {e()}))"])
    return f"{pick(r, ['@json', '@html', '@uri', '@base64', '@text', '@sh'])} \"p\\({e()})\""


def document(r, d=3):
    k = r.randrange(12) if d else r.randrange(6)
    if k < 6:
        return literal(r)
    if k < 9:
        return "[" + ",".join(document(r, d - 1) for _ in range(r.randrange(4))) + "]"
    keys = r.sample(KEYS, r.randrange(5))
    return "{" + ",".join(json.dumps(x) + ":" + document(r, d - 1) for x in keys) + "}"


def oracle(text, doc):
    """All outputs as texts, then 'ERR' if it failed; None where it did not finish within its limits."""
    rd, wr = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(2)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        out = []
        try:
            program = jq.compile("((" + text + "\n)) | tojson")
        except ValueError:
            out = ["COMPILE"]
        else:
            try:
                for v in program.input_text(doc):
                    out.append(v)
                    if len(out) > 2000:
                        os._exit(1)
            except ValueError:
                out.append("ERR")
        os.write(wr, ("\x01".join(out) + "\x02").encode("utf8", "replace"))
        os._exit(0)
    os.close(wr)
    data = b""
    while True:
        ready, _, _ = select.select([rd], [], [], 5)
        chunk = os.read(rd, 65536) if ready else b""
        if not chunk:
            break
        data += chunk
        if len(data) > 60000:
            os.kill(pid, signal.SIGKILL)
            break
    os.close(rd)
    _, status = os.waitpid(pid, 0)
    return None if status or not data.endswith(b"\x02") else data[:-1].decode("utf8", "replace").split("\x01")


# The machine's libjq (1.6 on Debian 12) is the second oracle, for first outputs. What it knows to be different: a pattern in
# the expression, and why. Numbers of other than plain text are left out of its documents: it rounds and rewrites them.
PLAIN_NUMBERS = ["0", "1", "-1", "2", "3.5"]
LIBJQ_KNOWN = [(re.compile(pattern), reason) for pattern, reason in (
    (r"error\(", "error(null) is no error in 1.6"),
    (r"[lr]trimstr|trim", "1.6 lets other types through, and lacks the newer ones"),
    (r"sub\(|splits|split\(|test|match|capture|scan", "regular expressions of 1.6: empty matches and captures"),
    (r"label|break|limit|first|isempty|until|last|nth", "1.6 counts and stops generators differently"),
    (r"implode|explode|@|ascii|tojson|tostring|fromjson|toboolean|tonumber", "texts, formats and their errors were redone in 1.7 and 1.8"),
    (r"date|time|mktime", "dates of 1.6"),
    (r"paths|path|pick|getpath|setpath|delpaths|del|to_entries|walk|limit|tostream", "paths of 1.6: null, negative and missing steps"),
    (r"inside|contains|indices|index|has|IN\b|INDEX|in\(", "searches of 1.6: null bytes, empty texts, other types"),
    (r"[|+*/%-]?=|//=", "assignments of 1.6 stop at the first error"),
    (r"\?//|\?\?", "1.6 does not know these"),
    (r"reduce|foreach", "an empty update keeps the state in 1.6"),
    (r"\*|/|%|-|infinite|nan|floor|sqrt|abs|round|ceil|trunc|min|max|sort|unique|group|add|any|all|flatten|range|combinations|transpose",
     "arithmetic, order and collections of 1.6: nan, repeated texts, rounding, arguments"),
    (r"try|\?", "1.6 catches errors of what follows, too"),
)]


def libjq_first(process, text, doc):
    process.stdin.write(text + "\t" + doc + "\n")
    process.stdin.flush()
    return process.stdout.readline().rstrip("\n")


def as_value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def libjq_main(binary, seconds, seed):
    """Against the machine's libjq."""
    global NUMBERS
    NUMBERS = PLAIN_NUMBERS
    r = random.Random(seed)
    ours, theirs = (subprocess.Popen([binary, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf8",
                                     errors="replace", stderr=subprocess.DEVNULL) for args in ((), ("--libjq",)))
    end, n, bad, told = time.time() + seconds, 0, 0, {}
    while time.time() < end:
        text, doc = expr(r, r.randrange(1, 3)), document(r)
        a, b = libjq_first(ours, text, doc).split("\x01")[0], libjq_first(theirs, text, doc)
        n += 1
        if b in ("COMPILE", "LIMIT") or a == "LIMIT" or as_value(a) == as_value(b):
            continue
        reason = next((why for pattern, why in LIBJQ_KNOWN if pattern.search(text)), None)
        if reason:
            told[reason] = told.get(reason, 0) + 1
            continue
        bad += 1
        print(f"{text} << {doc}\n   libjq  {b}\n   native {a}", flush=True)
    for reason, times in sorted(told.items(), key=lambda x: -x[1]):
        print(f"  {times} times: {reason}")
    print(f"libjq, seed {seed}: {n} cases, {bad} differ without a known reason")
    return bad > 0


def main():
    binary, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    if "--libjq" in sys.argv:
        return libjq_main(binary, seconds, seed)
    import jq  # the Python package that carries jq 1.8.2 as a library
    globals()["jq"] = jq
    r = random.Random(seed)
    p = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf8", errors="replace")
    end, n, bad, skipped = time.time() + seconds, 0, 0, 0
    while time.time() < end:
        text, doc = expr(r, r.randrange(1, 5)), document(r)
        p.stdin.write(text + "\t" + doc + "\n")
        p.stdin.flush()
        line = p.stdout.readline()
        if not line:
            print(f"CRASH seed {seed}: {text} << {doc}")
            return 1
        ours = line.rstrip("\n").split("\x01")
        n += 1
        theirs = oracle(text, doc)
        if theirs is None or ours[-1] == "LIMIT":
            skipped += 1
            continue
        # jq folds comparisons of constants, too: such an object key is refused while compiling. Both map to null.
        if theirs == ["COMPILE"] and ours == ["ERR"]:
            skipped += 1
            continue
        if [x for x in ours if x] != [x for x in theirs if x]:
            bad += 1
            print(f"{text} << {doc}\n   jq     {theirs}\n   native {ours}", flush=True)
    p.stdin.close()
    print(f"seed {seed}: {n} cases, {bad} differ, {skipped} beyond the oracle's limits or ours")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
