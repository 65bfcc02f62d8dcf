#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""House rules that can be counted: lengths, the licence line, described options."""

import ast
import re
import shutil
import statistics
import subprocess
import sys

import sources
import tap

C_LINES_MAX = 500
H_LINES_MAX = 150
COLUMNS_MAX = 100
FUNCTION_MAX = 80
FUNCTION_90_PERCENT = 40
FUNCTION_MEDIAN = 15
PROGRAM = ("api", "client", "daemon", "lib")
# A function's, at the beginning of its line; macros are in capitals.
DECLARATION = re.compile(r"(?!static|typedef|return)[a-zA-Z_][\w \*]*?[ \*]([a-z]\w*)\(")


def check_file_lengths(root):
    for path in sources.files(root, ".c", ".h"):
        n = len(sources.lines(root, path))
        limit = C_LINES_MAX if path.suffix == ".c" else H_LINES_MAX
        if n > limit:
            yield f"{path}: {n} lines, {limit} are allowed"


def check_columns(root):
    # Not scripts: what they expect to be printed cannot be wrapped.
    for path in sources.files(root, ".c", ".h", ".py", ".xml"):
        for number, line in enumerate(sources.lines(root, path), 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: {len(line)} columns, {COLUMNS_MAX} are allowed"
            if line != line.rstrip() or "\t" in line:
                yield f"{path}:{number}: a tab, or blanks at its end"


def functions(root):
    """(length, path, name) of every function of the programs and libraries."""
    if not shutil.which("ctags"):
        raise tap.Skip("no ctags here")
    paths = [str(path) for path in sources.files(root, ".c", ".h", folders=PROGRAM)]
    listing = subprocess.run(["ctags", "-x", "--kinds-C=f", "--fields=+ne",
                              "--_xformat=%n %{end} %F %N", *paths],
                             cwd=root, check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        first, last, path, name = line.split(" ", 3)
        if last != "-":
            yield int(last) - int(first) + 1, path, name


def check_function_lengths(root):
    for length, path, name in functions(root):
        if length > FUNCTION_MAX:
            yield f"{path}: {name}() has {length} lines, {FUNCTION_MAX} are allowed"


def check_function_shape(root):
    lengths = sorted(length for length, _, _ in functions(root))
    if not lengths:
        yield "ctags found no function"
        return
    median, ninety = statistics.median(lengths), lengths[len(lengths) * 9 // 10]
    print(f"# {len(lengths)} functions: median {median:g} lines, 90 % {ninety}, most {lengths[-1]}")
    if median > FUNCTION_MEDIAN:
        yield f"the median of functions' lengths is {median:g}, above {FUNCTION_MEDIAN}"
    if ninety > FUNCTION_90_PERCENT:
        yield f"a tenth of the functions is longer than {FUNCTION_90_PERCENT} lines"


def check_licence(root):
    for path in sources.files(root, ".c", ".h", ".py", ".sh", ".xml"):
        if not any("SPDX-License-Identifier: LGPL-2.1-or-later" in line
                   for line in sources.lines(root, path)[:3]):
            yield f"{path}: no SPDX line at its head"


def undescribed(paragraph):
    """The functions that no comment stands before; what the house rules say of all is known."""
    described = False
    for line in paragraph.split("\n"):
        described = described or re.match(r"\s*(/\*| \*)", line) is not None
        if (name := DECLARATION.match(line)) and not described:
            yield name[1]


def check_descriptions(root):
    """Each function that the library declares: what it does, its units, how it can fail."""
    for path in sources.files(root, ".h", folders=("lib",)):
        for paragraph in re.split(r"\n\s*\n", "\n".join(sources.lines(root, path))):
            yield from (f"{path}: {name}() is not described" for name in undescribed(paragraph)
                        if not re.search(r"_(ref|unref|free|deinit)$", name))


def check_options(root):
    text = "\n".join(sources.lines(root, "meson_options.txt"))
    calls = re.findall(r"^option\((.*?)\)\s*$", text, re.MULTILINE | re.DOTALL)
    if not calls:
        yield "no option found"
    for call in calls:
        description = re.search(r"description:\s*('(?:[^'\\]|\\.)*')", call)
        if not description or not ast.literal_eval(description.group(1)).strip():
            yield f"option {call.split(',')[0]} is not described"


def main(root):
    tap.run([("files are short", lambda: check_file_lengths(root)),
             ("lines are short", lambda: check_columns(root)),
             ("functions are short", lambda: check_function_lengths(root)),
             ("most functions are very short", lambda: check_function_shape(root)),
             ("sources name their licence", lambda: check_licence(root)),
             ("functions of the library are described", lambda: check_descriptions(root)),
             ("options of the build are described", lambda: check_options(root))])


main(sys.argv[1])
