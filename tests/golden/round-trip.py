#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What QEMU prints of a map, imported, loaded into a VM and printed again.

    round-trip.py GUESTMAPCTL DUMPS CORPUS

For each NAME.tree.txt and NAME.flat.txt: the views of the VM are those that the corpus expects, and
what the client prints with --mtree is, byte for byte, what QEMU has printed, but for the order of
trees and of views, which is that of a hash table there.
"""

import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tap

CLIENT, DUMPS, CORPUS = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
N_SAMPLES = 10


def client(*arguments, text=""):
    """What it prints; `text` is its standard input."""
    done = subprocess.run([CLIENT, "--user", *arguments], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"guestmapctl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def sections(view):
    return [[row["first"], row["last"], row["region"], row["offset"], row["kind"], row["flags"]]
            for row in view["sections"]]


def blocks(dump):
    """The parts of a dump, with nothing of their order in them."""
    parts = []
    for part in dump.split("\n\n"):
        lines = [re.sub(r"^(FlatView) #\d+$", r"\1", line) for line in part.split("\n")]
        spaces = sorted(line for line in lines if line.startswith(" AS "))
        parts.append(lines[:1] + spaces + [line for line in lines[1:] if line not in spaces])
    return sorted(parts)


def differences(what, printed, dump):
    ours, theirs = blocks(printed), blocks(dump)
    yield from (f"{what}: only guestmapctl prints {part}" for part in ours if part not in theirs)
    yield from (f"{what}: only QEMU prints {part}" for part in theirs if part not in ours)
    if not ours[1:] or len(printed) != len(dump):
        yield f"{what}: {len(printed)} bytes, not {len(dump)}"


def load(tree, flat):
    """A VM with what two dumps say; what is wrong with them."""
    done = json.loads(client("import-mtree", tree, flat, "--json=short"))
    client("create", "pc", "--accelerator=none", "--layout=-", text=json.dumps(done["layout"]))
    return [entry for entry in done["unknown"] if entry["unknown"] == "layout"]


def printed_again(tree, flat):
    yield from differences("tree", client("tree", "pc", "--mtree", "--disabled"), tree)
    yield from differences("flat", client("flat", "pc", "--mtree"), flat)


def round_trip(name):
    tree, flat = DUMPS / f"{name}.tree.txt", DUMPS / f"{name}.flat.txt"
    case = json.loads((CORPUS / f"{name}.json").read_text())
    try:
        yield from (f"not as the flat view has it: {entry}" for entry in load(tree, flat))
        views = json.loads(client("flat", "pc", "--json=short"))
        for space, expected in case["expected"].items():
            if space not in views or sections(views[space]) != expected:
                yield f"space {space}: {views.get(space)}, not {expected}"
        yield from printed_again(tree.read_text(), flat.read_text())
    finally:
        client("destroy", "pc")


def ask_qemu(machine, *commands):
    """What the monitor of a machine that has not begun to run prints for each command."""
    program = shutil.which("qemu-system-x86_64")
    if not program:
        raise tap.Skip("qemu-system-x86_64 is not installed")
    typed = "".join(command + "\n" for command in commands) + "quit\n"
    done = subprocess.run([program, "-machine", machine, "-accel", "tcg", "-S", "-display", "none",
                           "-serial", "none", "-monitor", "stdio"], input=typed, text=True,
                          capture_output=True, timeout=60, check=True)
    return [part.split("\n", 1)[1] for part in done.stdout.split("(qemu) ")[1:-1]]


def live(machine):
    commands = "info mtree -D", "info mtree -f", "info mtree"
    tree, flat, enabled = ask_qemu(machine, *commands)
    with tempfile.TemporaryDirectory() as directory:
        paths = [pathlib.Path(directory) / kind for kind in ("tree", "flat")]
        for path, text in zip(paths, (tree, flat)):
            path.write_text(text)
        yield from (f"not as the flat view has it: {entry}" for entry in load(*paths))
    try:
        yield from printed_again(tree, flat)
        yield from differences("enabled", client("tree", "pc", "--mtree"), enabled)
    finally:
        client("destroy", "pc")


def count():
    found = len(list(DUMPS.glob("*.tree.txt")))
    if found != N_SAMPLES:
        yield f"{found} samples, not {N_SAMPLES}"


tap.run([("all samples", count)] +
        [(path.name.removesuffix(".tree.txt"),
          functools.partial(round_trip, path.name.removesuffix(".tree.txt")))
         for path in sorted(DUMPS.glob("*.tree.txt"))] +
        [(f"a running {machine}", functools.partial(live, machine)) for machine in ("pc", "q35")])
