"""As whom a kiosk runs, and what is said where it cannot."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from cryowidgets.errors import ParameterError, ProjectError
from cryowidgets.widgets.accounts import Account, account, check

ROOT = os.geteuid() == 0
ME = Account("me", os.geteuid(), os.getegid())


def test_there_are_users_by_name_and_by_number():
    with pytest.raises(ParameterError, match="no user 'nobody-of-that-name'"):
        account("nobody-of-that-name")
    for root in ("root", "0"):
        with pytest.raises(ParameterError, match="Root may change every project"):
            account(root)


@pytest.mark.skipif(not ROOT, reason="only root may become another")
def test_root_becomes_any_other():
    nobody = pwd.getpwnam("nobody")
    assert account("nobody") == account(str(nobody.pw_uid))
    assert (account("nobody").uid, account("nobody").gid) == (nobody.pw_uid, nobody.pw_gid)
    made_up = account("54321")
    assert (made_up.name, made_up.uid, made_up.gid, made_up.groups) == ("54321", 54321, 54321, ())
    assert made_up.process() == {"user": 54321, "group": 54321, "extra_groups": [], "umask": 0o077}


def test_others_are_told_how_it_goes(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    with pytest.raises(ParameterError, match="sudo cryowidgets serve … --user 54321"):
        account("54321")
    assert account("1234").process() == {"umask": 0o077}


def test_nothing_of_ours_is_handed_on(monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "secret")
    found = ME.environment(Path("/private"))
    assert "MY_PASSWORD" not in found
    assert found["HOME"] == found["TMPDIR"] == "/private"


def test_who_may_write_is_no_viewer(tmp_path):
    (tmp_path / "project.sqlite").touch()
    with pytest.raises(ProjectError, match=r"me may write to .* choose a user who owns nothing there"):
        check(ME, tmp_path)
