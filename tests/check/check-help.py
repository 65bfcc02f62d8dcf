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

import pages
import tap

# Of a terminal of 24 lines: below them is the prompt.
LINES, COLUMNS = 23, 80

# No service is asked: an example that is understood comes as far as the connection. What it
# prints stands for the ID of a transaction.
SHELL = """
guestmapctl() {
        "$CLIENT" --address=unix:path=/nonexistent "$@"
        echo 1
}
id=1
"""
# What examples read.
FILES = {
    "pc.json": "{}",
    "tree.txt": "address-space: I/O\n  0000-ffff (prio 0, i/o): io\n",
    "flat.txt": 'FlatView #0\n AS "I/O", root: io\n  0000-ffff (prio 0, i/o): io\n',
}
CONNECTS = "guestmapctl: cannot connect to unix:path=/nonexistent: No such file or directory"


def try_example(client, example):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in FILES.items():
            (pathlib.Path(directory) / name).write_text(text, encoding="utf-8")
        result = subprocess.run(["sh", "-c", SHELL + example], cwd=directory, capture_output=True,
                                text=True, env={"CLIENT": client}, stdin=subprocess.DEVNULL,
                                timeout=20, check=False)
    told = result.stderr.splitlines()
    yield from (f"example: {line}" for line in told if line != CONNECTS)
    if not told:
        yield "example: asks nothing of the service"


def check_verb(client, verb):
    page = pages.run(client, *verb.words, "--help")
    lines = page.splitlines()
    example = page.partition("\nExample\n")[2]

    if pages.run(client, "help", *verb.words) != page:
        yield f"help {verb.name} prints something else"
    if lines[0] != f"guestmapctl [OPTIONS] {verb.synopsis}":
        yield f"first line: {lines[0]}"
    if len(lines) > LINES:
        yield f"{len(lines)} lines; a terminal has room for {LINES}"
    yield from (f"{len(line)} columns: {line}" for line in lines if len(line) > COLUMNS)
    if not re.search(rf"\bguestmapctl {verb.name}\b", example):
        yield "no example of the verb: see .example in client/verb.c"
        return
    yield from try_example(client, example)


def check_group(client, word, verbs):
    page = pages.run(client, word, "--help")
    if pages.run(client, "help", word) != page:
        yield f"help {word} prints something else"
    yield from (f"{verb.name} is missing" for verb in verbs if f"\n  {verb.synopsis}" not in page)


def main(client):
    client = str(pathlib.Path(client).resolve())
    verbs = pages.verbs(client)
    groups = {verb.words[0]: [] for verb in verbs if len(verb.words) > 1}
    for verb in verbs:
        groups.get(verb.words[0], []).append(verb)
    tap.run([(f"{verb.name} --help", lambda v=verb: check_verb(client, v)) for verb in verbs]
            + [(f"{word} --help", lambda w=word: check_group(client, w, groups[w]))
               for word in groups])


main(*sys.argv[1:])
