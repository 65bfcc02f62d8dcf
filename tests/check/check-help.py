#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Each verb has a page of its own, which fits a terminal and has an example that the client accepts.

    check-help.py GUESTMAPCTL
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import tap

LINES, COLUMNS = 24, 80

# No service is asked: an example that is understood comes as far as the connection. What it
# prints stands for the ID of a transaction.
SHELL = """
guestmapctl() {
        "$CLIENT" --address=unix:path=/nonexistent "$@"
        echo 1
}
id=1
"""
CONNECTS = "guestmapctl: cannot connect to unix:path=/nonexistent: No such file or directory"


def run(client, *words):
    return subprocess.run([client, *words], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=20).stdout


def verbs(client):
    """(name, synopsis) from the lines of --help that begin with a verb."""
    table = run(client, "--help").split("\nOptions\n")[0]
    synopses = [re.split(r"  +", line.strip())[0]
                for line in re.findall(r"^  ([a-z].*)$", table, re.MULTILINE)]
    return [(" ".join(re.findall(r"(?:^| )([a-z]+)(?= |$)", synopsis)), synopsis)
            for synopsis in synopses]


def try_example(client, example):
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "pc.json").write_text("{}", encoding="utf-8")
        result = subprocess.run(["sh", "-c", SHELL + example], cwd=directory, capture_output=True,
                                text=True, env={"CLIENT": client}, stdin=subprocess.DEVNULL,
                                timeout=20, check=False)
    told = result.stderr.splitlines()
    yield from (f"example: {line}" for line in told if line != CONNECTS)
    if not told:
        yield "example: asks nothing of the service"


def check_verb(client, name, synopsis):
    page = run(client, *name.split(), "--help")
    lines = page.splitlines()
    example = page.partition("\nExample\n")[2]

    if run(client, "help", *name.split()) != page:
        yield f"help {name} prints something else"
    if lines[0] != f"guestmapctl [OPTIONS] {synopsis}".rstrip():
        yield f"first line: {lines[0]}"
    if len(lines) > LINES:
        yield f"{len(lines)} lines; a terminal has {LINES}"
    yield from (f"{len(line)} columns: {line}" for line in lines if len(line) > COLUMNS)
    if not re.search(rf"\bguestmapctl {name}\b", example):
        yield "no example of the verb: see .example in client/verb.c"
        return
    yield from try_example(client, example)


def main(client):
    client = str(pathlib.Path(client).resolve())
    tap.run([(f"{name} --help", lambda n=name, s=synopsis: check_verb(client, n, s))
             for name, synopsis in verbs(client)])


main(*sys.argv[1:])
