"""What README.md shows is what happens: the integration runs as printed, the commands exist, the tour is complete."""
import os
import re

import lib
from lib import main

README = os.path.join(lib.ROOT, "README.md")


def blocks(language):
    with open(README, encoding="utf-8") as f:
        return re.findall(rf"^```{language}\n(.*?)^```$", f.read(), re.M | re.S)


class Readme(lib.Case):
    def test_integration(self):
        """The integration of README.md runs as shown, with the commands shown"""
        scripts = [b for b in blocks("lua") if "on_resync" in b]
        self.assertTrue(scripts, "README.md shows no integration")
        with open(self.folder + "/inventory.lua", "w", encoding="utf-8") as f:
            f.write(scripts[0])
        commands = [line.split("#")[0].split() for b in blocks("sh") for line in b.splitlines()
                    if line.startswith("build/ocean-run") and " serve " not in line]  # a server does not end
        self.assertGreaterEqual(len(commands), 3)
        env = lib.clean_env()
        env.update({"XDG_STATE_HOME": self.folder + "/state", "XDG_DATA_HOME": self.folder + "/data"})
        results = []
        for words in commands:
            results.append(lib.run_program([os.path.join(lib.BUILD, "ocean-run"), *words[1:]], env, cwd=self.folder))
            self.assertExit(results[-1], 0)
        listed, shown = results[1].stdout, results[2].stdout
        self.assertRegex(listed, r"service\s+2\b")
        self.assertIn("https://pay.example.com", shown)

    def test_short(self):
        """The first integration has at most 30 lines"""
        self.assertLessEqual(len([b for b in blocks("lua") if "on_resync" in b][0].splitlines()), 30)

    def test_targets(self):
        """Every make target that README.md names exists"""
        with open(os.path.join(lib.ROOT, "Makefile"), encoding="utf-8") as f:
            makefile = f.read()
        with open(README, encoding="utf-8") as f:
            named = set(re.findall(r"`?make ([a-z]+)\b", f.read()))
        for target in named:
            self.assertRegex(makefile, rf"(?m)^{target}( |:)|^\w.* {target}:", f"make {target}")

    def test_folders(self):
        """Each folder of runtime/ opens with a README of a few lines"""
        for name in sorted(os.listdir(os.path.join(lib.ROOT, "runtime"))):
            path = os.path.join(lib.ROOT, "runtime", name, "README.md")
            self.assertTrue(os.path.exists(path), f"{path} is missing")


if __name__ == "__main__":
    main()
