#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counts the single cases of meson's test runs, for ./dev test.

    summary.py BUILD-DIRECTORY|LOG-FILE …

A build directory stands for what its last "meson test" ran. Any other file is one failed case, with
its contents as what went wrong: a sanitizer's report, or a list of descriptors left open. Skipped
and failed cases are named, with the reason, before the last line: "N passed, N failed".

A program that ends badly although each of its cases passed, and one that has run no case at all
without saying why, is a failed case too: nothing passes by silence.
"""

import collections
import json
import pathlib
import re
import sys

CASE = re.compile(r"^(?P<bad>not )?ok\b *(?P<name>[^#\n]*)(?:# *(?P<word>\w+) *(?P<why>.*))?$",
                  re.MULTILINE)
SKIPPED_ALL = re.compile(r"^1\.\.0 *# *skip\S* *(.*)$", re.MULTILINE | re.IGNORECASE)
GOOD = ("OK", "EXPECTEDFAIL")


def cases_of(test):
    """(result, name, reason) for each case of a program's output."""
    for match in CASE.finditer(test["stdout"]):
        if (match["word"] or "").lower().startswith("skip"):
            yield "skipped", match["name"].strip(), match["why"].strip()
        else:
            yield "failed" if match["bad"] else "passed", match["name"].strip(), ""


def last_line(test):
    text = test["stdout"] + test.get("stderr", "")
    return (text.strip().splitlines() or [""])[-1]


def results_of(test):
    cases = list(cases_of(test))
    yield from cases
    all_skipped = SKIPPED_ALL.search(test["stdout"])
    if test["result"] in GOOD:
        if not cases:
            yield "passed", "", ""
    elif test["result"] != "SKIP":
        if not any(result == "failed" for result, _, _ in cases):
            yield "failed", test["result"].lower(), f"exit status {test['returncode']}"
    elif not cases:
        if all_skipped or test["returncode"] == 77:
            yield "skipped", "", all_skipped[1] if all_skipped else last_line(test)
        else:
            yield "failed", "ran nothing", "no case, and no reason for it"


def results_of_build(build):
    log = build / "meson-logs" / "testlog.json"
    if not log.exists():
        yield "failed", str(build), "no test has run here"
        return
    for line in log.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        test["stdout"] = test.get("stdout") or ""
        for result, name, why in results_of(test):
            where = f"{build.resolve().name}: {test['name'].split(':')[-1]}"
            yield result, f"{where} {name}".strip(), why


def results_of_path(path):
    if path.is_dir():
        yield from results_of_build(path)
    else:
        text = path.read_text(encoding="utf-8", errors="replace")
        yield "failed", str(path), "\n    ".join(["", *text.splitlines()[:40]])


def main(paths):
    count = collections.Counter()
    for path in map(pathlib.Path, paths):
        for result, name, why in results_of_path(path):
            count[result] += 1
            if result != "passed":
                print(f"{result}: {name}{': ' if why else ''}{why}")
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{skipped}")
    return count["failed"] > 0 or count["passed"] == 0


sys.exit(main(sys.argv[1:]))
