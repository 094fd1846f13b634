# SPDX-License-Identifier: Apache-2.0
"""rules.md and the scripts agree: a rule is proved by the scripts that it names, and no script names another rule."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent
RULE = re.compile(r"MQTT5?(?:-[\d.]+-\d+| [\d.]*\d)")
NAME = re.compile(r"\b\d\d-[a-z0-9-]+/\d\d-[a-z0-9-]+")
STATEMENTS = {"MQTT-": 141, "MQTT5-": 251}


def rows():
    """(rule, what it says, scripts or reason) of each line of the tables."""
    for line in (ROOT / "rules.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| MQTT"):
            assert len(cells) == 3, line
            yield cells


def rules_of(path):
    comment = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line[1:].strip())
    return re.findall(rf"\[({RULE.pattern})\]", " ".join(comment))


RULES_OF = {str(path.relative_to(ROOT).with_suffix("")): rules_of(path) for path in sorted(ROOT.glob("*/*.wire"))}


@pytest.mark.parametrize("prefix", STATEMENTS)
def test_all_statements_are_there_once(prefix):
    listed = [rule for rule, _, _ in rows() if rule.startswith(prefix)]
    assert len(listed) == len(set(listed)) == STATEMENTS[prefix]


def test_each_rule_is_proved_or_says_why_not():
    for rule, says, shown in rows():
        assert RULE.fullmatch(rule) and says and shown, rule


def test_named_scripts_exist_and_prove_the_rule():
    for rule, _, shown in rows():
        for name in NAME.findall(shown):
            assert name in RULES_OF, f"{rule}: {name} is not there"
        if not re.sub(rf"{NAME.pattern}|, ", "", shown):  # names alone
            for name in NAME.findall(shown):
                assert rule in RULES_OF[name], f"{name} does not say {rule}"


def test_each_script_names_rules_of_the_list():
    known = {rule for rule, _, _ in rows()}
    assert len(RULES_OF) >= 250
    for name, rules in RULES_OF.items():
        assert rules, f"{name} names no rule"
        assert set(rules) <= known, f"{name}: {set(rules) - known}"


def test_scripts_are_numbered_without_gaps():
    for folder in {name.split("/")[0] for name in RULES_OF}:
        numbers = [int(name.split("/")[1][:2]) for name in RULES_OF if name.startswith(folder + "/")]
        assert numbers == list(range(1, len(numbers) + 1)), folder
