#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Every verb of guestmapctl: what it does, what it refuses, and what it says when nobody is there,
when it is not allowed, and when the service dies under its call. TAP on stdout.

    with-bus KIND test-client-verbs.py GUESTMAPCTL GUESTMAPD GUESTMAP-VMD WITH-BUS TREE

The verbs are those that --help lists: one that has no row in verb_rows.py fails.
"""

import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(1, str(pathlib.Path(__file__).parents[1] / "check"))
import tap
from verb_rows import KVM_SCENE, LOOK, ROWS, SCENE

NOBODY = 65534
# Keys of JSON under which there are addresses, offsets, and other numbers of bytes.
OF_BYTES = re.compile(r"(^|-)(bytes|size|address|offset|first|last)$")
PATIENCE = 60   # seconds, for what takes none where nothing is wrong

CTL, GUESTMAPD, VMD, WITH_BUS, TREE = (os.path.abspath(path) for path in sys.argv[1:])
ADDRESS = os.environ["BUS_ADDRESS"]
HAS_KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)


def command(words):
    return [CTL, f"--address={ADDRESS}", "--no-pager", *words.split()]


def ctl(words, **options):
    return subprocess.run(command(words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE, **options)


def must(words):
    result = ctl(words)
    if result.returncode != 0:
        sys.exit(f"Bail out! {words}: {result.stderr}")
    return result.stdout.strip()


def eventually(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Service:
    """guestmapd, and what it has to do with."""

    def __init__(self, directory):
        self.directory = directory
        self.places = {"dir": directory, "tree": TREE, "patch": f"{directory}/patch",
                       "id": "1"}
        patch = {"guestmap": 1, "edits": [{"enable-region": {"name": "dev", "enabled": True}}]}
        pathlib.Path(self.places["patch"]).write_text(json.dumps(patch), encoding="utf-8")
        self.process = self.polkit = None
        self.vms = []   # that the rows are about

    def start(self):
        with open(f"{self.directory}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [GUESTMAPD, "--system", f"--address={ADDRESS}", f"--vmd={VMD}",
                 f"--runtime-dir={self.directory}/run", f"--state-dir={self.directory}/state"],
                stderr=log)
        if not eventually(lambda: ctl("list").returncode == 0):
            sys.exit("Bail out! guestmapd does not serve")

    def set_up(self):
        for scene in (SCENE, KVM_SCENE if HAS_KVM else ""):
            for words in scene.strip().splitlines():
                must(words)
                if words.startswith(("create vm ", "create guest")):
                    self.vms.append(words.split()[1])

    def fill(self, words):
        """The words with their places filled in; a transaction is begun if one is needed."""
        if "{id}" in words:
            self.places["id"] = must("begin vm")
        return words.format(**self.places)

    def vm_pid(self, name):
        """Of the process that listens on the VM's socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{self.directory}/run/{name}")
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("3i", credentials)[0]

    def signal_vms(self, number):
        for vm in self.vms:
            os.kill(self.vm_pid(vm), number)

    def vms_are_back(self):
        states = dict(line.split()[:2] for line in must("--no-legend list").splitlines())
        return all(states[vm] in ("running", "vcpus-lost") for vm in self.vms)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.polkit:
            self.polkit.kill()
            self.polkit.wait()
        for vm in must("--no-legend list").splitlines():
            ctl(f"destroy {vm.split()[0]}")
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)


def said(result, pattern):
    """What is wrong with how a verb failed: it has said so, in one line, and nothing else."""
    if result.returncode != 1:
        yield f"exit status {result.returncode}, not 1"
    if result.stdout:
        yield f"prints {result.stdout!r}"
    if not re.fullmatch(f"guestmapctl: ({pattern}).*\n", result.stderr):
        yield f"says {result.stderr!r}, not {pattern!r}"


