#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every header compiles alone, and twice in a row."""

import subprocess
import sys

import sources
import tap


def check(root, path, compiler):
    text = f'#include "{path}"\n' * 2
    result = subprocess.run([*compiler, "-I", root, "-x", "c", "-fsyntax-only", "-"],
                            input=text, capture_output=True, text=True, timeout=60)
    return result.stderr.splitlines()[:5] if result.returncode else []


def main(root, *compiler):
    tap.run([(str(path), lambda path=path: check(root, path, compiler))
             for path in sources.files(root, ".h")])


main(*sys.argv[1:])
