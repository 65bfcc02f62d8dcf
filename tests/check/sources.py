# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project's own files, found by walking its folders (there may be no git)."""

import pathlib

FOLDERS = ("api", "client", "daemon", "lib", "man", "systemd", "tests")


def files(root, *suffixes, folders=FOLDERS):
    """Paths below the folders that end in one of the suffixes, relative to root, sorted."""
    root = pathlib.Path(root)
    found = (path for folder in folders for path in (root / folder).rglob("*"))
    return sorted(path.relative_to(root) for path in found
                  if path.is_file() and path.suffix in suffixes)


def lines(root, path):
    return (pathlib.Path(root) / path).read_text(encoding="utf-8").splitlines()
