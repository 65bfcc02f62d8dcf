# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guestmapctl's --help says, for the checks in this folder."""

import re
import subprocess
from typing import NamedTuple


class Verb(NamedTuple):
    name: str
    synopsis: str

    @property
    def words(self):
        return self.name.split()

    @property
    def arguments(self):
        return self.synopsis.split()[len(self.words):]


def run(client, *words):
    return subprocess.run([client, *words], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=20).stdout


def verbs(client):
    """From the lines of --help that begin with a verb."""
    table = run(client, "--help").split("\nOptions\n")[0]
    synopses = [re.split(r"  +", line.strip())[0]
                for line in re.findall(r"^  ([a-z].*)$", table, re.MULTILINE)]
    return [Verb(" ".join(re.findall(r"(?:^| )([a-z-]+)(?= |$)", synopsis)), synopsis)
            for synopsis in synopses]


def options(client, *verb):
    """Those of a verb, or those of all verbs; with a = behind if they take an argument."""
    page = run(client, *verb, "--help").split("\nOptions")
    return re.findall(r"^  .. (--[a-z-]+=?)", page[1] if len(page) > 1 else "", re.MULTILINE)
