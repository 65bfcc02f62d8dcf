#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Of every D-Bus member and every public function it is told whose rule it follows (rules.py).

Names of KVM's are compared with the kernel's header.
"""

import pathlib
import re
import sys

import rules
import sources
import tap

KVM_HEADER = pathlib.Path("/usr/include/linux/kvm.h")


def told(path):
    """All that is named in a file; "" where something should be and is not."""
    if path.suffix == ".h":
        return rules.of_header(path)
    found = rules.of_interface(path)
    return [found.pop(path.stem, ""), *found.values()]


def check(path):
    for source in told(path):
        if not source:
            yield "a comment names no source, or not as its last sentence"
        else:
            yield from (f"what is {piece!r}?" for piece in rules.unknown(source))


def check_kvm(paths):
    if not KVM_HEADER.exists():
        raise tap.Skip(f"no {KVM_HEADER} here")
    known = re.findall(r"^#define (KVM_\w+)", KVM_HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    for path in paths:
        yield from (f"{path.name}: there is no {name}"
                    for name in re.findall(r"KVM_\w+", "; ".join(told(path))) if name not in known)


def main(root):
    root = pathlib.Path(root)
    interfaces = sorted((root / "api").glob("*.xml"))
    headers = [root / path for path in sources.files(root, ".h", folders=["lib"])]
    tap.run([(str(path.relative_to(root)), lambda path=path: check(path))
             for path in interfaces + headers]
            + [("what is KVM's is there", lambda: check_kvm(interfaces + headers)),
               ("there are headers", lambda: [] if headers else ["lib/ has none"])])


main(sys.argv[1])
