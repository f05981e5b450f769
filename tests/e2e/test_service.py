"""ocean-run as a service: what starts its resyncs, what replaces one, how it stops (runtime, sections 7, 8 and 10)."""
import signal
import time

from lib import SANITIZED, Service, list_handler, main, terminate

ITEMS = [{"id": "A-1", "name": "One", "u": "u"}]
SLOW_HANDLER = 'ocean.on_resync("issue", function() ocean.sleep(%s); return {} end)\n'


class Life(Service):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()

    def states(self):
        """What Port was told, in order."""
        return self.port.count("E-9")

    def integration_state(self):
        return self.port.integration()["resyncState"]["status"]

    def resyncs(self):
        return [r["status"] for r in self.port.local("GET", "/resyncs")["resyncs"]]

    def settled(self, n):
        self.until(lambda: self.states() == 2 * n and self.integration_state() == "completed")


class Polling(Life):
    def test_start(self):
        """T-20, T-50 a resync at the start; the request stored in Port, however old, causes no second one"""
        self.start(list_handler("issue", ITEMS), OCEAN__EVENT_LISTENER__INTERVAL="1", OCEAN__EVENT_LISTENER__TYPE="POLLING")
        self.settled(1)
        self.until(lambda: self.port.count("E-10") >= 3)
        self.assertEqual(self.states(), 2)

    def test_request(self):
        """T-21 a newer request starts exactly one resync, the same again none"""
        self.start(list_handler("issue", ITEMS), OCEAN__EVENT_LISTENER__INTERVAL="1", OCEAN__EVENT_LISTENER__TYPE="POLLING")
        self.settled(1)
        self.port.local("POST", "/integrations/my-jira/resync")
        self.settled(2)
        polls = self.port.count("E-10")
        self.until(lambda: self.port.count("E-10") >= polls + 2)
        self.assertEqual(self.states(), 4)

    def test_no_start(self):
        """resync_on_start false: the request made with the integration is newer than any state, so it is done once"""
        self.start(list_handler("issue", ITEMS), OCEAN__EVENT_LISTENER__INTERVAL="1", OCEAN__EVENT_LISTENER__TYPE="POLLING",
                   OCEAN__EVENT_LISTENER__RESYNC_ON_START="false")
        self.settled(1)
        polls = self.port.count("E-10")
        self.until(lambda: self.port.count("E-10") >= polls + 2)
        self.assertEqual(self.states(), 2)

    def test_replaced(self):
        """R-280 a newer request replaces the running resync: aborted is told before the new one's running"""
        self.start(SLOW_HANDLER % 600, OCEAN__EVENT_LISTENER__INTERVAL="1", OCEAN__EVENT_LISTENER__TYPE="POLLING")
        self.until(lambda: self.states() == 1)
        self.port.local("POST", "/integrations/my-jira/resync")
        self.until(lambda: self.states() == 3)
        self.assertEqual(self.integration_state(), "running")
        self.assertIn("replaces the one that runs", self.log())

    def test_port_fails(self):
        """R-149 polls that fail are told once, and the loop goes on"""
        self.start(list_handler("issue", ITEMS), OCEAN__EVENT_LISTENER__INTERVAL="1", OCEAN__EVENT_LISTENER__TYPE="POLLING")
        self.settled(1)
        self.port.fault({"route": "E-10"}, {"type": "status", "status": 500}, count=2)
        self.port.local("POST", "/integrations/my-jira/resync")
        self.settled(2)
        self.assertEqual(self.log().count("cannot be asked for resync requests"), 1)
        self.assertIn("answers again after 2 failed polls", self.log())


class Others(Life):
    def test_webhook(self):
        """R-152 to R-154 WEBHOOK: no resync at the start; POST /resync is answered at once and starts one"""
        self.start(list_handler("issue", ITEMS), OCEAN__EVENT_LISTENER__TYPE="WEBHOOK",
                   OCEAN__EVENT_LISTENER__APP_HOST="http://app.example")
        self.assertEqual(self.states(), 0)
        self.assertEqual(self.request("POST", "/resync")[0], 202)
        self.settled(1)
        self.assertEqual(self.get("/resync")[0], 405)

    def test_webhook_absent(self):
        """/resync is 404 for every other listener"""
        self.start(list_handler("issue", ITEMS))
        self.assertEqual(self.request("POST", "/resync")[0], 404)

    def test_once(self):
        """The listener ONCE is one resync and the end, without a port"""
        self.start(list_handler("issue", ITEMS), ready=False, OCEAN__EVENT_LISTENER__TYPE="ONCE")
        self.assertEqual(self.proc.wait(60), 0, self.log())
        self.assertNotIn("listening on port", self.log())
        self.assertEqual(self.integration_state(), "completed")

    def test_no_resyncs(self):
        """WEBHOOKS_ONLY never resyncs and needs no handler"""
        self.start("ocean.router.get('/x', function() return 1 end)\n", OCEAN__EVENT_LISTENER__TYPE="WEBHOOKS_ONLY")
        self.assertEqual(self.get("/integration/x")[0], 500)  # 1 is no status
        self.assertEqual(self.states(), 0)

    def test_kafka(self):
        """KAFKA is refused with what to use instead"""
        self.start(list_handler("issue", ITEMS), ready=False, OCEAN__EVENT_LISTENER__TYPE="KAFKA")
        self.assertEqual(self.proc.wait(60), 3, self.log())
        self.assertIn("this build has no Kafka", self.log())


class Stopping(Life):
    def stop(self, signum=signal.SIGTERM, timeout_s=60):
        self.proc.send_signal(signum)
        return self.proc.wait(timeout_s)

    def test_idle(self):
        """SIGTERM and SIGINT of an idle service end it with 0 and change no state"""
        for signum in (signal.SIGTERM, signal.SIGINT):
            self.port = self.port_local()
            self.start(list_handler("issue", ITEMS))
            self.settled(1)
            self.assertEqual(self.stop(signum), 0, self.log())
            self.assertEqual(self.integration_state(), "completed")

    def test_running(self):
        """SIGTERM during a resync: aborted is told, nothing is deleted, the end is 0"""
        self.start(SLOW_HANDLER % 600)
        self.until(lambda: self.states() == 1)
        self.assertEqual(self.stop(), 0, self.log())
        self.assertEqual((self.integration_state(), self.port.count("E-32")), ("aborted", 0))

    def test_port_hangs(self):
        """Port does not answer any more: the stop is bounded by max_wait_seconds_before_shutdown"""
        self.start(SLOW_HANDLER % 600, OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN="2")
        self.until(lambda: self.states() == 1)
        self.port.fault({"path": "/**"}, {"type": "hang", "ms": 600000}, count=0)
        code = self.stop()
        if not SANITIZED:  # what a forced end leaves behind is a leak to a sanitizer, which takes the exit code
            self.assertEqual(code, 128 + signal.SIGTERM, self.log())
        self.assertIn("not stopped after 2 s", self.log())

    def test_setup(self):
        """SIGTERM while Port does not answer the set-up"""
        self.port.fault({"path": "/**"}, {"type": "hang", "ms": 600000}, count=0)
        self.start(SLOW_HANDLER % 600, ready=False, OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN="1")
        self.until(lambda: self.port.local("GET", "/journal")["entries"] or "Request" in self.log() or time.sleep(0.3) is None)
        self.assertEqual(self.stop(), 0, self.log())


if __name__ == "__main__":
    main()
