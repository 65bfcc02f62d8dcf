#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Runs the benchmarks of a folder, for ./dev bench: their lines of JSON as they come, then tables of
them, then what they should come to and whether they do.

    bench-table.py DIRECTORY
"""

import json
import os
import pathlib
import subprocess
import sys

import bench_targets


def run(program):
    """The rows that a benchmark prints; prints them too."""
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            yield json.loads(line)
    if process.returncode != 0:
        sys.exit(f"{program}: exit status {process.returncode}")


def cell(value):
    return value if isinstance(value, str) else json.dumps(value)


def table(rows):
    """Rows with the same keys stand together, under their keys."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append([cell(value) for value in row.values()])
    for keys, lines in groups.items():
        widths = [max(map(len, column)) for column in zip(keys, *lines)]
        print()
        for line in [keys, *lines]:
            print("  ".join(word.rjust(width) for word, width in zip(line, widths)))


def main(folder):
    programs = sorted(path for path in pathlib.Path(folder).glob("bench-*")
                      if path.is_file() and os.access(path, os.X_OK))
    if not programs:
        sys.exit(f"no benchmark in {folder}")
    rows = [row for program in programs for row in run(program)]
    table(rows)
    print()
    print("\n".join(bench_targets.summary(rows)))


main(sys.argv[1])
