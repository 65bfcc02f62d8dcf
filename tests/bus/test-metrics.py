#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What guestmapctl metrics prints, read by the parsers of Debian's python3-prometheus-client; TAP.

    test-metrics.py GUESTMAPCTL GUESTMAPD GUESTMAP-VMD

A bus of its own, guestmapd on it, and VMs: two that live, one that hangs, one that dies.
"""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "check"))

import tap  # noqa: E402

try:
    from prometheus_client import parser as prometheus
    from prometheus_client.openmetrics import parser as openmetrics
except ImportError:
    openmetrics = None

PATIENCE = 20  # seconds, for what is sure to come


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


class World:
    """The bus, the service and its client."""

    def __init__(self, ctl, guestmapd, vmd, directory):
        self.directory = pathlib.Path(directory)
        self.address = f"unix:path={directory}/bus"
        self.ctl_path = ctl
        (self.directory / "run").mkdir()
        self.log = open(self.directory / "log", "w")
        self.processes = []
        self.start("dbus-daemon", "--session", "--nofork", "--nopidfile",
                   f"--address={self.address}")
        wait_for((self.directory / "bus").exists)
        self.guestmapd = self.start(
            guestmapd, "--user", f"--address={self.address}", f"--runtime-dir={directory}/run",
            f"--state-dir={directory}/state", f"--vmd={vmd}")
        wait_for(lambda: self.run("list").returncode == 0)

    def start(self, *command):
        self.processes.append(subprocess.Popen(command, stdout=self.log, stderr=self.log))
        return self.processes[-1]

    def run(self, *arguments, **options):
        return subprocess.run([self.ctl_path, f"--address={self.address}", *arguments],
                              capture_output=True, text=True, timeout=60, **options)

    def ctl(self, *arguments, **options):
        result = self.run(*arguments, **options)
        assert result.returncode == 0, f"{arguments}: {result.stderr}"
        return result.stdout

    def vm_pid(self, name):
        """Of the process that listens on the VM's socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "run" / name))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("3i", credentials)[0]

    def families(self, *arguments):
        text = self.ctl("metrics", *arguments)
        return {f.name: f for f in openmetrics.text_string_to_metric_families(text)}

    def end(self):
        for vm in json.loads(self.ctl("--json=short", "list"))["vms"]:
            self.run("destroy", vm["name"])
        for process in reversed(self.processes):
            process.terminate()
            process.wait(timeout=20)
        self.log.close()


def value(families, family, suffix="", **labels):
    """The sample with exactly that name and these labels among its own; None: there is none."""
    for sample in families[family].samples:
        if sample.name == family + suffix and labels.items() <= sample.labels.items():
            return sample.value
    return None


def expect(what, found, wanted):
    return [] if found == wanted else [f"{what}: {found}, not {wanted}"]


def test_conventions(world):
    """What Prometheus' guide to names asks for, of each family."""
    families = world.families()
    for name, family in families.items():
        if not re.fullmatch(r"guestmap(_[a-z]+)+", name):
            yield f"{name}: not a good name"
        if family.unit not in ("", "seconds", "bytes", "ratio"):
            yield f"{name}: unit {family.unit}"
        if family.unit and not name.endswith("_" + family.unit):
            yield f"{name}: does not end in its unit {family.unit}"
        if len(family.documentation.split()) < 3:
            yield f"{name}: says nothing"
        for sample in family.samples:
            strange = set(sample.labels) - {"vm", "reason", "kind", "space", "state", "le"}
            if family.type != "info" and strange:
                yield f"{name}: labels {strange}"
            if bool(re.match("guestmap_vm(_|$)", name)) != ("vm" in sample.labels):
                yield f"{name}: has {sample.labels}"


def test_both_formats(world):
    """The older format has the same samples, under the names that it gives their families."""
    old = {sample.name for family in prometheus.text_string_to_metric_families(
        world.ctl("metrics", "--format=prometheus")) for sample in family.samples}
    new = {sample.name for family in world.families().values() for sample in family.samples}
    yield from expect("names", old, new)
    text = world.ctl("metrics", "--format=prometheus")
    known = re.findall(r"^# TYPE \S+ (?!counter|gauge|histogram|summary)(.*)$", text, re.MULTILINE)
    yield from expect("types that it does not know", known, [])
    # As node_exporter wants it: what a family is called is what its samples begin with.
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        if kind == "counter" and not name.endswith("_total"):
            yield f"counter {name}"
    refused = world.run("metrics", "--format=xml")
    yield from expect("unknown format", (refused.returncode, refused.stdout), (1, ""))


