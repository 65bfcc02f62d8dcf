#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is installed, and that a program with a map of its own can be built on it.

    check-install.py SOURCE-ROOT BUILD MESON LIBDIR COMPILER…

The files are those of installed.txt beside this file, and the headers of lib.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tap

HERE = pathlib.Path(__file__).parent

# What examples/hotplug.c prints.
EXAMPLE = """\
+ memory 0-0x3fffffff ram
+ memory 0x100000000-0x13fffffff dimm0
generation 3
slot 0: 0-0x3fffffff
slot 1: 0x100000000-0x13fffffff
refused: region "dimm0" exists
- memory 0-0x3fffffff ram
- memory 0x100000000-0x13fffffff dimm0
"""


class Installation:
    def __init__(self, root, build, meson, libdir, compiler):
        self.root, self.build, self.meson = pathlib.Path(root), build, meson
        self.libdir, self.compiler = libdir, compiler
        self.tree = pathlib.Path(tempfile.mkdtemp())

    def install(self):
        result = subprocess.run([*self.meson, "install", "-C", self.build, "--no-rebuild",
                                 "--quiet", "--destdir", str(self.tree)],
                                capture_output=True, text=True, timeout=120, check=False)
        return result.stderr.splitlines() if result.returncode else []

    def files(self):
        return [path for path in self.tree.rglob("*") if not path.is_dir()]

    def headers(self):
        return [path.relative_to(self.root) for path in self.root.glob("lib/**/*.h")]

    def check_list(self):
        there = {str(path.relative_to(self.tree)) for path in self.files()}
        wanted = set((HERE / "installed.txt").read_text(encoding="utf-8")
                     .replace("@libdir@", self.libdir).split())
        wanted |= {f"usr/include/guestmap/{path}" for path in self.headers()}
        yield from (f"not installed: {path}" for path in sorted(wanted - there))
        yield from (f"nobody has asked for: {path}" for path in sorted(there - wanted))

    def check_modes(self):
        for path in self.files():
            program = re.match(r"usr/(bin|libexec)/", str(path.relative_to(self.tree)))
            mode, wanted = path.stat().st_mode & 0o7777, 0o755 if program else 0o644
            if mode != wanted:
                yield f"{path.name}: mode {mode:o} instead of {wanted:o}"

    def check_places(self):
        """Where it was built and put before it is where it belongs is nobody's business."""
        for path in self.files():
            content = path.read_bytes()
            for place in (self.tree, self.root.resolve(), pathlib.Path(self.build).resolve()):
                if f"{place}/".encode() in content:
                    yield f"{path.name} knows of {place}"

    def compile(self, source, program):
        flags = subprocess.run(
            ["pkg-config", f"--define-variable=prefix={self.tree}/usr", "--cflags", "--libs",
             "guestmap"], check=True, capture_output=True, text=True, timeout=20,
            env={"PATH": "/usr/bin:/bin",
                 "PKG_CONFIG_PATH": str(self.tree / "usr" / self.libdir / "pkgconfig")})
        result = subprocess.run([*self.compiler, "-Wall", "-Werror", "-o", program, source,
                                 *flags.stdout.split()],
                                capture_output=True, text=True, timeout=60, check=False)
        return result.stderr.splitlines() if result.returncode else []

    def check_example(self):
        program = str(self.tree / "hotplug")
        if problems := self.compile(str(self.root / "examples" / "hotplug.c"), program):
            return problems
        result = subprocess.run([program], capture_output=True, text=True, timeout=20, check=False)
        if result.returncode or result.stdout != EXAMPLE:
            return [f"status {result.returncode}", *(result.stdout + result.stderr).splitlines()]
        return []

    def check_headers(self):
        source = self.tree / "all.c"
        includes = [f'#include "{path}"' for path in sorted(self.headers())]
        source.write_text("\n".join([*includes, "int main(void) { return 0; }", ""]),
                          encoding="utf-8")
        return self.compile(str(source), str(self.tree / "all"))


def main(*arguments):
    root, build, meson, libdir, *compiler = arguments
    installation = Installation(root, build, meson.split(), libdir, compiler)
    try:
        tap.run([("meson install", installation.install),
                 ("the files", installation.check_list),
                 ("their modes", installation.check_modes),
                 ("nothing of where they were built", installation.check_places),
                 ("the headers, all together", installation.check_headers),
                 ("a map in a process of one's own", installation.check_example)])
    finally:
        shutil.rmtree(installation.tree)


main(*sys.argv[1:])
