#!/bin/bash
# The demonstration: this machine's software inventory in a catalog, then the difference of a changed database.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
RUN=build/ocean-run
DATABASE=${1:-/var/lib/dpkg/status}
[ -r "$DATABASE" ] || { echo "demo: no package database at $DATABASE; give another one: $0 FILE" >&2; exit 1; }

T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
head_line() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
sync() {
    printf '$ ocean-run --once --local catalog.db integrations/dpkg\n'
    env -u OCEAN__PORT__CLIENT_ID -u OCEAN__PORT__CLIENT_SECRET OCEAN__INTEGRATION__CONFIG__DATABASE_PATH="$1" \
        $RUN --once --local "$T/catalog.db" --state "$T/state" integrations/dpkg
}
catalog() {
    printf '$ ocean-run catalog %s --local catalog.db\n' "$*"
    $RUN catalog "$@" --local "$T/catalog.db"
}

head_line "1. Fill an empty catalog with the packages installed on this machine"
cp "$DATABASE" "$T/status"
sync "$T/status"

head_line "2. What is in it now"
catalog list
for name in bash dpkg; do
    grep -q "^Package: $name\$" "$T/status" && break
done
catalog show package "$name"

# Packages that nothing depends on can go without touching another one. Of these five go, and the versions of five others
# change; every other paragraph stays as it is.
awk -v gone="$T/gone" -v changed="$T/changed" '
    BEGIN { RS = ""; ORS = "\n\n"; FS = "\n" }
    FNR == 1 { pass++ }
    pass == 1 {
        for (i = 1; i <= NF; i++)
            if ($i ~ /^(Pre-)?Depends:/) {
                text = $i
                sub(/^[^:]*:/, "", text)
                n = split(text, list, /[,|]/)
                for (k = 1; k <= n; k++) {
                    gsub(/^ +| *[ (:].*$/, "", list[k])
                    needed[list[k]] = 1
                }
            }
        next
    }
    {
        name = $1
        sub(/^Package: /, "", name)
        leaf = $0 ~ /\nStatus: install ok installed/ && $0 !~ /\nEssential: yes/ && $0 !~ /\nProvides:/ && !(name in needed)
        if (leaf && ngone < 5) {
            ngone++
            print name > gone
            next
        }
        if (leaf && nchanged < 5 && match($0, /\nVersion: [^\n]*/)) {
            nchanged++
            print name > changed
            $0 = substr($0, 1, RSTART + RLENGTH - 1) "+demo" substr($0, RSTART + RLENGTH)
        }
        print
    }' "$T/status" "$T/status" >"$T/status2"
touch "$T/gone" "$T/changed"

head_line "3. Change a copy of the package database"
echo "removed:        $(sort -u "$T/gone" | tr '\n' ' ')"
echo "version raised: $(sort -u "$T/changed" | tr '\n' ' ')"

head_line "4. Run again: only the difference is written, and what vanished is deleted"
sync "$T/status2"
catalog list
one=$(head -1 "$T/changed")
[ -z "$one" ] || catalog show package "$one"
one=$(head -1 "$T/gone")
if [ -n "$one" ]; then
    catalog show package "$one" || true
fi

head_line "5. Once more, unchanged: nothing is written"
sync "$T/status2"
