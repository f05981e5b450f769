# Makes the second input of the demonstration from a status file, read twice:
#
#     awk -f demo.awk -v remove=N -v change=M -v plan=FILE STATUS STATUS >SECOND
#
# The first pass learns what depends on what, then chooses packages; the second copies the file without the removed
# ones and with "+demo" at the changed ones' versions. `plan` gets one line for each entity that this must delete
# (removed:package, removed:source) or write (changed:package, changed:source). It is computed from the file alone, not
# with the integration's code, so it checks that code too.

# Notes the names in a relationship field: "a (>= 1) | b:any, c".
function note(field, names,    pieces, n, i, name) {
    n = split(field, pieces, /[,|]/)
    for (i = 1; i <= n; i++) {
        name = pieces[i]
        gsub(/^[ \t]+/, "", name)
        gsub(/[^A-Za-z0-9+.-].*$/, "", name)
        if (name != "")
            names[name] = names[name] " " package
    }
}

function end_of_stanza() {
    if (package != "" && status ~ / (installed|triggers-awaited|triggers-pending)$/) {
        if (source == "")
            source = package
        split(source, parts, " ")
        order[++n_packages] = package
        source_of[package] = parts[1]
        stated[package] = (source ~ /\(/) # the source's version is written out
        is_essential[package] = essential
        binaries[parts[1]]++
        copies[package]++
        if (package == "dpkg")
            native = architecture
        architecture_of[package] = architecture
        note(depends, wanted)
        note(provides, provided)
        provides_of[package] = provides
    }
    package = status = source = essential = depends = provides = architecture = ""
}

# Nobody depends on it, neither by name nor on something it provides.
function is_leaf(p,    pieces, n, i, name) {
    if (p in wanted)
        return 0
    n = split(provides_of[p], pieces, /,/)
    for (i = 1; i <= n; i++) {
        name = pieces[i]
        gsub(/^[ \t]+/, "", name)
        gsub(/[^A-Za-z0-9+.-].*$/, "", name)
        if (name in wanted)
            return 0
    }
    return 1
}

# May take part: native, alone under its name, not vital, and not shown by the demonstration.
function is_free(p) {
    return copies[p] == 1 && is_essential[p] == "" && p != "dpkg" && p != "bash" && !touched[source_of[p]] &&
        (architecture_of[p] == "all" || architecture_of[p] == native)
}

function choose(    i, p, s, room, n, list, step) {
    room = int(n_packages / 20) # far from what would be held back
    if (remove > room)
        remove = room
    if (change > room)
        change = room
    for (i = 1; i <= n_packages; i++)
        if (is_free(order[i]) && is_leaf(order[i]))
            list[++n] = order[i]
    step = n > remove ? int(n / remove) : 1 # from all over the list
    for (i = 1; i <= n && n_removed < remove; i += step) {
        p = list[i]
        s = source_of[p]
        if (touched[s])
            continue
        removed[p] = touched[s] = 1
        n_removed++
        print "removed:package", p > plan
        print (binaries[s] == 1 ? "removed:source" : "changed:source"), s > plan
    }
    for (i = n = 0; i <= n_packages; i++)
        if (i && is_free(order[i]) && binaries[source_of[order[i]]] == 1)
            list[++n] = order[i]
    step = n > change ? int(n / change) : 1
    for (i = 1; i <= n && n_changed < change; i += step) {
        p = list[i]
        s = source_of[p]
        changed[p] = touched[s] = 1
        n_changed++
        print "changed:package", p > plan
        if (!stated[p])
            print "changed:source", s > plan
    }
    close(plan)
}

NR == FNR {
    if ($0 ~ /^[ \t]*$/) { end_of_stanza(); next }
    if ($0 ~ /^[ \t]/) next # continuation lines; relationship fields of the status file have none
    value = $0
    sub(/^[^:]*:[ \t]*/, "", value)
    if ($0 ~ /^Package:/) package = value
    else if ($0 ~ /^Status:/) status = value
    else if ($0 ~ /^Source:/) source = value
    else if ($0 ~ /^Essential:[ \t]*yes/) essential = "yes"
    else if ($0 ~ /^Architecture:/) architecture = value
    else if ($0 ~ /^(Pre-)?Depends:/) depends = depends "," value
    else if ($0 ~ /^Provides:/) provides = value
    next
}

FNR == 1 { choose() }
/^Package:/ { here = $2 }
/^Version:/ && changed[here] { $0 = $0 "+demo" }
!removed[here] { print }
