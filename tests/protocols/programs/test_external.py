"""A program is found, asked, run with limits, ended in time; what goes wrong is said with the end of its log."""

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import Unicode

from cryowidgets.errors import ParameterError, ProgramError
from cryowidgets.model import Micrograph
from cryowidgets.protocols.external import GpuProgram, Program, command
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers, parse_version


class Echo(Program):
    """A program of no use."""

    takes = Micrograph
    gives = Micrograph
    program = "Echo"
    names = ("cw-echo", "cw-echo2")
    variable = "CRYOWIDGETS_ECHO"

    word = Unicode("hello")


class GpuEcho(GpuProgram, Echo):
    """The same on a GPU."""


@pytest.fixture
def echo(fake):
    return fake("cw-echo", "--word -x", "Echo version 2.3.1").gives("result.txt", "done\n")


def test_it_is_found_by_parameter_then_variable_then_path(echo, fake, monkeypatch, tmp_path):
    other = fake("cw-echo2", "", "")
    third = fake("elsewhere", "", "")
    monkeypatch.setenv("PATH", str(other.folder), prepend=os.pathsep)
    assert Echo().find() == other.path
    monkeypatch.setenv("PATH", str(echo.folder), prepend=os.pathsep)
    assert Echo().find() == echo.path
    monkeypatch.setenv("CRYOWIDGETS_ECHO", str(third.path))
    assert Echo().find() == third.path
    assert Echo(executable="cw-echo2").find() == other.path
    assert Echo(executable=str(echo.path)).find() == echo.path


def test_a_missing_program_is_one_sentence_with_what_to_set(monkeypatch):
    monkeypatch.delenv("CRYOWIDGETS_ECHO", raising=False)
    with pytest.raises(ProgramError) as caught:
        Echo().find()
    assert str(caught.value) == (
        "Echo is not on this machine: set Echo.executable or the environment variable CRYOWIDGETS_ECHO to its path, "
        "or put cw-echo on the PATH of the workers."
    )


def test_what_was_set_and_is_no_program_is_named(tmp_path, monkeypatch):
    plain = tmp_path / "echo"
    plain.write_text("#!/bin/sh\n")
    with pytest.raises(ProgramError, match=f"^Echo.executable is {plain}, which is a file that may not be run: write"):
        Echo(executable=str(plain)).find()
    monkeypatch.setenv("CRYOWIDGETS_ECHO", "/no/echo")
    with pytest.raises(ProgramError, match="^The variable CRYOWIDGETS_ECHO is /no/echo, which is no program on this"):
        Echo().find()


def test_it_runs_in_a_fresh_folder_with_limits_and_leaves_its_log(echo, out, project, three_threads):
    with Echo(executable=str(echo.path), arguments="-x 'two words'").run(out) as run:
        assert (run.program, run.version) == ("Echo", "2.3.1")
        said = run(command("--word", "hello", 2.5, None, "", stdin="yes\n"))
        assert run.text("result.txt") == "done\n" and said == "working\n"
        folder = run.folder
    (given,) = echo.runs
    assert given["arguments"] == ["--word", "hello", "2.5", "-x", "two words"]
    assert given["told"] == "yes\n" and given["folder"] == str(folder.resolve())
    assert [name for name in given["files"] if name != ".stdin"] == []
    assert given["environment"] == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": ""}
    out.commit()
    assert not folder.exists()
    assert os.listdir(project / "steps" / "one") == ["m001.log"]
    log = (project / "steps" / "one" / "m001.log").read_text()
    assert log.startswith("# Echo 2.3.1\n# ") and log.endswith("-x 'two words'\nworking\n")


def test_an_error_has_its_code_and_the_end_of_the_log(echo, out, project):
    echo.play(mode="fails", says="\n".join(f"line {i}" for i in range(100)))
    with pytest.raises(ProgramError) as caught, Echo(executable=str(echo.path)).run(out) as run:
        run(command())
    log = project / "steps" / "one" / "m001.log"
    assert str(caught.value) == (
        f"Echo ended with error 3. It said last: line 98 / line 99 / CUDA error: out of memory The whole is in {log}."
    )
    assert "line 61\n" in caught.value.__notes__[0] and "line 60\n" not in caught.value.__notes__[0]
    out.discard()
    assert "line 0\n" in log.read_text()  # stays, though the task failed


def test_a_crash_names_the_signal(echo, out):
    echo.play(mode="crashes")
    with pytest.raises(ProgramError, match="^Echo was ended by SIGABRT. It said last: working The whole"):
        with Echo(executable=str(echo.path)).run(out) as run:
            run(command())


def test_one_that_hangs_is_ended_with_all_that_it_started(echo, out):
    echo.play(mode="hangs")
    with pytest.raises(ProgramError, match=r"^Echo took longer than 0.6 s and was ended. It said last: working"):
        with Echo(executable=str(echo.path), timeout=0.01).run(out) as run:
            run(command())
    assert not _running(str(echo.path))


def _running(path):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if path in file.read():
                    return True
        except OSError:
            continue
    return False