def test_commits(world):
    """n commits are n, of that VM and no other."""
    before = world.families()
    for number in range(7):
        world.ctl("set", "one", "dev", f"offset={0x100000 * (number + 1)}")
    world.run("add", "one", "dev", "mmio", "4096")
    after = world.families()
    name = "guestmap_vm_commits"
    yield from expect("one", value(after, name, "_total", vm="one"),
                      value(before, name, "_total", vm="one") + 7)
    yield from expect("two", value(after, name, "_total", vm="two"),
                      value(before, name, "_total", vm="two"))
    yield from expect("aborts", value(after, "guestmap_vm_aborts", "_total", vm="one",
                                      reason="RegionExists"), 1)
    yield from expect("generation", value(after, "guestmap_vm_generation", vm="one"),
                      json.loads(world.ctl("--json=short", "show", "one"))["generation"])
    # Seven edits, the one that is refused, and who asks for the metrics, once before and once now.
    name = "guestmap_vm_forwarded_calls"
    if value(after, name, "_total", vm="one") - value(before, name, "_total", vm="one") < 9:
        yield "forwarded calls do not move"


def test_info(world):
    families = world.families()
    yield from expect("info", value(families, "guestmap_vm", "_info", vm="one", durable="false",
                                    owner=str(os.getuid()), accelerator="none"), 1)
    version = world.ctl("--version").split()[1]
    yield from expect("version", value(families, "guestmap_build", "_info", version=version), 1)
    age = time.time() - value(families, "guestmap_vm_start_time_seconds", vm="one")
    if not 0 <= age < 600:
        yield f"the VM is {age} s old"
    yield from expect("up", value(families, "guestmap_vm_up", vm="one"), 1)
    yield from expect("VMs", value(families, "guestmap_vms", state="running"), 4)


def test_file(world):
    """It is there as a whole, and what was there before is gone with its name."""
    path = world.directory / "guestmap.prom"
    path.write_text("before")
    inode = path.stat().st_ino
    yield from expect("output", world.ctl("metrics", f"--out={path}"), "")
    yield from expect("end", path.read_text().splitlines()[-1], "# EOF")
    if path.stat().st_ino == inode:
        yield "the file was written over"
    yield from expect("left", list(world.directory.glob("guestmap.prom.*")), [])
    refused = world.run("metrics", f"--out={world.directory}/none/x")
    yield from expect("no directory", refused.returncode, 1)


def test_file_that_is_none(world):
    """A pipe stays one, a link too."""
    pipe, link = world.directory / "pipe", world.directory / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    yield from expect("into a pipe", world.ctl("metrics", f"--out={pipe}"), "")
    if not stat.S_ISFIFO(pipe.lstat().st_mode):
        yield "the pipe was replaced"
    yield from expect("piped", os.read(reader, 2), b"# ")
    os.close(reader)
    target = world.directory / "target"
    link.symlink_to(target)
    for _ in range(2):
        yield from expect("through a link", world.ctl("metrics", f"--out={link}"), "")
        yield from expect("linked", target.read_text().splitlines()[-1], "# EOF")
        if not link.is_symlink():
            yield "the link was replaced"


def test_file_of_somebody(world):
    """One's own is replaced by one that is like it; somebody else's is written to."""
    path = world.directory / "theirs"
    path.touch()
    path.chmod(0o604)
    if os.geteuid() != 0:
        raise tap.Skip("only root can give files away")
    for uid, stays in (0, False), (12, True):
        os.chown(path, uid, 34)
        was = path.stat()
        yield from expect("output", world.ctl("metrics", f"--out={path}"), "")
        now = path.stat()
        yield from expect("the same", now.st_ino == was.st_ino, stays)
        yield from expect("like it was", (now.st_mode, now.st_uid, now.st_gid),
                          (was.st_mode, was.st_uid, was.st_gid))
        yield from expect("end", path.read_text().splitlines()[-1], "# EOF")


def test_hangs(world):
    """A VM that hangs is not up, and is waited for as long as was said."""
    pid = world.vm_pid("hung")
    os.kill(pid, signal.SIGSTOP)
    try:
        families = world.families("--timeout=4s")
    finally:
        os.kill(pid, signal.SIGCONT)
    # Longer than it is waited for otherwise; world.run() sees to it that it has an end.
    if value(families, "guestmap_scrape_duration_seconds") < 4:
        yield "it was not waited for as long as was said"
    yield from expect("hung", value(families, "guestmap_vm_up", vm="hung"), 0)
    yield from expect("others", value(families, "guestmap_vm_up", vm="one"), 1)
    yield from expect("state", value(families, "guestmap_vm_state", vm="hung", state="running"), 1)
    yield from expect("metrics", value(families, "guestmap_vm_commits", "_total", vm="hung"), None)


