"""The dpkg integration on databases made for it, and on this machine's own."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tests/e2e"))
import lib  # noqa: E402

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN = "/var/lib/dpkg/status"


def package(name, version="1.0-1", arch="amd64", status="install ok installed", **fields):
    lines = [f"Package: {name}", f"Status: {status}", "Priority: optional", "Section: libs", "Installed-Size: 12",
             "Maintainer: Jane Doe <jane@example.com>", f"Architecture: {arch}", f"Version: {version}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
    return "\n".join(lines + ["Description: short text", " A longer text: with a colon.", " .", " And a list."]) + "\n\n"


SMALL = "".join([
    package("dpkg", "1.21.22", Essential="yes", Homepage="https://wiki.debian.org/Teams/Dpkg", Pre_Depends="libc6 (>= 2.15)"),
    package("libc6", "2.36-9", Source="glibc", Depends="libgcc-s1"),
    package("libgcc-s1", "12.2.0-14", Source="gcc-12 (12.2.0-14)", Depends="libc6:any, gcc-12-base (= 12.2.0-14)"),
    package("libc6", "2.36-9", arch="i386", Source="glibc"),
    package("g++-12", "12.2.0-14", Source="gcc-12", Depends="awk, editor | mail-reader, missing | libc6 (>= 2)",
            Homepage="not a url"),
    package("mawk", "1.3.4", Provides="awk (= 1)"),
    package("removed", status="deinstall ok config-files"),
    package("half", status="install ok unpacked"),
])


class Dpkg(lib.Case):
    def sync(self, port, database, *args, **env):
        path = database
        if "\n" in database:
            path = os.path.join(self.folder, "status")
            with open(path, "w", encoding="utf-8") as f:
                f.write(database)
        found = lib.ocean_env(port.url, OCEAN__INTEGRATION__IDENTIFIER="my-machine",
                              OCEAN__INTEGRATION__CONFIG__DATABASE_PATH=path, **env)
        del found["OCEAN__INTEGRATION__TYPE"]
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", self.folder + "/state", *args, FOLDER]
        return lib.run_program(command, found, cwd=self.folder)

    def test_small(self):
        """A small database: identifiers, sources, dependencies through alternatives, virtual packages and architectures"""
        port = self.port_local()
        result = self.sync(port, SMALL)
        self.assertClean(result)
        packages = port.entities("package")
        self.assertEqual(sorted(packages), ["dpkg", "g++-12", "libc6", "libc6:i386", "libgcc-s1", "mawk"])
        self.assertEqual({k: p["relations"]["depends"] for k, p in packages.items()}, {
            "dpkg": ["libc6"], "g++-12": ["mawk", "libc6"], "libc6": ["libgcc-s1"], "libc6:i386": [],
            "libgcc-s1": ["libc6"], "mawk": []})
        self.assertEqual({k: p["relations"]["source"] for k, p in packages.items()}, {
            "dpkg": "dpkg", "g++-12": "gcc-12", "libc6": "glibc", "libc6:i386": "glibc", "libgcc-s1": "gcc-12",
            "mawk": "mawk"})
        self.assertEqual(packages["dpkg"]["title"], "dpkg 1.21.22")
        self.assertEqual(packages["dpkg"]["properties"], {
            "version": "1.21.22", "architecture": "amd64", "section": "libs", "priority": "optional", "essential": True,
            "maintainer": "Jane Doe <jane@example.com>", "installedSize": 12,
            "homepage": "https://wiki.debian.org/Teams/Dpkg", "description": "short text"})
        self.assertIsNone(packages["g++-12"]["properties"]["homepage"])
        sources = port.entities("source")
        self.assertEqual(sorted(sources), ["dpkg", "gcc-12", "glibc", "mawk"])
        self.assertEqual(sources["gcc-12"]["properties"]["versions"], ["12.2.0-14"])
        self.assertEqual(sources["glibc"]["properties"]["packages"], 2)

    def test_own_database(self):
        """This machine's database: as many packages as dpkg lists; a second run writes nothing"""
        if not os.path.exists(OWN):
            self.skipTest(f"{OWN} is absent")
        port = self.port_local()
        result = self.sync(port, OWN)
        self.assertClean(result)
        listed = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Status} ${Version}\n"],
                                capture_output=True, text=True, check=True).stdout.splitlines()
        installed = [l.split() for l in listed if l.split()[1] == "installed"]
        packages = port.entities("package")
        self.assertEqual(len(packages), len(installed))
        self.assertEqual(sorted(p["properties"]["version"] for p in packages.values()), sorted(i[2] for i in installed))
        dangling = {d for p in packages.values() for d in p["relations"]["depends"]} - set(packages)
        self.assertEqual(dangling, set())
        self.assertEqual({p["relations"]["source"] for p in packages.values()}, set(port.entities("source")))
        mark = port.mark()
        again = self.sync(port, OWN)
        self.assertClean(again)
        self.assertEqual(port.writes(mark), [], again)
        self.assertEqual(again.resource("package")["unchanged"], len(installed))

    def test_difference(self):
        """Packages that go and change: only the difference is written, what vanished is deleted"""
        port = self.port_local()
        many = SMALL + "".join(package(f"lib{i}", Depends="libc6") for i in range(40))
        self.assertClean(self.sync(port, many))
        changed = re.sub(r"(Package: lib7\n(?:.*\n)*?Version: )1.0-1", r"\g<1>1.0-2", many)
        changed = changed.replace(package("lib9", Depends="libc6"), "").replace(package("lib11", Depends="libc6"), "")
        result = self.sync(port, changed)
        self.assertClean(result)
        mine = result.resource("package")
        self.assertEqual((mine["created"], mine["updated"], mine["unchanged"]), (0, 1, 43), result)
        self.assertEqual(result.summary["deleted"], 4)  # two packages and their two sources
        self.assertEqual(port.entities("package")["lib7"]["properties"]["version"], "1.0-2")
        self.assertNotIn("lib9", port.entities("package"))
        self.assertNotIn("lib9", port.entities("source"))

    def test_prefix(self):
        """A prefix keeps machines apart"""
        port = self.port_local()
        self.assertClean(self.sync(port, SMALL, OCEAN__INTEGRATION__CONFIG__PREFIX="web1/"))
        self.assertIn("web1/libc6:i386", port.entities("package"))
        self.assertEqual(port.entities("package")["web1/dpkg"]["relations"],
                         {"source": "web1/dpkg", "depends": ["web1/libc6"]})

    def test_bad_databases(self):
        """No file, no package, a damaged line: the message names the place, nothing is deleted"""
        port = self.port_local()
        self.assertClean(self.sync(port, SMALL))
        for database, text in (("/nowhere/status", "DATABASE_PATH"), ("Package: x\n", "no installed package"),
                               (SMALL + "garbage\n", "status:")):
            with self.subTest(text):
                result = self.sync(port, database)
                self.assertExit(result, 4)
                self.assertIn(text, result.errors("package"))
                self.assertEqual(len(port.entities("package")), 6)


if __name__ == "__main__":
    lib.main()
