#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each message id of the daemons is explained by the catalog, and used; the catalog is valid."""

import pathlib
import re
import subprocess
import sys
import tempfile

import tap

ID = re.compile(r'^#define (MESSAGE_\w+)\s+"([0-9a-f]{32})"$', re.M)


def check_ids(root):
    ids = dict(ID.findall((root / "daemon/common/message-ids.h").read_text(encoding="utf-8")))
    catalog = (root / "systemd/guestmap.catalog").read_text(encoding="utf-8")
    explained = re.findall(r"^-- ([0-9a-f]+)$", catalog, re.M)
    used = "".join(path.read_text(encoding="utf-8") for path in (root / "daemon").rglob("*.c"))
    for name, value in ids.items():
        if explained.count(value) != 1:
            yield f"{name}: the catalog has {explained.count(value)} entries {value}"
        if not re.search(rf"\b{name}\b", used):
            yield f"{name} is never logged"
    for value in set(explained) - set(ids.values()):
        yield f"no message has the id {value} that the catalog explains"


def check_format(root):
    with tempfile.TemporaryDirectory() as directory:
        into = pathlib.Path(directory)
        (into / "usr/lib/systemd/catalog").mkdir(parents=True)
        (into / "var/lib/systemd/catalog").mkdir(parents=True)
        (into / "usr/lib/systemd/catalog/guestmap.catalog").write_bytes(
            (root / "systemd/guestmap.catalog").read_bytes())
        try:
            done = subprocess.run(["journalctl", f"--root={into}", "--update-catalog"], text=True,
                                  capture_output=True, timeout=30, check=False)
        except FileNotFoundError as why:
            raise tap.Skip("there is no journalctl") from why
        if done.returncode != 0 or done.stderr:
            yield done.stderr.strip() or f"exit status {done.returncode}"


def main(root):
    tap.run([("each message id is explained once, and used", lambda: check_ids(root)),
             ("the catalog can be compiled", lambda: check_format(root))])


main(pathlib.Path(sys.argv[1]))