def test_dies(world):
    os.kill(world.vm_pid("dying"), signal.SIGKILL)
    wait_for(lambda: value(world.families(), "guestmap_vm_recoveries", "_total", vm="dying") == 1)
    families = world.families()
    yield from expect("recoveries", value(families, "guestmap_vm_recoveries", "_total", vm="one"),
                      0)
    yield from expect("commits of the new process",
                      value(families, "guestmap_vm_commits", "_total", vm="dying"), 0)


def test_exits(world):
    """A guest that writes to a device, three times; what it did counts when its vCPU has gone."""
    if world.run("create", "guest").returncode != 0:
        raise tap.Skip("no /dev/kvm to be used here")
    world.ctl("add", "guest", "ram", "ram", "64KiB", "system", "0")
    world.ctl("add", "guest", "dev", "mmio", "4096", "system", "0x100000")
    world.ctl("handler", "guest", "dev", "latch")
    # mov [0x100000], eax; jmp to that
    world.ctl("write", "guest", "memory", "0", *"a3 00 00 10 00 eb f9".split())
    world.ctl("vcpu", "add", "guest", "0", "flat")
    world.ctl("vcpu", "step", "guest", "0", "3")

    def exits():
        return value(world.families(), "guestmap_vm_vcpu_exits", "_total", vm="guest", kind="mmio")

    yield from expect("exits", exits(), 3)
    yield from expect("stopped", value(world.families(), "guestmap_vm_vcpus", vm="guest",
                                       state="stopped"), 1)
    world.ctl("vcpu", "remove", "guest", "0")
    world.ctl("vcpu", "add", "guest", "0", "flat")
    yield from expect("exits that were", exits(), 3)
    world.ctl("destroy", "guest")


BUS = """<busconfig>
  <type>session</type>
  <listen>unix:path={directory}/empty-bus</listen>
  <servicedir>{directory}</servicedir>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>"""
SERVICE = "[D-BUS Service]\nName=org.guestmap1\nExec=/usr/bin/touch {directory}/started\n"


def test_stopped(world):
    """A guestmapd that does not run is not started, unlike by other verbs, and is not up."""
    address = f"--address=unix:path={world.directory}/empty-bus"
    started = world.directory / "started"
    for name, text in ("bus.conf", BUS), ("org.guestmap1.service", SERVICE):
        (world.directory / name).write_text(text.format(directory=world.directory))
    world.start("dbus-daemon", f"--config-file={world.directory}/bus.conf", "--nofork")
    wait_for((world.directory / "empty-bus").exists)
    families = world.families(address)
    yield from expect("up", value(families, "guestmap_up"), 0)
    yield from expect("others", set(families), {"guestmap_up", "guestmap_scrape_duration_seconds"})
    yield from expect("started", started.exists(), False)
    yield from expect("list", world.run("list", address).returncode, 1)
    yield from expect("started by list", started.exists(), True)


def test_guestmapd_hangs(world):
    """It is waited for no longer than a VM."""
    os.kill(world.guestmapd.pid, signal.SIGSTOP)
    try:
        families = world.families("--timeout=1s")
    finally:
        os.kill(world.guestmapd.pid, signal.SIGCONT)
    yield from expect("hangs", value(families, "guestmap_up"), 0)
    yield from expect("goes on", value(world.families(), "guestmap_up"), 1)


def test_labels(world):
    """A name of anything is quoted as it has to be."""
    name = 'a "b" \\ c'
    world.ctl("space", "add", "two", name, "system")
    yield from expect("space", value(world.families(), "guestmap_vm_sections", vm="two",
                                     space=name), 0)


def main(*programs):
    if openmetrics is None:
        tap.run([("guestmapctl metrics", skip)])
    with tempfile.TemporaryDirectory() as directory:
        world = World(*programs, directory)
        try:
            for name in ("one", "two", "hung", "dying"):
                world.ctl("create", name, "--accelerator=none")
            world.ctl("add", "one", "dev", "mmio", "4096", "system", "0")
            tests = [(name[5:], function) for name, function in globals().items()
                     if name.startswith("test_")]
            tap.run([(name, lambda f=function: f(world)) for name, function in tests])
        finally:
            world.end()


def skip():
    raise tap.Skip("python3-prometheus-client is not installed")


main(*sys.argv[1:])