def check_rows():
    """The table and --help have the same verbs."""
    text = subprocess.run([CTL, "--help", "--no-pager"], capture_output=True, text=True,
                          check=True).stdout.split("\nOptions\n")[0]
    lines = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)(?: [A-Z\[]|  |$)", text, re.MULTILINE)
    rows = {row.verb for row in ROWS}
    yield from (f"{verb} has no row in verb_rows.py" for verb in lines if verb not in rows)
    yield from (f"{verb} is not in --help" for verb in sorted(rows - set(lines)))


def check_json(value, key=""):
    """What is not as guestmapctl(1) says of --json."""
    if isinstance(value, dict):
        for name, member in value.items():
            if not re.fullmatch("[a-z0-9]+([-.][a-z0-9]+)*", name):
                yield f"key {name!r}"
            yield from check_json(member, name)
    elif isinstance(value, list):
        for member in value:
            yield from check_json(member, key)
    elif isinstance(value, (int, float)) and OF_BYTES.search(key) and not key.endswith("-second"):
        yield f"{key} is {value!r}, a number"


def check_printed(out):
    if not out:
        yield "prints no JSON"
    for line in out.splitlines():
        yield from check_json(json.loads(line))


def check_good(service, row):
    if row.kvm and not HAS_KVM:
        raise tap.Skip("no /dev/kvm here")
    if row.lasts:
        yield from check_lasting(row)
        return
    result = ctl(f"{'--json=short ' * row.json}{row.verb} {service.fill(row.good)}")
    if result.returncode != row.status:
        yield f"exit status {result.returncode}, not {row.status}: {result.stderr}"
    if not row.json:
        yield from said(ctl(f"--json=short {row.verb} {row.good}"), f"{row.verb} prints no JSON: ")
    elif row.status != 1:
        yield from check_printed(result.stdout)


def check_lasting(row):
    """It tells what happens, until it is ended."""
    with subprocess.Popen(command(f"{row.verb} {row.good}"), stdout=subprocess.PIPE) as process:
        os.set_blocking(process.stdout.fileno(), False)

        def has_told():
            must("disable vm dev")
            must("enable vm dev")
            return process.stdout.read() or process.poll() is not None

        if not eventually(has_told) or process.poll() is not None:
            yield "tells nothing"
        process.terminate()


def check_bad(service, row):
    yield from said(ctl(f"{row.verb} {service.fill(row.bad)}"), row.why)


def check_nobody_there(service, row):
    if row.offline:
        raise tap.Skip("asks nobody")
    result = ctl(f"{row.verb} {row.good.format(**service.places)}")
    if not row.absent:
        yield from said(result, "guestmapd is not running on ")
    elif result.returncode != 0 or f"{row.absent}\n" not in result.stdout:
        yield f"exit status {result.returncode}, and it prints: {result.stdout}"


def check_denied(service, row):
    """As a user who owns nothing."""
    if row.offline:
        raise tap.Skip("asks nobody")
    if os.geteuid() != 0:
        raise tap.Skip("only root can be somebody else")
    if row.kvm and not HAS_KVM:
        raise tap.Skip("no /dev/kvm here")
    yield from said(ctl(f"{row.verb} {service.fill(row.good)}", user=NOBODY),
                    row.denied)


def check_denied_directly(service):
    """On a connection to the VM's process; then guestmapd is asked, which says who may."""
    if os.geteuid() != 0:
        raise tap.Skip("only root can be somebody else")
    yield from said(ctl("read vm memory 0 2MiB", user=NOBODY),
                    "AccessDenied: .*only its owner 0 and root may")


def callers(is_awaited):
    """Starts to watch the bus; gives a function that waits for n connections' calls."""
    monitor = subprocess.Popen(["busctl", f"--address={ADDRESS}", "--json=short", "monitor",
                                "org.guestmap1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    monitor.stderr.readline()   # it monitors now

    def wait(n):
        seen = set()
        for line in monitor.stdout:
            message = json.loads(line)
            if (message["type"] == "method_call" and message["destination"] == "org.guestmap1"
                    and is_awaited(message)):
                seen.add(message["sender"])
            if len(seen) == n:
                break
        monitor.kill()
        monitor.communicate()

    return wait


def deaths(service, rows, is_awaited, die):
    """Runs all rows at once; once each has a call under way, something dies. Their results."""
    wait = callers(is_awaited)
    clients = {}
    for row in rows:
        words = f"{row.verb} {row.good.format(**service.places)}"
        clients[row.verb] = subprocess.Popen(command(words), stdin=subprocess.DEVNULL, text=True,
                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait(len(rows))
    die()
    results = {}
    for verb, client in clients.items():
        out, err = client.communicate(timeout=PATIENCE)
        results[verb] = subprocess.CompletedProcess(client.args, client.returncode, out, err)
    return results


def is_about_vm(message):
    return message["path"].startswith("/org/guestmap1/vm/")


def service_dies(service, rows):
    """guestmapd hangs, then is killed: under the first call of each."""
    os.kill(service.process.pid, signal.SIGSTOP)
    results = deaths(service, rows, lambda message: True, service.kill)
    service.start()
    return results


def service_dies_later(service, rows):
    """The VMs hang, so that calls to them are under way when guestmapd is killed."""
    service.signal_vms(signal.SIGSTOP)
    results = deaths(service, rows, is_about_vm, service.kill)
    service.signal_vms(signal.SIGCONT)
    service.start()
    return results


SENT_AHEAD = 16     # calls; what a VM's process was not sent waits until it is back


def vms_die(service, rows):
    """The VMs hang, and are killed themselves, with as many calls as they are sent."""
    def die():
        must("list")    # when that is answered, guestmapd has passed on all that came before
        service.signal_vms(signal.SIGKILL)

    results = {}
    for i in range(0, len(rows), SENT_AHEAD):
        service.signal_vms(signal.SIGSTOP)
        results |= deaths(service, rows[i:i + SENT_AHEAD], is_about_vm, die)
        if not eventually(service.vms_are_back):
            sys.exit("Bail out! the VMs do not come back")
    return results


UNKNOWN = "no answer came, and whether the call took effect is not known "


class Deaths:
    """One way to die, tried when it is asked about first: under all verbs at once."""

    def __init__(self, service, way, is_concerned, pattern):
        self.service, self.way, self.pattern = service, way, pattern
        self.is_concerned = is_concerned
        self.results = None

    def check(self, row):
        if row.kvm and not HAS_KVM:
            raise tap.Skip("no /dev/kvm here")
        if not self.is_concerned(row):
            raise tap.Skip("asks nobody" if row.offline else
                           "asks guestmapd only" if asks(row) else "outlives the service")
        if self.results is None:
            rows = [row for row in ROWS if self.is_concerned(row) and (HAS_KVM or not row.kvm)]
            self.results = self.way(self.service, rows)
        yield from said(self.results[row.verb], self.pattern)


def asks(row):
    return not row.offline and not row.lasts and not row.absent


def asks_vm(row):
    return asks(row) and not row.manager


def start(service):
    service.start()
    service.set_up()
    return []


def with_polkit(service):
    """From here on until the end there is a polkit on the bus that allows nothing."""
    service.polkit = subprocess.Popen([WITH_BUS, "--polkit"], stdout=subprocess.PIPE)
    return [] if service.polkit.stdout.readline() else ["no polkit"]


def cases(service):
    def each(what, check, rows=ROWS):
        return [(f"{row.verb}: {what}", lambda row=row: check(row)) for row in rows]

    def of_service(check):
        return lambda row: check(service, row)

    looking = [row for row in ROWS if row.right == LOOK]
    changing = [row for row in ROWS if row.right != LOOK]
    ways = [("guestmapd dies", Deaths(service, service_dies, asks, UNKNOWN)),
            ("guestmapd dies later", Deaths(service, service_dies_later, asks_vm, UNKNOWN)),
            ("the VM dies", Deaths(service, vms_die, asks_vm, "VMGone: "))]
    return [("each verb has a row", check_rows),
            *each("nobody is there", of_service(check_nobody_there)),
            ("there is a service", lambda: start(service)),
            *each("bad words", of_service(check_bad)),
            *each("not allowed", of_service(check_denied), changing),
            ("read: much of it, not allowed", lambda: check_denied_directly(service)),
            ("there is a polkit", lambda: with_polkit(service)),
            *each("not allowed to look", of_service(check_denied), looking),
            *each("does it", of_service(check_good)),
            *[case for what, way in ways for case in each(what, way.check)]]


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        service = Service(directory)
        try:
            tap.run(cases(service))
        finally:
            service.end()


main()
