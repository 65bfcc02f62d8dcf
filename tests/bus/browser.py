# SPDX-License-Identifier: LGPL-2.1-or-later
"""A page in a headless Chromium, driven by its debugging protocol over a pair of pipes."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
import zlib

WAIT_MAX = 60


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser")


def high(descriptor):
    """The same open file as a descriptor of a larger number."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class Page:
    """One page; `errors` has what came to its console, and what it threw."""

    def __init__(self, path, width=1200, height=800):
        self.errors = []
        self._numbers = itertools.count(1)
        self._unread = b""
        self._session = None
        self._profile = tempfile.TemporaryDirectory(prefix="guestmap-browser.")
        self._start(path, width, height)

    def _start(self, path, width, height):
        from_us, self._out = os.pipe()
        self._in, to_us = os.pipe()
        # Above the protocol's own, which are 3 and 4.
        from_us, to_us = high(from_us), high(to_us)
        # Without a sandbox, as it has none for root.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "bash", find(), "--headless",
             "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self._profile.name}", "about:blank"],
            pass_fds=(from_us, to_us), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": self._profile.name})
        os.close(from_us)
        os.close(to_us)
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self._loaded = False
        self.call("Page.navigate", url="file://" + path)
        self._until(lambda: self._loaded)

    def close(self):
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        try:
            self._process.wait(WAIT_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for _ in range(50):
            # Its helpers may still be writing.
            shutil.rmtree(self._profile.name, ignore_errors=True)
            if not os.path.exists(self._profile.name):
                break
            time.sleep(0.1)
        self._profile._finalizer.detach()  # pylint: disable=protected-access

    def _receive(self, deadline):
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self._unread += data
        message, self._unread = self._unread.split(b"\0", 1)
        message = json.loads(message)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, params):
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded":
            self.errors.append(params["entry"]["text"])

    def _until(self, done):
        deadline = time.monotonic() + WAIT_MAX
        while not done():
            self._receive(deadline)

    def call(self, method, **params):
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": params}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + WAIT_MAX
        while True:
            message = self._receive(deadline)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def value(self, expression):
        """What an expression of JavaScript gives."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def painted(self):
        """Waits until what has been asked for is on the screen."""
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def key(self, key):
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.painted()

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.painted()

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)
        self.painted()

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def screenshot(self, path=None):
        """The pixels, as a list of rows of (red, green, blue)."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path:
            with open(path, "wb") as file:
                file.write(data)
        return decode(data)


def unfilter(kind, line, before, size):
    """A line of a PNG as it was before it was filtered."""
    for i, byte in enumerate(line):
        left = line[i - size] if i >= size else 0
        above, corner = before[i], before[i - size] if i >= size else 0
        if kind == 4:
            guess = left + above - corner
            guess = min((left, above, corner), key=lambda value, g=guess: abs(g - value))
        else:
            guess = (0, left, above, (left + above) // 2)[kind]
        line[i] = (byte + guess) & 255
    return line


def decode(png):
    """Rows of pixels of a PNG as Chromium makes them: 8 bits a sample, not interlaced."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, _, _, colour = struct.unpack(">IIBB", body[:10])
            size = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    data, stride = zlib.decompress(data), width * size
    before, rows = bytearray(stride), []
    for start in range(0, len(data), stride + 1):
        before = unfilter(data[start], bytearray(data[start + 1:start + 1 + stride]), before, size)
        rows.append([tuple(before[i:i + 3]) for i in range(0, stride, size)])
    return rows
