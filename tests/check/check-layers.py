#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who may include whom, and who sees which library.

    lib/util ◀ lib/memory ◀ lib/kvm ◀ daemon/vm ─▶ api ◀─ client
    daemon/manager, daemon/common ─▶ api, lib/util
    daemon/vm, daemon/manager ─▶ daemon/common

Only the folders named may be included from; what the static libraries leave undefined shows that
they know neither D-Bus nor JSON, do not log and do not end the process; their sections, that they
have no state beside what callers hold. Errors are answered by whoever tells the audit.
"""

import fnmatch
import re
import subprocess
import sys

import sources
import tap

MAY_INCLUDE = {
    "lib/util": {"lib/util"},
    "lib/memory": {"lib/util", "lib/memory"},
    "lib/kvm": {"lib/util", "lib/memory", "lib/kvm"},
    "api": {"api"},
    "daemon/common": {"lib/util", "api", "daemon/common"},
    "daemon/vm": {"lib/util", "lib/memory", "lib/kvm", "api", "daemon/common", "daemon/vm"},
    "daemon/manager": {"lib/util", "api", "daemon/common", "daemon/manager"},
    "client": {"lib/util", "api", "client"},
}

# Header of a library: the files that may see it.
MAY_SEE = {
    "json-c/*": ["daemon/vm/layout*", "daemon/vm/document*", "daemon/vm/report*",
                 "daemon/vm/journal*", "daemon/vm/json*", "client/*"],
    "systemd/*": ["daemon/*", "client/*"],
    "systemd/sd-bus*.h": ["daemon/*-dbus.[ch]", "daemon/manager/forward*", "daemon/manager/auth*",
                          "daemon/manager/audit*", "daemon/*/loop.[ch]", "daemon/*/main.c",
                          "client/*"],
    "linux/kvm.h": ["lib/kvm/*", "daemon/vm/report*"],
    "urcu/urcu*.h": ["lib/util/rcu.h"],
}

# abort() is looked for in the text instead: liburcu's reference counts bring one in, for overflow.
FORBIDDEN_SYMBOLS = re.compile(r"sd_|json_|(exit|_exit|_Exit|quick_exit|syslog|perror|stderr)$")
FORBIDDEN_CALLS = re.compile(r"\b(abort|assert|exit|_exit)\s*\(")

# The audit hears of errors that handlers return, and of those that are answered there.
ERROR_REPLIES = re.compile(r"\bsd_bus_reply_method_err")
ANSWERS_ERRORS = "daemon/vm/audit-dbus.c"


def folder_of(path):
    return next((folder for folder in MAY_INCLUDE if str(path).startswith(folder + "/")), None)


def includes(root, path):
    for number, line in enumerate(sources.lines(root, path), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if match:
            yield number, match.group(1), match.group(2)


def check_folder(root, folder):
    for path in sources.files(root, ".c", ".h"):
        if folder_of(path) != folder:
            continue
        for number, mark, name in includes(root, path):
            if mark == '"' and folder_of(name) not in MAY_INCLUDE[folder]:
                yield f"{path}:{number}: includes {name}"


def check_library(root, header):
    for path in sources.files(root, ".c", ".h", folders=("api", "client", "daemon", "lib")):
        allowed = any(fnmatch.fnmatchcase(str(path), pattern) for pattern in MAY_SEE[header])
        for number, _, name in includes(root, path):
            if fnmatch.fnmatchcase(name, header) and not allowed:
                yield f"{path}:{number}: includes <{name}>"


def check_calls(root):
    for path in sources.files(root, ".c", ".h", folders=("lib",)):
        for number, line in enumerate(sources.lines(root, path), 1):
            if FORBIDDEN_CALLS.search(line):
                yield f"{path}:{number}: {line.strip()}"


def check_answers(root):
    for path in sources.files(root, ".c", ".h", folders=("daemon/vm",)):
        for number, line in enumerate(sources.lines(root, path), 1):
            if ERROR_REPLIES.search(line) and str(path) != ANSWERS_ERRORS:
                yield f"{path}:{number}: {line.strip()}"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_symbols(archive):
    for line in output("nm", "-u", archive).splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "U" and FORBIDDEN_SYMBOLS.match(words[1]):
            yield f"needs {words[1]}"


def check_state(archive):
    if re.search(r"__[atum]\w*san_", output("nm", "-u", archive)):
        raise tap.Skip("sanitizers have state")
    for line in output("size", "-A", archive).splitlines():
        match = re.match(r"(\.t?(?:data|bss))\s+(\d+)", line)
        if match and int(match.group(2)) > 0:
            yield f"{match.group(2)} bytes in {match.group(1)}"


def main(root, *archives):
    tap.run([(f"{folder} includes only what it may", lambda f=folder: check_folder(root, f))
             for folder in MAY_INCLUDE]
            + [(f"<{header}> is seen only where it may be", lambda h=header: check_library(root, h))
               for header in MAY_SEE]
            + [("the libraries never end the process", lambda: check_calls(root)),
               ("a VM's process answers no error past the audit", lambda: check_answers(root))]
            + [(f"{archive.split('/')[-1]} needs no bus, no JSON, no log, no exit",
                lambda a=archive: check_symbols(a)) for archive in archives]
            + [(f"{archive.split('/')[-1]} has no variables", lambda a=archive: check_state(a))
               for archive in archives])


main(*sys.argv[1:])
