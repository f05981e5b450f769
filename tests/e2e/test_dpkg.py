#!/usr/bin/env python3
"""integrations/dpkg on a fixture, on changed copies of it, on broken files, and on this machine's own database."""
import os
import shutil
import subprocess
import unittest

import lib

FOLDER = os.path.join(lib.ROOT, "integrations", "dpkg")
FIXTURE = os.path.join(FOLDER, "tests", "fixtures", "status")
OWN = "/var/lib/dpkg/status"


def stanza(name, version="1.0", **fields):
    lines = {"Package": name, "Status": "install ok installed", "Maintainer": "M <m@example.org>",
             "Architecture": "all", "Version": version, **fields, "Description": f"what {name} is"}
    return "".join(f"{k}: {v}\n" for k, v in lines.items()) + "\n"


class Dpkg(lib.Case):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()
        self.database = os.path.join(self.folder, "status")

    def write(self, text):
        with open(self.database, "w", encoding="utf-8") as f:
            f.write(text)

    def sync(self, database=None, *args):
        env = lib.ocean_env(self.port.url, OCEAN__INTEGRATION__TYPE="dpkg", OCEAN__INTEGRATION__IDENTIFIER="machine",
                            OCEAN__INTEGRATION__CONFIG__DATABASE_PATH=database or self.database)
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", os.path.join(self.folder, "state"), *args, FOLDER]
        return lib.run_program(command, env, cwd=self.folder)

    def synced(self, database=None, *args):
        result = self.sync(database, *args)
        self.assertClean(result)
        return result

    def load_fixture(self):
        with open(FIXTURE, encoding="utf-8") as f:
            self.write(f.read())
        return self.synced()

    def test_packages(self):
        """dpkg: installed packages become entities; removed and half configured ones do not"""
        self.load_fixture()
        packages = self.port.entities("package")
        self.assertEqual(set(packages), {"base-files", "dpkg", "libc6", "libc6:i386", "libgcc-s1", "libgcc-s1:i386",
                                         "mawk", "report-tool", "tar"})
        self.assertEqual(packages["libc6"]["properties"], {
            "name": "libc6", "version": "2.36-9+deb12u7", "architecture": "amd64", "section": "libs",
            "maintainer": "GNU Libc Maintainers <debian-glibc@lists.debian.org>", "installedSize": 12985,
            "homepage": "https://www.gnu.org/software/libc/libc.html", "summary": "GNU C Library: Shared libraries",
            "description": "GNU C Library: Shared libraries\n\nContains the standard libraries.\n\n"
                           " * an indented line\n\nThe end.",
        })
        self.assertEqual(packages["report-tool"]["properties"]["maintainer"], "Jörg Meyer <joerg@example.org>")
        self.assertIsNone(packages["libgcc-s1"]["properties"]["homepage"], "no URL, so not one in the catalog")

    def test_relations(self):
        """dpkg: dependencies through alternatives, virtual packages, architectures and cycles"""
        self.load_fixture()
        depends = {i: p["relations"]["depends"] for i, p in self.port.entities("package").items()}
        self.assertEqual(depends, {
            "base-files": ["mawk"],                      # awk is virtual
            "dpkg": ["libc6", "tar"],
            "libc6": ["libgcc-s1"], "libgcc-s1": ["libc6"],  # a cycle
            "libc6:i386": ["libgcc-s1:i386"], "libgcc-s1:i386": ["libc6:i386"],
            "mawk": ["libc6"],
            "report-tool": ["mawk", "tar", "libc6", "base-files"],  # the first installed one, each once, never itself
            "tar": ["libc6"],
        })
        sources = {i: p["relations"]["source"] for i, p in self.port.entities("package").items()}
        self.assertEqual(sources["libc6:i386"], "glibc")
        self.assertEqual(sources["tar"], "tar")

    def test_sources(self):
        """dpkg: a source has the newest version of its packages, and their number"""
        self.load_fixture()
        sources = {i: (s["properties"]["version"], s["properties"]["binaryPackages"])
                   for i, s in self.port.entities("source").items()}
        self.assertEqual(sources, {
            "base-files": ("12.4+deb12u5", 1), "dpkg": ("1.21.22", 1), "glibc": ("2.36-9+deb12u7", 2),
            "gcc-12": ("12.2.0-14", 2), "mawk": ("1.3.4.20200120-3.1", 1), "report-tool": ("2:0.9~rc1-1", 1),
            "tar": ("1.34+dfsg-1.2+deb12u1", 1),
        })

    def test_versions(self):
        """dpkg: versions compare as dpkg compares them"""
        script = os.path.join(FOLDER, "tests", "version_test.lua")
        result = lib.run_program([lib.OCEAN_RUN, "--once", "--local", os.path.join(self.folder, "v.db"), "--state",
                                  os.path.join(self.folder, "v"), script], lib.clean_env(), cwd=self.folder)
        self.assertExit(result, 0)

    def test_difference(self):
        """dpkg: only what changed is written, what vanished is deleted, also across batches"""
        names = [f"p{i:04}" for i in range(1200)]
        text = {n: stanza(n, Depends="p0000") for n in names}
        text["p0000"] = stanza("p0000")
        self.write("".join(text.values()))
        first = self.synced()
        self.assertEqual(first.resource("package")["mapped"], 1200)
        self.assertEqual(len(self.port.entities("package")), 1200)

        since = self.port.mark()
        self.synced()
        self.assertEqual(self.port.writes(since), [])

        text["p0500"] = stanza("p0500", "2.0", Depends="p0000")
        del text["p0700"], text["p1199"]
        self.write("".join(text.values()))
        last = self.synced()
        for kind in "package", "source":
            counts = {k: last.resource(kind)[k] for k in ("created", "updated", "unchanged")}
            self.assertEqual(counts, {"created": 0, "updated": 1, "unchanged": 1197}, kind)
        self.assertEqual(last.summary["deleted"], 4)
        self.assertEqual(set(names) - set(self.port.entities("package")), {"p0700", "p1199"})
        self.assertEqual(self.port.entities("package")["p0500"]["properties"]["version"], "2.0")

    def test_broken(self):
        """dpkg: a file that is absent, cut off or something else is an error with its place; nothing is deleted"""
        self.load_fixture()
        before = set(self.port.entities("package"))
        with open(FIXTURE, encoding="utf-8") as f:
            whole = f.read()
        cases = (
            (whole[:whole.index("GNU version of the tar")], "status:128: the file ends inside the stanza"),
            (whole + "<html>\n", "status:139: neither a field nor a continuation line"),
            ("", "the file holds no package"),
            (whole.replace("Version: 1.21.22\n", ""), 'package "dpkg" is installed but has no field "version"'),
        )
        for text, message in cases:
            with self.subTest(message):
                self.write(text)
                result = self.sync()
                self.assertExit(result, 4)
                for kind in "package", "source":
                    self.assertIn(message, result.errors(kind))
                self.assertEqual(set(self.port.entities("package")), before)
        result = self.sync(os.path.join(self.folder, "absent"))
        self.assertExit(result, 4)
        self.assertIn("OCEAN__INTEGRATION__CONFIG__DATABASE_PATH", result.errors("package"))
        self.assertEqual(set(self.port.entities("package")), before)

    def test_old_encoding(self):
        """dpkg: a maintainer in Latin-1 arrives as UTF-8"""
        with open(self.database, "wb") as f:
            f.write(stanza("old").replace("M <m", "Jörg <m").encode("latin-1"))
        self.synced()
        self.assertEqual(self.port.entities("package")["old"]["properties"]["maintainer"], "Jörg <m@example.org>")

    @unittest.skipUnless(os.path.exists(OWN) and shutil.which("dpkg-query"), "no Debian machine")
    def test_own_database(self):
        """dpkg: this machine's database gives what dpkg-query lists"""
        self.synced(OWN)
        listed = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package} ${Version} ${source:Package}\n"],
            capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout.split("\n")
        native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True,
                                check=True).stdout.strip()
        wanted = {}
        for line in filter(None, listed):
            status, name, version, source = line.split(" ")
            if status in ("installed", "triggers-awaited", "triggers-pending"):
                wanted[name.removesuffix(":" + native).removesuffix(":all")] = (version, source)
        packages = self.port.entities("package")
        self.assertEqual({i: (p["properties"]["version"], p["relations"]["source"]) for i, p in packages.items()}, wanted)
        self.assertEqual(set(self.port.entities("source")), {source for _, source in wanted.values()})
        targets = {t for p in packages.values() for t in p["relations"]["depends"]}
        self.assertLessEqual(targets, set(packages))


if __name__ == "__main__":
    lib.main()
