# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus with guestmapd on it, and VMs that are drawn; for test-draw.py and test-draw-page.py:

    test-draw….py GUESTMAPCTL GUESTMAPD GUESTMAP-VMD SOURCE-ROOT
"""

import fcntl
import json
import os
import pathlib
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time

ctl_path, guestmapd, vmd, root = (os.path.abspath(word) for word in sys.argv[1:])
sys.path.append(root + "/tests/check")

import tap  # pylint: disable=wrong-import-position

CORPUS = pathlib.Path(root) / "tests/golden/corpus"

# Whatever is UTF-8 without control characters, of 128 bytes at most.
HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "]]>&amp;<b a='\"'>",
           "'\"`${x}\\u003c", "\u202egnp.exe\u2066", "שלום-مرحبا", "\u2028\u2029",
           "  blanks  ", "@MAP@", "__proto__", "x" * 128, "\U0001f409" * 32, "日本語" * 14]


def eventually(check, what):
    for _ in range(200):
        if check():
            return
        time.sleep(0.05)
    raise TimeoutError(what)


class World:
    """A bus with guestmapd on it, and the VMs that are drawn."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="guestmap-draw.")
        self.path = pathlib.Path(self._folder.name)
        self._address = f"unix:path={self.path}/bus"
        self._processes = []
        (self.path / "run").mkdir(mode=0o700)
        (self.path / "bus.conf").write_text(
            f"<busconfig><type>session</type><listen>{self._address}</listen>"
            "<policy context='default'><allow send_destination='*' eavesdrop='true'/>"
            "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>", encoding="utf-8")
        self._spawn("dbus-daemon", f"--config-file={self.path}/bus.conf", "--nofork", "--nopidfile")
        eventually((self.path / "bus").exists, "no bus")
        self._spawn(guestmapd, "--user", f"--address={self._address}", f"--vmd={vmd}",
                    f"--runtime-dir={self.path}/run", f"--state-dir={self.path}/state")
        eventually(lambda: self.run("list").returncode == 0, "no guestmapd")

    def _spawn(self, *words):
        log = open(self.path / "log", "ab")  # pylint: disable=consider-using-with
        self._processes.append(subprocess.Popen(words, stdout=log, stderr=log))
        log.close()

    def end(self):
        for name in self.run("list", "--no-legend").stdout.split("\n"):
            if name:
                self.run("destroy", name.split()[0])
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)
        self._folder.cleanup()

    def words(self, *words):
        return [ctl_path, f"--address={self._address}", *words]

    def run(self, *words, columns=80, locale="C.UTF-8", **more):
        return subprocess.run(self.words(*words), capture_output=True, text=True, encoding="utf-8",
                              timeout=60, check=False,
                              env={**os.environ, "COLUMNS": str(columns), "LC_ALL": locale}, **more)

    def does(self, *words, **more):
        result = self.run(*words, **more)
        if result.returncode or result.stderr:
            raise RuntimeError(f"{' '.join(words)}: {result.stderr}")
        return result.stdout

    def create(self, name, layout):
        self.does("create", name, "--accelerator=none", "--layout=-", input=json.dumps(layout))

    def on_terminal(self, *words, columns):
        """What comes on a terminal of so many columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        for name in ("COLUMNS", "NO_COLOR"):
            environment.pop(name, None)
        text = b""
        with subprocess.Popen(self.words(*words, "--no-pager"), stdout=theirs, stderr=theirs,
                              stdin=theirs, env=environment):
            os.close(theirs)
            while True:
                try:
                    data = os.read(ours, 1 << 16)
                except OSError:
                    data = b""
                if not data:
                    break
                text += data
        os.close(ours)
        return text.decode().replace("\r\n", "\n")


def small():
    region = {"parent": "system"}
    return {"guestmap": 1, "regions": [
        {"name": "system", "kind": "container", "size": "2^64"},
        {"name": "pc.ram", "kind": "ram", "size": "3GiB"},
        {"name": "ram-low", "kind": "alias", "target": "pc.ram", "size": "2GiB", "offset": 0,
         **region},
        {"name": "ram-high", "kind": "alias", "target": "pc.ram", "target-offset": "2GiB",
         "size": "1GiB", "offset": "4GiB", **region},
        {"name": "vga", "kind": "mmio", "size": "128KiB", "offset": "0xa0000", "priority": 1,
         **region},
        {"name": "bios", "kind": "rom", "size": "64KiB", "offset": "0xf0000", "priority": 2,
         **region},
        {"name": "flash", "kind": "romd", "size": "4MiB", "offset": "0xffc00000", **region},
        {"name": "lost", "kind": "reserved", "size": "4KiB", "offset": "0xfed00000", **region},
        {"name": "card", "kind": "mmio", "size": "64KiB", "offset": "0xe0000000", **region},
        {"name": "status", "kind": "mmio", "size": 8, "parent": "card", "offset": "0x100"}],
        "address-spaces": [{"name": "memory", "root": "system"}, {"name": "dma", "root": "system"}]}


def hostile():
    regions = [{"name": "system", "kind": "container", "size": "2^64"}]
    for i, name in enumerate(HOSTILE):
        regions.append({"name": name, "kind": "mmio", "size": "0x1000", "parent": "system",
                        "offset": hex(i * 0x2000)})
    regions.append({"name": "ram", "kind": "ram", "size": "0x1000"})
    regions.append({"name": "\u202dalias<i>", "kind": "alias", "target": "ram", "size": "0x1000",
                    "parent": "system", "offset": 0, "priority": -1})
    return {"guestmap": 1, "regions": regions,
            "address-spaces": [{"name": "<b>space", "root": "system"}]}


def many():
    regions = [{"name": "system", "kind": "container", "size": "2^64"},
               {"name": "box", "kind": "container", "size": "2^64", "parent": "system",
                "offset": 0}]
    regions += [{"name": f"device{i:05}", "kind": "mmio", "size": "0x1000", "parent": "box",
                 "offset": hex(i * 0x3000)} for i in range(10000)]
    return {"guestmap": 1, "regions": regions,
            "address-spaces": [{"name": "memory", "root": "system"}]}


def side_by_side():
    """One section of three parts: by two aliases and, between them, by none."""
    window = {"kind": "alias", "target": "ram", "size": "64KiB", "parent": "system",
              "priority": 1}
    return {"guestmap": 1, "regions": [
        {"name": "system", "kind": "container", "size": "2^64"},
        {"name": "ram", "kind": "ram", "size": "1MiB", "parent": "system", "offset": 0},
        {"name": "w1", "offset": 0, "target-offset": 0, **window},
        {"name": "w3", "offset": "0x20000", "target-offset": "0x20000", **window}],
        "address-spaces": [{"name": "memory", "root": "system"}]}


def corpus(name):
    return json.loads((CORPUS / (name + ".json")).read_text(encoding="utf-8"))["layout"]


def change(world):
    """Generation 3 of what small() is."""
    world.does("disable", "small", "vga")
    world.does("add", "small", "nic", "mmio", "64KiB", "system", "0xc0000000")
    return []


def problems(check, world):
    """What a case finds; what ends it early is found, too."""
    try:
        yield from check(world)
    except tap.Skip:
        raise
    except Exception as error:  # pylint: disable=broad-exception-caught
        yield f"{type(error).__name__}: {error}"


def run(layouts, cases):
    """Makes VMs of these layouts, by name, and runs the cases: (name, function of the World)."""
    world = World()
    try:
        for name, layout in layouts.items():
            world.create(name, layout)
        tap.run([(name, lambda check=check: problems(check, world)) for name, check in cases])
    finally:
        world.end()
