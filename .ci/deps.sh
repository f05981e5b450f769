#!/bin/bash
# Installs the Debian packages ocean-run is built and tested with. Debian 12 and 13.
#
#   deps.sh build     what `make` and `make demo` need
#   deps.sh test      that, and what `make test` needs besides
#   deps.sh --check build|test    names what is missing and installs nothing; exit 1 if anything is
#
# Only missing packages are asked for, so nothing else on the machine is upgraded. Without root it asks before it uses
# sudo; without a terminal to ask on, it prints the exact line and stops. No service is left running or enabled by the
# installation. On Debian 12, libyyjson comes from Debian 13's archive: downloaded with lists and cache of its own, in a
# temporary folder that is removed, signatures checked by apt against Debian's keyring, from the mirror this machine uses
# already. It leaves neither a package source nor a pin behind.
set -eu
export LC_ALL=C

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
BUILD="gcc libc6-dev make pkgconf liblua5.4-dev lua-cjson libuv1-dev libcurl4-openssl-dev libsqlite3-dev libyaml-dev
       libmicrohttpd-dev libjq-dev libonig-dev libssl-dev libyyjson-dev"
TEST="libcmocka-dev python3 openssl rabbitmq-server"
# Tests that want these say aloud when they are not there; that they cannot be had stops nothing.
OPTIONAL="chromium chromium-driver"
# Services that packages of the list bring along and nobody asked to have.
SERVICES="rabbitmq-server.service epmd.service epmd.socket"

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

# A program that is there by other means (a compiler built by hand, python from elsewhere) is good enough.
program_of() {
    case $1 in
    gcc) echo cc ;;
    make) echo make ;;
    pkgconf) echo pkg-config ;;
    python3) echo python3 ;;
    openssl) echo openssl ;;
    chromium) echo chromium ;;
    chromium-driver) echo chromedriver ;;
    esac
}

# Where there is no dpkg, a library is known by pkg-config or by its header.
present_without_dpkg() {
    case $1 in
    liblua5.4-dev) pkg-config --exists lua5.4 ;;
    libuv1-dev) pkg-config --exists libuv ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl ;;
    libsqlite3-dev) pkg-config --exists sqlite3 ;;
    libyaml-dev) pkg-config --exists yaml-0.1 ;;
    libmicrohttpd-dev) pkg-config --exists libmicrohttpd ;;
    libssl-dev) pkg-config --exists libcrypto ;;
    libyyjson-dev) pkg-config --exists yyjson ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    libjq-dev) echo '#include <jq.h>' | cc -E - >/dev/null 2>&1 ;;
    libonig-dev) echo '#include <oniguruma.h>' | cc -E - >/dev/null 2>&1 ;;
    rabbitmq-server) command -v rabbitmq-server >/dev/null || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ;;
    *) true ;;
    esac
}

# Sets MISSING to the packages of its arguments that are not there.
find_missing() {
    MISSING=
    local have="" p prog
    if command -v dpkg-query >/dev/null; then
        have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p')
    fi
    for p; do
        prog=$(program_of "$p")
        if [ -n "$prog" ] && command -v "$prog" >/dev/null; then
            continue
        fi
        if command -v dpkg-query >/dev/null; then
            [[ $'\n'$have$'\n' == *$'\n'$p$'\n'* ]] && continue
        elif present_without_dpkg "$p" 2>/dev/null; then
            continue
        fi
        MISSING="$MISSING $p"
    done
    MISSING=${MISSING# }
}

# Debian 12 has no libyyjson of its own.
needs_newer_yyjson() {
    [[ " $MISSING " == *" libyyjson-dev "* ]] && [ "$(. /etc/os-release; echo "${ID:-}${VERSION_ID:-}")" = debian12 ]
}

without_yyjson() { echo " $MISSING " | sed 's/ libyyjson-dev / /; s/^ *//; s/ *$//'; }

print_way_out() {
    local prefix=$1 rest=$MISSING
    if needs_newer_yyjson; then
        rest=$(without_yyjson)
        say "libyyjson0 and libyyjson-dev are not in Debian 12; as root, \`$0 build\` takes them from Debian 13's archive"
    fi
    [ -z "$rest" ] || echo "${prefix}apt-get update && ${prefix}apt-get install -y --no-install-recommends $rest"
}

become_root() {
    [ "$(id -u)" = 0 ] && return
    say "missing: $MISSING"
    if ! command -v sudo >/dev/null; then
        say "not root, and there is no sudo; as root, run:"
        print_way_out ""
        exit 1
    fi
    if [ ! -t 0 ] || [ ! -t 2 ]; then
        say "not root, and no terminal to ask on; run:"
        print_way_out "sudo "
        exit 1
    fi
    printf 'deps: install them with sudo? [y/N] ' >&2
    local answer
    read -r answer || answer=
    case $answer in
    [yY]*) exec sudo -- "$0" "$WHAT" ;;
    esac
    say "nothing installed; to do it yourself, run:"
    print_way_out "sudo "
    exit 1
}

