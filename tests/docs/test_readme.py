"""What the README says works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from cryowidgets.cli import main


@pytest.fixture(scope="module")
def readme(checkout) -> str:
    return (checkout / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def test_the_python_in_it_runs(readme, tmp_path):
    (code,) = blocks(readme, "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("FoilHole_") == 3


def test_its_commands_and_their_options_exist(readme):
    typed = [line.split("#")[0] for block in blocks(readme, "sh") for line in block.splitlines()]
    ours = [shlex.split(line.rstrip(" &")) for line in typed if line.startswith("cryowidgets ")]
    assert ours
    for _, name, *arguments in ours:
        command = main.commands[name]
        options = {
            o for p in command.get_params(command.make_context(name, [], resilient_parsing=True)) for o in p.opts
        }
        assert {a for a in arguments if a.startswith("--")} <= options, name


def test_its_make_targets_exist(readme, checkout):
    makefile = (checkout / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)\b", readme.replace("`make`", "")):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_its_links_lead_somewhere(readme, checkout):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert links
    for link in links:
        assert (checkout / link).exists(), link
