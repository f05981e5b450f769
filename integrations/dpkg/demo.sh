#!/bin/bash
# Demonstration on real input: fills a catalog with this machine's software inventory, runs again on the same input, then
# on a second one with some packages gone and some changed, and checks that only the difference was written.
#
#     integrations/dpkg/demo.sh [STATUS]
#
# Run after the build; needs no network and no account, and changes nothing on the machine. Exit 0 when what the second
# input should have caused is what happened.
set -euo pipefail
export LC_ALL=C

STATUS=$(realpath "${1:-/var/lib/dpkg/status}")
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
REMOVE=10 # packages nobody depends on that vanish
CHANGE=10 # packages that get another version

die() { echo "demo: $*" >&2; exit 1; }
[ -x "$BUILD/ocean-run" ] || die "$BUILD/ocean-run is absent: run make first"
[ -r "$STATUS" ] || die "$STATUS cannot be read: give the path of a dpkg status file as argument"

DIR=$BUILD/demo # stays, so that the page can show it
rm -rf "$DIR"
mkdir -p "$DIR"
# Settings meant for other runs stay out of this one.
for name in $(compgen -e); do
    case $name in OCEAN* | APPLICATION__*) unset "$name" ;; esac
done
export OCEAN_LOG=sync.mapping=error # many packages have no home page, which is no news here

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi
headline() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
say() { printf '%s$ %s%s\n' "$BOLD" "$*" "$PLAIN"; }
show() { say "$@"; "$@"; }

# One resync of a database: on the screen as people see it, or with a second argument its summary object in that file.
sync() {
    local database=$1 summary=${2:-}
    local command=("$BUILD/ocean-run" --once --local "$DIR/catalog.db" --state "$DIR/state" integrations/dpkg)
    export OCEAN__INTEGRATION__CONFIG__DATABASE_PATH=$database
    say "export OCEAN__INTEGRATION__CONFIG__DATABASE_PATH=$database"
    if [ -z "$summary" ]; then
        show "${command[@]}" || die "the resync ended with exit code $?"
    else
        say "${command[@]}" --json
        "${command[@]}" --json >"$summary" || die "the resync ended with exit code $?"
    fi
}

# Sum of a counter over the resources of a summary.
total() {
    { grep -o "\"$2\":[0-9]*" "$1" || true; } | awk -F: '{ n += $2 } END { print n + 0 }'
}

outcome() {
    printf 'created %d, updated %d, unchanged %d, deleted %d\n' "$(total "$1" created)" "$(total "$1" updated)" \
        "$(total "$1" unchanged)" "$(total "$1" deleted)"
}

FAILED=0
# expect SUMMARY COUNTER NUMBER
expect() {
    local got
    got=$(total "$1" "$2")
    if [ "$got" -ne "$3" ]; then
        echo "demo: $2: expected $3, got $got" >&2
        FAILED=1
    fi
}

headline "The software inventory of this machine, into an empty catalog"
sync "$STATUS"
echo "(a package that others depend on is created as their target first and filled in when its turn comes: it counts as updated)"
show "$BUILD/ocean-run" catalog list --local "$DIR/catalog.db"
name=bash
grep -q "^Package: $name\$" "$STATUS" || name=dpkg
show "$BUILD/ocean-run" catalog show package $name --local "$DIR/catalog.db"

headline "The same input again: nothing is written"
sync "$STATUS" "$DIR/again.json"
outcome "$DIR/again.json"
for counter in created updated deleted; do expect "$DIR/again.json" $counter 0; done

headline "A second input: some packages are gone, some have another version"
awk -f integrations/dpkg/demo.awk -v "remove=$REMOVE" -v "change=$CHANGE" -v "plan=$DIR/plan" "$STATUS" "$STATUS" \
    >"$DIR/second.status"
count() { awk -v "what=$1" '$1 == what' "$DIR/plan" | wc -l; }
for what in removed:package removed:source changed:package changed:source; do
    printf '%-16s %s\n' "$what" "$(awk -v "what=$what" '$1 == what { printf "%s ", $2 }' "$DIR/plan")"
done
changed=$(($(count changed:package) + $(count changed:source)))
vanished=$(($(count removed:package) + $(count removed:source)))
[ "$changed" -gt 0 ] && [ "$vanished" -gt 0 ] || die "$STATUS holds no package that could be changed and removed"

sync "$DIR/second.status" "$DIR/second.json"
outcome "$DIR/second.json"
expect "$DIR/second.json" created 0
expect "$DIR/second.json" updated "$changed"
expect "$DIR/second.json" deleted "$vanished"
gone=$(awk '$1 == "removed:package" { print $2; exit }' "$DIR/plan")
if "$BUILD/ocean-run" catalog show package "$gone" --local "$DIR/catalog.db" >/dev/null 2>&1; then
    echo "demo: package $gone is still in the catalog" >&2
    FAILED=1
fi
show "$BUILD/ocean-run" catalog list --local "$DIR/catalog.db"

[ "$FAILED" -eq 0 ] || die "the catalog is not what the input says"
headline "Only the difference was written: $changed changed and updated, $vanished vanished and deleted"
headline "Look at it in a browser"
echo "  $BUILD/ocean-run catalog serve --local $DIR/catalog.db"
echo "and open http://127.0.0.1:5555/: what is in it, what the last run changed, who depends on whom, and a mapping playground."
