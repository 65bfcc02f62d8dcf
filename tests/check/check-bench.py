#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each target of a benchmark is about rows that some benchmark prints, with the fields it needs."""

import pathlib
import sys

import tap


def missing(programs, part):
    """Fields that the part needs and no program prints that prints such rows."""
    printing = [text for text in programs if f'\\"bench\\":\\"{part.match["bench"]}\\"' in text]
    if not printing:
        return [f'no benchmark prints "bench":"{part.match["bench"]}"']
    return [f"{part.match['bench']}: no field {field}" for field in (part.field, *part.match)
            if not any(f'\\"{field}\\":' in text for text in printing)]


def main(root):
    tests = pathlib.Path(root) / "tests"
    sys.path.append(str(tests))
    from bench_targets import TARGETS
    programs = [path.read_text(encoding="utf-8") for path in (tests / "bench").glob("bench-*.c")]
    tap.run([(target.words, lambda target=target: [problem for part in target.measure.parts()
                                                   for problem in missing(programs, part)])
             for target in TARGETS])


main(sys.argv[1])
