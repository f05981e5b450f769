#!/bin/bash
# Style that a compiler does not check: which folder may include which, where a library's header may stand, functions that
# are not used here, and what clang-format, cppcheck and luacheck find where they are installed. Ends with 1 if anything is
# wrong.
set -u
cd "$(dirname "$0")/.."
BAD=0
complain() { echo "lint: $*"; BAD=1; }

# Who may include whom: design's arrows, only downwards.
declare -A MAY=(
    [base]="base" [json]="json base" [io]="io base" [store]="store json io base" [config]="config store json io base"
    [mapping]="mapping config json io base" [port]="port config store json io base"
    [sync]="sync port mapping config store json io base" [script]="script live listen sync port mapping config store json io base"
    [catalog]="catalog store json io base" [live]="live sync port mapping config store json io base"
    [listen]="listen sync port mapping config store json io base"
    [cli]="cli script catalog listen live sync port mapping config store json io base"
)
for file in runtime/*/*.[ch] runtime/*/*/*.[ch]; do
    folder=${file#runtime/}
    folder=${folder%%/*}
    for used in $(sed -n 's|^#include "\([a-z_]*\)/.*|\1|p' "$file" | sort -u); do
        [[ " ${MAY[$folder]-} " == *" $used "* ]] || complain "$file includes $used/, which $folder may not"
    done
done

# A library's header stands in one place.
header_in() {
    local header=$1 found
    shift
    found=$(grep -lE "^#include <($header)>" runtime -r --include='*.[ch]')
    for file in $found; do
        local ok=
        for place; do
            [[ $file == $place ]] && ok=1
        done
        [ -n "$ok" ] || complain "$file includes <$header>; that is for $*"
    done
}
header_in 'lua\.h|lauxlib\.h|lualib\.h' 'runtime/script/*'
header_in 'curl/curl\.h|microhttpd\.h|uv\.h' 'runtime/io/*'
header_in 'sqlite3\.h' 'runtime/store/*' 'runtime/catalog/*'
header_in 'jq\.h|jv\.h' 'runtime/mapping/jq*.c'
header_in 'yyjson\.h' 'runtime/json/*'
header_in 'yaml\.h' 'runtime/json/*'
header_in 'oniguruma\.h' 'runtime/base/regex.c'

# Functions with a better one beside them, and calls that have one home.
banned() {
    local pattern=$1 why=$2 except=${3:-^$}
    while IFS= read -r hit; do
        [[ $hit =~ $except ]] || complain "$hit: $why"
    done < <(grep -nE "(^|[^a-zA-Z0-9_.>])($pattern)\(" -r runtime --include='*.c' | grep -vE ':[0-9]+: *(/?\*|//)' |
        sed 's/^\([^:]*:[0-9]*\):.*/\1/')
}
banned 'strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof' 'use buf, snprintf or str_int64'
banned 'system|popen' 'no shell is started by the runtime'
banned 'lua_resume' 'only script/task.c resumes Lua' '^runtime/script/(task|coro)\.c'
banned 'lua_yieldk|lua_yield' 'only script/op.c and the hook in task.c yield' '^runtime/script/(op|task|coro|limit|api_core)\.c'

# Length of files, headers without a guard, leftovers.
for file in runtime/*/*.[ch] runtime/*/*/*.[ch]; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 800 ] || complain "$file has $lines lines; split it by concern"
    long=$(awk 'length($0) > 140 { print NR; exit }' "$file")
    [ -z "$long" ] || complain "$file:$long is longer than 140 columns"
    case $file in
    *.h) grep -q '^#pragma once' "$file" || complain "$file has no #pragma once" ;;
    esac
    head -c 2 "$file" | grep -q '/\*' || complain "$file does not open with a comment"
done
grep -nE '\b(TODO|FIXME|XXX)\b' -r runtime lua integrations tests Makefile --include='*' 2>/dev/null |
    grep -v '^runtime/base/mask' | while IFS= read -r hit; do echo "lint: $hit"; done | grep . && BAD=1
for folder in runtime/*/; do
    [ -e "$folder/README.md" ] || complain "$folder has no README.md"
done

# A header compiles alone.
flags="-D_GNU_SOURCE -Iruntime $(pkg-config --cflags lua5.4 libuv libcurl sqlite3 yaml-0.1 libmicrohttpd yyjson libcrypto)"
for file in runtime/*/*.h; do
    ${CC:-cc} -std=gnu11 -fsyntax-only $flags -x c "$file" 2>/tmp/lint.$$ || {
        complain "$file does not compile alone"
        head -3 /tmp/lint.$$
    }
done
rm -f /tmp/lint.$$

left_out=
if command -v clang-format >/dev/null && [ -e .clang-format ]; then
    for file in runtime/*/*.[ch] tests/unit/*/*.[ch] tests/bench/*.c; do
        [ -e "$file" ] || continue
        n=$(clang-format --dry-run "$file" 2>&1 | grep -c 'warning: code should be clang-formatted')
        [ "$n" = 0 ] || echo "lint: note: $file: clang-format would change $n places"
    done
else
    left_out="$left_out clang-format"
fi
if command -v cppcheck >/dev/null; then
    cppcheck --quiet --std=c11 --language=c -Iruntime -D_GNU_SOURCE --inline-suppr --error-exitcode=1 \
        --template="lint: {file}:{line}: {id}: {message}" --suppressions-list=.ci/cppcheck.txt \
        --enable=warning,portability --suppress=missingIncludeSystem --suppress=nullPointerOutOfMemory \
        -j "$(nproc)" runtime || BAD=1
else
    left_out="$left_out cppcheck"
fi
if command -v luacheck >/dev/null; then
    luacheck --quiet --std lua54 --globals ocean -- lua/ocean integrations || BAD=1
elif command -v luac5.4 >/dev/null; then
    for file in lua/ocean/*.lua integrations/*/*.lua; do
        luac5.4 -p "$file" || BAD=1
    done
    left_out="$left_out luacheck"
else
    left_out="$left_out luacheck"
fi
[ -z "$left_out" ] || echo "lint: left out, not installed:$left_out"
[ $BAD = 0 ] && echo "lint: nothing to complain about"
exit $BAD
