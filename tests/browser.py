"""Chromium without a window, driven over a pipe: what a page does when clicked, and must not do."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads commands from its file 3 and answers on its file 4.
_START = """
import os, sys
ends = [os.dup(int(number)) for number in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
    os.set_inheritable(place, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
    "PageUp": ("PageUp", 33, ""),
    "PageDown": ("PageDown", 34, ""),
}


class Page:
    """One tab.

    Attributes:
        errors: What went wrong since the last `open`: exceptions, errors and warnings of the console, and
            what the content security policy refused.
        requests: Addresses asked for since then, other than the page's own file and `data:`.
        dialogs: Texts of `alert` and its like.
    """

    def __init__(self, command, answers):
        self._command, self._answers, self._buffer, self._number = command, answers, b"", 0
        self._session, self._address = "", ""
        self.errors, self.requests, self.dialogs, self._loaded = [], [], [], False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path, *, width=1280, height=900, dark=False, script=True, fragment=""):
        """Open a file, and forget what the page before it did."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **screen)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._call("Emulation.setScriptExecutionDisabled", value=not script)
        self.errors.clear()
        self.requests.clear()
        self.dialogs.clear()
        self._loaded, self._address = False, Path(path).absolute().as_uri()
        self._call("Page.navigate", url=f"{self._address}{fragment}")
        while not self._loaded:
            self._read()
        return self

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, promises waited for."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise AssertionError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def until(self, expression, seconds=10.0):
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"it never came true: {expression}"
            time.sleep(0.02)
        return value

    def click(self, selector, *, right=0.5, down=0.5):
        """Click the first element that the selector finds, in its middle unless told."""
        x, y = self.hover(selector, right=right, down=down)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def hover(self, selector, *, right=0.5, down=0.5):
        """Move the mouse over the first element that the selector finds, and return the place."""
        found = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height] })()"
        )
        x, y = found[0] + right * found[2], found[1] + down * found[3]
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def press(self, *keys):
        """Press keys by their names, such as `Enter`, or single letters."""
        for key in keys:
            code, number, text = _KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[0]), key))
            about = {"key": key, "code": code, "windowsVirtualKeyCode": number}
            down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
            self._call("Input.dispatchKeyEvent", **about, **down)
            self._call("Input.dispatchKeyEvent", **about, type="keyUp")

    def write(self, text):
        """Write text where the focus is."""
        self._call("Input.insertText", text=text)

    def screenshot(self, path, *, whole=False):
        """Save what is seen, or the whole page, as a PNG file."""
        made = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(made["data"]))

    def print(self, path):
        """Save the page as it would be printed, as a PDF file."""
        made = self._call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        Path(path).write_bytes(base64.b64decode(made["data"]))

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._command, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _read(self):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], 60)
            part = os.read(self._answers, 1 << 20) if ready else b""
            assert part, "Chromium does not answer"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, about):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(each.get("value")) for each in about["args"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.errors.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith("data:") and address.partition("#")[0] != self._address:
                self.requests.append(address)
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(about["message"])
            message = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
            message["sessionId"] = self._session
            os.write(self._command, json.dumps(message).encode() + b"\0")


@contextmanager
def chromium():
    """Start Chromium without a window and yield a tab of it; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium here")
    reading, command = os.pipe()
    answers, writing = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _START,
                str(reading),
                str(writing),
                program,
                *_QUIET,
                f"--user-data-dir={profile}",
            ],
            pass_fds=(reading, writing),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reading)
        os.close(writing)
        try:
            yield Page(command, answers)
        finally:
            os.close(command)  # it leaves when its commands end
            os.close(answers)
            try:
                started.wait(timeout=5)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
