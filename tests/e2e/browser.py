"""A headless Chromium spoken to over WebDriver, with nothing but the standard library."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from lib import free_port, terminate

AXE = "axe-core@4.10.2"  # the checker's rules belong to its version
TAB, ENTER, SHIFT = "\ue004", "\ue007", "\ue008"


def missing():
    """Why no browser can be driven here, or None."""
    for names, package in ((("chromium", "chromium-browser", "google-chrome"), "chromium"), (("chromedriver",), "chromium-driver")):
        if not any(shutil.which(name) for name in names):
            return f"{package} is not installed"
    return None


def axe_source():
    """The accessibility checker's script from the npm registry, kept under build/; None when it cannot be had."""
    folder = os.path.join(os.environ.get("BUILD", "build"), "axe")
    path = os.path.join(folder, "package", "axe.min.js")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        try:
            packed = subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=60)
            name = packed.stdout.split()[-1] if packed.returncode == 0 and packed.stdout.split() else None
            if not name:
                return None
            subprocess.run(["tar", "xzf", name], cwd=folder, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
    with open(path, encoding="utf-8") as file:
        return file.read()


class Browser:
    def __init__(self):
        self.port = free_port()
        self.profile = tempfile.mkdtemp(prefix="ocean-browser-")
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
        self.session = None
        self._wait_for_driver()
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                            f"--user-data-dir={self.profile}", "--window-size=1200,900"]}
        try:
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                "unhandledPromptBehavior": "ignore"}}})
        except AssertionError:
            self.stop()
            raise
        self.session = answer["sessionId"]

    def _wait_for_driver(self):
        for _ in range(200):
            try:
                self._call("GET", "/status")
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("chromedriver does not answer")

    def _call(self, method, path, body=None):
        prefix = f"/session/{self.session}" if self.session else ""
        data = None if method == "GET" or method == "DELETE" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{prefix}{path}", data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            with e:
                raise AssertionError(f"{path}: {e.read().decode()[:1000]}") from None

    def cdp(self, command, **params):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self._call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self._call("POST", "/execute/async", {"script": script, "args": list(args)})

    def keys(self, text):
        actions = [{"type": kind, "value": char} for char in text for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def until(self, script, seconds=10):
        """Waits until the script gives something true, and returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"never true: {script}\n{self.run('return document.body.innerText')[:2000]}")

    def look(self, scheme, width, height=900):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scripts(self, on):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def complaints(self):
        """What the console said since the last question, below errors left out."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        import base64
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._call("GET", "/screenshot")))

    def stop(self):
        try:
            if self.session:
                self._call("DELETE", "")
        except (OSError, AssertionError):
            pass
        terminate(self.driver)
        shutil.rmtree(self.profile, ignore_errors=True)
