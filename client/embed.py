#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A file as bytes in a C header, with a NUL behind them.

    embed.py NAME FILE >HEADER
"""

import pathlib
import sys

name, path = sys.argv[1:]
data = pathlib.Path(path).read_bytes() + b"\0"
print(f"#pragma once\n\nstatic const unsigned char {name}[] = {{")
for start in range(0, len(data), 16):
    print(" ".join(f"{byte}," for byte in data[start:start + 16]))
print("};")
