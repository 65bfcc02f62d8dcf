# SPDX-License-Identifier: LGPL-2.1-or-later
"""A case a line, as TAP has it: what the checks in this folder print."""

import sys


class Skip(Exception):
    """A case that cannot be run here; the text says why."""


def run(cases):
    """Runs (name, function) pairs, a function returns what is wrong as a list; ends the program."""
    failed = 0
    print(f"1..{len(cases)}")
    for number, (name, function) in enumerate(cases, 1):
        try:
            problems = list(function())
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
            continue
        for problem in problems:
            print(f"# {problem}")
        print(f"{'not ok' if problems else 'ok'} {number} - {name}", flush=True)
        failed += bool(problems)
    sys.exit(failed > 0)