def test_what_it_did_not_write_is_said(echo, out):
    echo.gives("empty.txt", "")
    with Echo(executable=str(echo.path)).run(out) as run:
        run(command())
        with pytest.raises(ProgramError, match=r"^Echo ended without an error but did not write other.txt. It said"):
            run.text("other.txt")
        with pytest.raises(ProgramError, match="but left empty empty.txt"):
            run.file("empty.txt")


def test_a_second_attempt_sees_nothing_of_the_first(echo, project):
    for mode in ("works", "silent"):
        if mode == "silent":
            (echo.folder / "gives" / "result.txt").unlink()
        out = Out(project, "steps/one", "m001")
        with Echo(executable=str(echo.path)).run(out) as run:
            run(command())
            assert (run.folder / "result.txt").exists() == (mode == "works")
        out.discard()


def test_a_version_is_asked_once_as_long_as_the_file_is_the_same(echo, project):
    for greeting, version in (("Echo version 2.3.1", "2.3.1"), ("Echo version 9.9", "2.3.1")):
        echo.play(greeting=greeting)
        with Echo(executable=str(echo.path)).run(Out(project, "steps/one", "a")) as run:
            assert run.version == version
    os.utime(echo.path, (1, 1))
    with Echo(executable=str(echo.path)).run(Out(project, "steps/one", "a")) as run:
        assert run.version == "9.9"


@pytest.mark.parametrize(
    "said, names, version",
    [
        ("MotionCor3 version 1.2.1\nBuilt on May 14 2025\n", ("MotionCor3",), "1.2.1"),
        ("RELION version: 5.0.1-commit-d476e6 \nPrecision: BASE=double, CUDA-ACC=single\n", (), "5.0.1-commit-d476e6"),
        ("** Welcome to Ctffind **\n\n  Version : 5.0.2\n Library Version : 2.0.0-alpha-151-d42312b\n", (), "5.0.2"),
        ("== CUDA ==\nCUDA Version 11.6.1\n", ("MotionCor2",), ""),
        ("0.3.20\n", ("topaz",), "0.3.20"),
        ("TOPAZ 0.2.5\n", ("topaz",), "0.2.5"),
        ("Gctf_v1.18_sm30-75_cu10.1", ("Gctf",), "1.18"),
        ("MotionCor2_1.6.4_Cuda121_Mar312023", ("MotionCor2",), "1.6.4"),
        ("Gautomatch-v0.56_sm62_cu8.0", ("Gautomatch",), "0.56"),
        ("usage: program [-h]", ("program",), ""),
    ],
)
def test_versions_as_programs_say_them(said, names, version):
    assert parse_version(said, names) == version


@given(st.lists(st.integers(0, 99), min_size=2, max_size=4), st.lists(st.integers(0, 99), min_size=2, max_size=4))
def test_versions_compare_by_their_numbers(first, second):
    texts = [".".join(map(str, version)) for version in (first, second)]
    assert (numbers(texts[0]) < numbers(texts[1])) == (first < second)
    assert numbers(f"{texts[0]}-beta") == tuple(first) and numbers("beta") == ()


def test_tasks_share_gpus_and_each_has_one(echo, project):
    two = GpuEcho(executable=str(echo.path), gpu="6,7")
    with two.run(Out(project, "steps/one", "a")) as first, two.run(Out(project, "steps/one", "b")) as second:
        taken = {run.environment["CUDA_VISIBLE_DEVICES"] for run in (first, second)}
        assert taken == {"6", "7"}
        waiting = threading.Event()

        def third():
            with two.run(Out(project, "steps/one", "c")) as run:
                taken.add(f"then {run.environment['CUDA_VISIBLE_DEVICES']}")
            waiting.set()

        thread = threading.Thread(target=third)
        thread.start()
        assert not waiting.wait(0.3)
    thread.join(10)
    assert waiting.is_set() and len(taken) == 3


def test_the_gpu_is_what_the_worker_was_given(echo, out, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-123abc")
    with GpuEcho(executable=str(echo.path)).run(out) as run:
        run(command())
    assert echo.runs[0]["environment"]["CUDA_VISIBLE_DEVICES"] == "GPU-123abc"
    assert GpuEcho.resources == {"GPU": 1} and Echo.resources == {}


def test_arguments_that_cannot_be_cut_into_words_are_refused():
    with pytest.raises(ParameterError, match=r"Echo.arguments .* cannot be cut into words: No closing quotation"):
        Echo(arguments="-x 'two")


def test_one_that_asks_for_ever_is_not_waited_for(tmp_path, out):
    chatter = tmp_path / "cw-echo"
    chatter.write_text("#!/bin/sh\necho 'Echo version 4.5'\nwhile true; do echo 'Input file name:'; done\n")
    chatter.chmod(0o755)
    begun = time.monotonic()
    with Echo(executable=str(chatter)).run(out) as run:
        assert run.version == "4.5"
    assert time.monotonic() - begun < 40  # it would be asked for 60 s
