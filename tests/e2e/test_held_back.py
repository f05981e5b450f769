"""Kinds that are empty or shrink suddenly are held back until accepted (exit 5)."""
from lib import Case, Reply, blueprint, list_handler, main, resource


def items(n):
    return [{"id": f"A-{i}", "name": f"Item {i}", "u": "x"} for i in range(1, n + 1)]


class Empty(Case):
    def served(self, *replies):
        """An integration whose kind comes from a third party, which gives these replies, one a run."""
        third = self.third_party().on("/items", *replies)
        return self.integration(f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                                'ocean.on_resync("issue", function()\n'
                                '  local res = api:get("/items", { ignore_status = { 403 } })\n'
                                '  return res.status == 200 and res:json() or ocean.array {}\nend)\n')

    def test_empty_answer(self):
        """An empty answer is held back once, and believed when it comes again"""
        port = self.port_local()
        mine = self.served(items(3), [], [])
        self.assertClean(self.ocean(mine, port))
        first = self.ocean(mine, port)
        self.assertExit(first, 5)
        self.assertEqual((first.summary["held_back"], first.summary["deleted"]), (3, 0))
        self.assertSays(first, "--allow-empty issue")
        self.assertEqual(len(port.entities("issue")), 3)
        self.assertEqual(port.integration()["resyncState"]["status"], "completed")
        second = self.ocean(mine, port)
        self.assertClean(second)
        self.assertEqual(second.summary["deleted"], 3)
        self.assertEqual(port.entities("issue"), {})

    def test_empty_between(self):
        """A full answer in between starts the count anew"""
        port = self.port_local()
        mine = self.served(items(3), [], items(3), [])
        codes = [self.ocean(mine, port).code for _ in range(4)]
        self.assertEqual(codes, [0, 5, 0, 5])
        self.assertEqual(len(port.entities("issue")), 3)

    def test_ignored_status_is_no_evidence(self):
        """A 403 turned into an empty list never deletes by itself"""
        port = self.port_local()
        mine = self.served(items(3), Reply(403, "{}"))
        codes = [self.ocean(mine, port).code for _ in range(4)]
        self.assertEqual(codes, [0, 5, 5, 5])
        self.assertEqual(len(port.entities("issue")), 3)

    def test_nothing_handed_over(self):
        """A handler that hands over nothing at all never deletes by itself; --allow-empty releases it"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", items(3)))
        self.assertClean(self.ocean(mine, port))
        mine.rewrite('ocean.on_resync("issue", function() end)\n')
        codes = [self.ocean(mine, port).code for _ in range(3)]
        self.assertEqual(codes, [5, 5, 5])
        self.assertEqual(len(port.entities("issue")), 3)
        result = self.ocean(mine, port, "--allow-empty", "issue")
        self.assertClean(result)
        self.assertEqual(result.summary["deleted"], 3)

    def test_explicit_empty_list(self):
        """Without any request an explicit empty list counts, in two runs in a row"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", items(3)))
        self.assertClean(self.ocean(mine, port))
        mine.rewrite('ocean.on_resync("issue", function() return {} end)\n')
        codes = [self.ocean(mine, port).code for _ in range(2)]
        self.assertEqual(codes, [5, 0])
        self.assertEqual(port.entities("issue"), {})

    def test_first_run_on_a_full_catalog(self):
        """A first run with an empty state folder holds back as well, and says that it is a first run"""
        port = self.port_local()
        self.assertClean(self.ocean(self.integration(list_handler("issue", items(3))), port))
        result = self.ocean(self.integration('ocean.on_resync("issue", function() return {} end)\n'), port)
        self.assertExit(result, 5)
        self.assertEqual(len(port.entities("issue")), 3)
        self.assertRegex(result.stderr, "(?i)first run")