# No service starts while the packages are installed: invoke-rc.d asks policy-rc.d. The old one comes back, and what it
# takes to restore it is on disk before it is touched.
POLICY=/usr/sbin/policy-rc.d
T=
cleanup() {
    if [ -n "$T" ]; then
        if [ -e "$T/policy.saved" ]; then
            cp -pP "$T/policy.saved" "$POLICY"
        elif [ -e "$T/policy.none" ]; then
            rm -f "$POLICY"
        fi
        rm -rf "$T"
    fi
}

forbid_services() {
    if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
        cp -pP "$POLICY" "$T/policy.saved"
    else
        : >"$T/policy.none"
    fi
    rm -f "$POLICY"
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

# Names of SERVICES that are there now.
services_present() {
    local s
    for s in $SERVICES; do
        for d in /lib/systemd/system /usr/lib/systemd/system; do
            [ -e "$d/$s" ] && { echo "$s"; break; }
        done
    done
}

# What this installation brought must not start with the machine either.
disable_new_services() {
    local s
    command -v systemctl >/dev/null || return 0
    for s in $(services_present); do
        [[ " $1 " == *" $s "* ]] || systemctl disable "$s" >/dev/null 2>&1 || true
    done
}

apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" >&2; }

update_lists() {
    apt update || die "apt-get update failed; are the package sources of this machine reachable?"
}

# The mirror of Debian's main archive that this machine uses.
mirror() {
    apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)' 'Identifier: Packages' 2>/dev/null |
        awk -F'|' '$2 == "Debian" && $3 == "Debian" && $4 == "main" && $1 ~ /^https?:/ { print $1; exit }'
}

install_yyjson() {
    local url opts lib dev
    url=$(mirror)
    url=${url:-http://deb.debian.org/debian/}
    [ -r "$KEYRING" ] || apt install --no-install-recommends debian-archive-keyring
    say "libyyjson from Debian 13 at $url (private lists, nothing stays behind)"
    mkdir -p "$T/yyjson/lists/partial" "$T/yyjson/archives/partial" "$T/yyjson/deb"
    echo "deb [signed-by=$KEYRING] $url trixie main" >"$T/yyjson/sources.list"
    chmod 755 "$T" "$T/yyjson"
    if id _apt >/dev/null 2>&1; then
        chown _apt "$T/yyjson/lists/partial" "$T/yyjson/archives/partial" "$T/yyjson/deb"
    fi
    opts=(-o "Dir::Etc::SourceList=$T/yyjson/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$T/yyjson/lists" -o "Dir::Cache=$T/yyjson" -o "Dir::Cache::Archives=$T/yyjson/archives"
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o APT::Default-Release=
        -o Acquire::Languages=none -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false)
    apt "${opts[@]}" update || die "cannot read Debian 13's package list at $url"
    (cd "$T/yyjson/deb" && apt "${opts[@]}" download libyyjson0 libyyjson-dev) ||
        die "cannot download libyyjson0 and libyyjson-dev from $url"
    lib=$(echo "$T"/yyjson/deb/libyyjson0_*.deb)
    dev=$(echo "$T"/yyjson/deb/libyyjson-dev_*.deb)
    dpkg -i "$lib" "$dev" >&2 || die "dpkg refused libyyjson; see above"
}

install_missing() {
    local rest services
    T=$(mktemp -d /tmp/ocean-deps.XXXXXX)
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    services=$(services_present | tr '\n' ' ')
    # A bare image has no lists; after an install that fails on old ones they are read anew.
    ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || update_lists
    rest=$MISSING
    needs_newer_yyjson && rest=$(without_yyjson)
    forbid_services
    if [ -n "$rest" ]; then
        say "installing: $rest"
        if ! apt install --no-install-recommends $rest; then
            update_lists
            apt install --no-install-recommends $rest || {
                say "the installation failed; the packages are:"
                print_way_out ""
                exit 1
            }
        fi
    fi
    if needs_newer_yyjson; then
        install_yyjson
    fi
    disable_new_services "$services"
}

CHECK=
if [ "${1:-}" = --check ]; then
    CHECK=1
    shift
fi
WHAT=${1:-test}
case $WHAT in
build) LIST=$BUILD ;;
test) LIST="$BUILD $TEST" ;;
*) die "usage: $0 [--check] build|test" ;;
esac

# Installs what tests can do without, where that needs no question.
install_optional() {
    [ "$WHAT" = test ] && [ -z "$CHECK" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    find_missing $OPTIONAL
    [ -n "$MISSING" ] || return 0
    say "installing for the tests of the web page: $MISSING"
    apt install --no-install-recommends $MISSING || say "left out: $MISSING cannot be installed; the page is not tested in a browser"
}

find_missing $LIST
[ -n "$MISSING" ] || { install_optional; exit 0; }
if [ -n "$CHECK" ]; then
    say "missing: $MISSING"
    say "\`make deps\` installs them"
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    say "missing: $MISSING"
    die "this is no Debian (no apt-get): install what corresponds to these packages"
fi
become_root
install_missing
find_missing $LIST
[ -z "$MISSING" ] || die "still missing after the installation: $MISSING"
install_optional
say "everything is there"
