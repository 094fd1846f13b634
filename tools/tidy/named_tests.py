# SPDX-License-Identifier: Apache-2.0
"""Tests that Markdown names as `file::name` must be there: a table of behaviour that points nowhere proves nothing."""
import re

NAMED = re.compile(r"`([\w.]+_test\.cc|test_\w+\.py)::(\w+)`")


def missing(text, sources):
    """(line, file, name) of each test that `text` names and no source has. `sources`: file name -> list of texts."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for file, name in NAMED.findall(line):
            form = rf"^def {name}\(" if file.endswith(".py") else rf"^TEST(?:_F|_P)?\(\w+,\s*{name}\)"
            if not any(re.search(form, source, re.M) for source in sources.get(file, [])):
                found.append((number, file, name))
    return found