class Shrunken(Case):
    def shrink(self, before, after, *args, mapping=None, **env):
        port = self.port_local()
        mine = self.integration(list_handler("issue", items(before)), mapping=mapping)
        self.assertClean(self.ocean(mine, port))
        mine.rewrite(list_handler("issue", items(after)))
        return port, self.ocean(mine, port, *args, **env)

    def test_too_much(self):
        """30 entities that become 20: held back, the way out is named"""
        port, result = self.shrink(30, 20)
        self.assertExit(result, 5)
        self.assertEqual((result.summary["held_back"], result.summary["deleted"]), (10, 0))
        self.assertEqual(len(port.entities("issue")), 30)
        self.assertSays(result, "--max-shrink")

    def test_just_enough(self):
        """30 entities that become 21: 30 per cent is allowed"""
        port, result = self.shrink(30, 21)
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 21)

    def test_option(self):
        """--max-shrink 50 lets it pass"""
        port, result = self.shrink(30, 20, "--max-shrink", "50")
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 20)

    def test_setting(self):
        """OCEAN__MAX_SHRINK does the same"""
        port, result = self.shrink(30, 20, OCEAN__MAX_SHRINK="50")
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 20)

    def test_small_kind(self):
        """Kinds of fewer than 20 entities are not watched"""
        port, result = self.shrink(19, 3)
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 3)

    def test_stated_threshold(self):
        """A stated threshold other than 0.9 replaces the rule"""
        port, result = self.shrink(30, 20, mapping={"entityDeletionThreshold": 0.5})
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 20)

    def test_stated_default(self):
        """The default threshold, written out, leaves the rule as it is"""
        port, result = self.shrink(30, 20, mapping={"entityDeletionThreshold": 0.9})
        self.assertExit(result, 5)
        self.assertEqual(len(port.entities("issue")), 30)

    def test_threshold(self):
        """What the threshold stops is held back: completed, counted, an error that names the way out, exit 5"""
        port, result = self.shrink(10, 5, mapping={"entityDeletionThreshold": 0.2})
        self.assertExit(result, 5)
        self.assertEqual((result.summary["held_back"], result.summary["deleted"]), (5, 0))
        self.assertEqual(port.integration()["resyncState"]["status"], "completed")
        self.assertRegex(result.stderr, r"ERROR .*entityDeletionThreshold of 0.2 .*5 are held back")

    def test_held_until_accepted(self):
        """It stays held back in every run until it is accepted"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", items(30)))
        self.assertClean(self.ocean(mine, port))
        mine.rewrite(list_handler("issue", items(10)))
        codes = [self.ocean(mine, port).code for _ in range(3)]
        self.assertEqual(codes, [5, 5, 5])
        self.assertClean(self.ocean(mine, port, "--max-shrink", "100"))
        self.assertClean(self.ocean(mine, port))
        self.assertEqual(len(port.entities("issue")), 10)


class Scope(Case):
    """Two kinds; the second run of `issue` fails, and an entity of each is not produced any more."""

    def failing(self, **env):
        port = self.port_local()
        third = self.third_party().on("/issues", items(3), Reply(500, "{}"))
        script = (f'local api = ocean.http.client {{ base_url = "{third.url}", retry = {{ attempts = 0 }} }}\n'
                  'ocean.on_resync("issue", function() return api:get("/issues"):json() end)\n')
        users = [{"id": "u1", "name": "U"}, {"id": "u2", "name": "U"}]
        mine = self.integration(script + list_handler("user", users), [resource(), resource("user", blueprint='"user"')],
                                [blueprint(), blueprint("user")])
        self.assertClean(self.ocean(mine, port))
        mine.rewrite(script + list_handler("user", users[:1]))
        return port, self.ocean(mine, port, **env)

    def test_default(self):
        """One failed kind keeps everything"""
        port, result = self.failing()
        self.assertExit(result, 4)
        self.assertEqual((len(port.entities("issue")), len(port.entities("user"))), (3, 2))

    def test_blueprint(self):
        """OCEAN__DELETION_SCOPE=blueprint: the failed kind keeps its own; the run is still a failed one"""
        port, result = self.failing(OCEAN__DELETION_SCOPE="blueprint")
        self.assertExit(result, 4)
        self.assertEqual((len(port.entities("issue")), list(port.entities("user"))), (3, ["u1"]))
        self.assertEqual(result.summary["deleted"], 1)
        self.assertEqual(port.integration()["resyncState"]["status"], "failed")
        self.assertSays(result, "nothing of these blueprints is deleted in this run: issue")


class OnlySomeKinds(Case):
    def test_kind(self):
        """--kind: the others are absent, nothing is deleted"""
        port = self.port_local()
        script = list_handler("issue", items(3)) + list_handler("user", [{"id": "u", "name": "U"}])
        mine = self.integration(script, [resource(), resource("user", blueprint='"user"')], [blueprint(), blueprint("user")])
        self.assertClean(self.ocean(mine, port))
        mine.rewrite(list_handler("issue", items(1)) + list_handler("user", [{"id": "u2", "name": "U"}]))
        result = self.ocean(mine, port, "--kind", "issue")
        self.assertClean(result)
        self.assertEqual([r["kind"] for r in result.summary["resources"]], ["issue"])
        self.assertEqual((len(port.entities("issue")), list(port.entities("user"))), (3, ["u"]))

    def test_unknown_kind(self):
        """An unknown kind is exit 2 with the list of those there are"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", items(3)))
        result = self.ocean(mine, port, "--kind", "isue")
        self.assertExit(result, 2)
        self.assertSays(result, "isue", "issue")

    def test_enable_delete_false(self):
        """enableDelete: false keeps what is not produced any more"""
        port = self.port_local()
        shielded = {**resource(), "enableDelete": False}
        mine = self.integration(list_handler("issue", items(3)), [shielded])
        self.assertClean(self.ocean(mine, port))
        mine.rewrite(list_handler("issue", items(1)))
        self.assertClean(self.ocean(mine, port))
        self.assertEqual(len(port.entities("issue")), 3)


if __name__ == "__main__":
    main()
