#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Long output goes through a pager where systemctl's would: check-pager.py GUESTMAPCTL

What is printed is the page of --help, with pagers that tell who they are before they print it.
"""

import errno
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile

import tap

FIRST_LINE = "guestmapctl [OPTIONS] VERB ..."
PROGRAM = '#!/bin/sh\necho "$(basename "$0") <$LESS> <$LESSSECURE> <$LESSCHARSET>"\ncat\n'

# name, programs that there are, environment, options, first line
CASES = [
    ("pager comes first", "pager less more", {}, "", "pager <FRSXMK> <1> <>"),
    ("then less", "less more", {}, "", "less <FRSXMK> <1> <>"),
    ("then more", "more", {}, "", "more <FRSXMK> <1> <>"),
    ("then none", "", {}, "", FIRST_LINE),
    ("$PAGER", "less", {"PAGER": "sed 's/^/: /'"}, "", f": {FIRST_LINE}"),
    ("$SYSTEMD_PAGER", "less", {"PAGER": "less", "SYSTEMD_PAGER": "sed 's/^/: /'"}, "",
     f": {FIRST_LINE}"),
    ("$PAGER is empty", "less", {"PAGER": ""}, "", FIRST_LINE),
    ("$SYSTEMD_PAGER is empty", "less", {"PAGER": "less", "SYSTEMD_PAGER": ""}, "", FIRST_LINE),
    ("$SYSTEMD_PAGER is cat", "less", {"PAGER": "less", "SYSTEMD_PAGER": "cat"}, "", FIRST_LINE),
    ("a pager that leaves", "less", {"PAGER": "head -n 1"}, "", FIRST_LINE),
    ("--no-pager", "less", {}, "--no-pager", FIRST_LINE),
    ("a dumb terminal", "less", {"TERM": "dumb"}, "", FIRST_LINE),
    ("options of less", "less", {"LESS": "X", "SYSTEMD_LESS": "RK"}, "", "less <RK> <1> <>"),
    ("character set of less", "less", {"SYSTEMD_LESSCHARSET": "utf-8"}, "",
     "less <FRSXMK> <1> <utf-8>"),
    ("less may start programs", "less", {"SYSTEMD_PAGERSECURE": "no"}, "", "less <FRSXMK> <> <>"),
    ("the page of a verb", "less", {}, "list", "guestmapctl [OPTIONS] list"),
]


def read_all(fd):
    """What comes out of a terminal until the last program on it ends."""
    output = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return output.decode()
        if not piece:
            return output.decode()
        output += piece


def make_programs(directory, names):
    for name in names:
        path = directory / name
        path.write_text(PROGRAM, encoding="utf-8")
        path.chmod(0o755)
    for name in ("sh", "basename", "cat", "sed", "head"):
        (directory / name).symlink_to(shutil.which(name))


def run(command, directory, environment):
    environment = {"PATH": str(directory), "TERM": "xterm", "NO_COLOR": "1"} | environment
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs,
                          stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        output = read_all(ours)
    os.close(ours)
    return output.splitlines(), process.returncode


def check(client, programs, environment, options, expected):
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        make_programs(directory, programs.split())
        lines, status = run([client, *options.split(), "--help"], directory, environment)
    if lines[:1] != [expected]:
        yield f"{lines[:1]} instead of {expected}"
    if status != 0:
        yield f"status {status}"


def check_verb(client):
    """One that may print much, on a bus that there is not."""
    with tempfile.TemporaryDirectory() as directory:
        make_programs(pathlib.Path(directory), ["less"])
        lines, _ = run([client, "--address=unix:path=/nonexistent", "list"], directory, {})
    if lines != ["less <FRSXMK> <1> <>"]:
        yield f"{lines}: no pager"


def check_pipe(client):
    output = subprocess.run([client, "--help"], env={"PAGER": "false"}, check=True,
                            capture_output=True, text=True, timeout=20).stdout
    if not output.startswith(FIRST_LINE):
        yield f"{output[:40]} instead of {FIRST_LINE}"


def main(client):
    client = str(pathlib.Path(client).resolve())
    tap.run([(name, lambda case=case: check(client, *case)) for name, *case in CASES]
            + [("a verb", lambda: check_verb(client)),
               ("no terminal", lambda: check_pipe(client))])


main(*sys.argv[1:])
