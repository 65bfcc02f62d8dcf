#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A program that is wrong, which a torture or a sanitizer must notice.

    caught.py WORDS PROGRAM [ARGUMENT …]

Passes if the program fails, and prints one of the WORDS (a regular expression) or ends by a signal.
"""

import os
import re
import subprocess
import sys

# What sanitizers say belongs to this test, not to whoever collects what goes wrong.
environment = dict(os.environ)
for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
    environment[name] = f"{os.environ.get(name, '')}:log_path=stderr:halt_on_error=1"


def main(words, *command):
    result = subprocess.run(command, capture_output=True, text=True, errors="replace",
                            env=environment, timeout=50)
    output = result.stdout + result.stderr
    found = re.search(words, output)
    caught = result.returncode < 0 or result.returncode > 0 and found
    print("1..1")
    print(f"# exit status {result.returncode}: {found[0] if found else output[-500:]!r}")
    print(f"{'ok' if caught else 'not ok'} 1 - {os.path.basename(command[0])} is caught")
    sys.exit(not caught)


main(*sys.argv[1:])
