"""Each monitor over a real ledger: what it finds wrong opens an alert, and what comes back ends it."""

from __future__ import annotations

import pytest

from cryowidgets.model import NAN, Optics
from cryowidgets.monitors.watch import change

FOCUSED = {"defocus_u": 15200.0, "defocus_v": 14800.0, "astigmatism": 400.0, "fit_resolution": 4.0}


@pytest.fixture
def ledger(told):
    """People are told of all that opens and ends in it, which is looked at when a test ends."""
    return told


def goes_wrong_and_right(ledger, good, bad, key, text, count=25):
    """Good values say nothing, bad ones open, good ones end; then bad ones open again."""
    ledger.expose(count, **good)
    assert ledger.look() == []
    for _ in range(2):
        ledger.expose(count, **bad)
        assert ledger.look() == [f"warning {key}"]
        assert text in ledger.found[0].text
        assert ledger.found[0].exposure == ledger.count
        assert ledger.look() == []
        ledger.expose(count, **good)
        assert ledger.look() == [f"over {key}"]
        assert ledger.found[0].cleared_text


@pytest.mark.parametrize(
    "wrong, key, text",
    [
        ({"defocus_u": 60200.0, "defocus_v": 59800.0}, "defocus", "25 are above 4.00 µm; the median is 6.00 µm"),
        ({"defocus_u": 1200.0, "defocus_v": 800.0}, "defocus", "25 are below 0.30 µm"),
        ({"astigmatism": 3000.0}, "astigmatism", "25 are above 150 nm; the median is 300 nm"),
        ({"fit_resolution": 12.0}, "resolution", "25 are above 8.0 Å; the median is 12.0 Å"),
        ({"fit_resolution": NAN}, "resolution", "25 have none"),
    ],
)
def test_ctf(ledger, wrong, key, text):
    ledger.only("ctf")
    goes_wrong_and_right(ledger, FOCUSED, {**FOCUSED, **wrong}, f"ctf.{key}", text)


def test_drift(ledger):
    ledger.only("drift", early_max=20)
    goes_wrong_and_right(
        ledger, {"motion_total": 12.0}, {"motion_total": 80.0}, "drift.drift", "25 are above 45.0 Å; the median is 80.0"
    )
    ledger.expose(25, motion_early=30.0)
    assert ledger.look() == ["warning drift.early"]


def test_ice(ledger):
    ledger.only("ice", carbon_max=0.5)
    good = {**FOCUSED, "ice": 0.3}
    goes_wrong_and_right(ledger, good, {**good, "ice": 5.0}, "ice.ice", "25 are above 2.00; the median is 5.00")
    ledger.expose(25, **good, carbon=0.8)
    assert ledger.look() == ["warning ice.carbon"]


def test_particles(ledger):
    ledger.only("particles", reference=25)
    good, bad = {"picks": 200}, {"picks": 30}
    goes_wrong_and_right(ledger, good, bad, "particles.collapse", "25 are below −70 %; the median is −85 %")
    change(ledger.store, "particles", {"picks_min": 250})
    assert ledger.look() == ["warning particles.picks"]


def test_dose(ledger):
    ledger.only("dose", reference=25)
    good, bad = {"counts": 1.0}, {"counts": 0.8}
    goes_wrong_and_right(ledger, good, bad, "dose.counts", "25 are below −10.0 %; the median is −20.0 %")
    ledger.expose(50, Optics(pixel_size=0.5), counts=0.4)
    assert ledger.look() == [], "another magnification is compared with its own"
    ledger.expose(25, Optics(pixel_size=0.5), counts=0.5)
    assert ledger.look() == ["warning dose.counts"]


def test_a_slow_fading_of_the_beam_is_seen_though_no_movie_differs_from_the_one_before(ledger):
    ledger.only("dose", reference=25)
    said = []
    for n in range(60):
        ledger.expose(5, counts=1.0 - 0.003 * n)
        said += ledger.look()
    assert said == ["warning dose.counts"]


def test_the_word_of_the_step_on_the_dose(ledger):
    ledger.only("dose")
    ledger.expose(1, counts=1.0, dose_alert="")
    assert ledger.look() == []
    ledger.expose(1, counts=1.0, dose_alert="The camera counts 0.8 e/Å², where 1 was told.")
    assert ledger.look() == ["warning dose.told"]
    assert ledger.found[0].text == "The camera counts 0.8 e/Å², where 1 was told."
    ledger.expose(1, counts=1.0, dose_alert="")
    assert ledger.look() == ["over dose.told"]


def test_gain(ledger):
    ledger.only("gain")
    ledger.gain(0.05)
    assert ledger.look() == []
    ledger.gain(0.5, error=0.2)
    assert ledger.look() == [], "that may be chance"
    ledger.gain(0.5, alert="The gain in use leaves 50 % of its pattern in the frames.")
    assert ledger.look() == ["warning gain.residual"]
    assert ledger.found[0].text.startswith("The gain in use leaves 50 %") and ledger.found[0].value == pytest.approx(47)
    ledger.gain(-0.02)
    assert ledger.look() == ["over gain.residual"]


def test_silence(ledger):
    ledger.only("pace", silence_max="10m", drop_max=0)
    ledger.store.event("engine", "the engine started")
    ledger.store.query("UPDATE event SET time = 0")
    assert ledger.look(wait=10_000) == [], "before the first movie nobody waits"
    ledger.expose(3)
    assert ledger.look(wait=590) == []
    assert ledger.look(wait=20) == ["warning pace.silence"]
    assert ledger.found[0].text == "No new movie for 10m; the last was m00003."
    assert ledger.look(wait=1800) == ["alarm pace.silence"]
    ledger.expose(1)
    assert ledger.look() == ["over pace.silence"] and ledger.found[0].cleared_text == "Movies come again."
    assert ledger.look(wait=700) == ["warning pace.silence"]
    ledger.store.put("stream", "closed")
    assert ledger.look() == ["over pace.silence"]
    assert ledger.look(wait=7000) == []


def test_rate(ledger):
    ledger.only("pace", silence_max=0, backlog_max=0, growth_max=0)
    ledger.expose(100)
    assert ledger.look() == []
    ledger.expose(1, every=3600.0)
    ledger.expose(30)
    assert ledger.look() == [], "a pause alone is no other pace"
    ledger.expose(25, every=20.0)
    assert ledger.look() == ["warning pace.rate"]
    assert ledger.found[0].text == "Movies come at 180 an hour, 70 % fewer than usual."
    ledger.expose(25)
    assert ledger.look() == ["over pace.rate"]


def test_backlog_and_its_growth(ledger):
    ledger.only("pace", silence_max=0, drop_max=0, backlog_max=300)
    ledger.store.query("DELETE FROM tally")
    waiting = "UPDATE tally SET n = ? WHERE state = 'done'"
    (last,) = ledger.store.query("SELECT max(id) FROM step WHERE fold = 0")[0]
    ledger.store.query("INSERT INTO tally VALUES (?, 'done', 0)", (last,))
    ledger.expose(400)

    def wait_with(n):
        ledger.store.query(waiting, (400 - n,))
        return ledger.look(wait=10)

    assert [wait_with(20) for _ in range(40)] == [[]] * 40
    assert wait_with(200) == [], "a burst is no trend"
    assert [wait_with(200) for _ in range(40)] == [[]] * 40
    said = [s for n in range(200, 300, 2) for s in wait_with(n)]
    assert said == ["warning pace.growth"]
    assert wait_with(310) == ["warning pace.backlog"]
    assert wait_with(290) == []
    assert wait_with(200) == ["over pace.backlog"]
    assert [s for n in range(200, 0, -5) for s in wait_with(n)] == ["over pace.growth"]


def test_load_and_memory(ledger):
    ledger.only("system", cpu_max=90)
    usual = {"cpu": 60.0, "memory": 40.0, "swap": 0.0, "gpu_memory": None}
    ledger.sample(25, **usual)
    assert ledger.look() == []
    for name, value in (("memory", 97.0), ("swap", 80.0), ("cpu", 99.0), ("gpu_memory", 99.0)):
        ledger.sample(25, **{**usual, name: value})
        assert ledger.look() == [f"warning system.{name}"]
        ledger.sample(25, **{**usual, "gpu_memory": 20.0})
        assert ledger.look() == [f"over system.{name}"]


def mount(ledger, free, silent=0.0, seen=None, time=None):
    ledger.store.query(
        "INSERT INTO mount (time, place, device, type, network, uses, total, free, read, write, seen, silent, grade) "
        "VALUES (?, '/data', 'sda1', 'ext4', 0, 'movies', 8000, ?, 1, 1, ?, ?, 2)",
        (ledger.now if time is None else time, free, seen, silent),
    )


def test_disks(ledger):
    ledger.only("system", free_min=100, free_alarm=20, full_in=0, read_min=50)
    key = "system.free:/data"
    mount(ledger, 500.0, seen=200.0)
    assert ledger.look(10) == []
    mount(ledger, 90.0)
    assert ledger.look(10) == [f"warning {key}"]
    assert ledger.found[0].text == "Free space on the disk /data (movies) is 90 GB, below 100 GB."
    mount(ledger, 15.0)
    assert ledger.look(10) == [f"alarm {key}"]
    mount(ledger, 105.0)
    assert ledger.look(10) == []
    mount(ledger, 200.0)
    assert ledger.look(10) == [f"over {key}"]
    mount(ledger, 200.0, silent=40.0)
    assert ledger.look(10) == ["warning system.silent:/data"]
    mount(ledger, 200.0)
    assert ledger.look(10) == ["over system.silent:/data"]


def test_a_disk_that_will_be_full_soon(ledger):
    ledger.only("system", free_min=0, full_in="6h")
    for minute in range(61):
        mount(ledger, 1000.0 - 2 * minute, time=ledger.now + 60 * minute)
    ledger.look(3600)
    assert [a.text for a in ledger.found] == [], "880 GB at 120 GB/h are more than 7 hours"
    for minute in range(61):
        mount(ledger, 880.0 - 6 * minute, time=ledger.now + 60 * minute)
    assert ledger.look(3600) == ["warning system.full:/data"]
    assert ledger.found[0].text.startswith("At this pace the disk /data (movies) is full in 2h 11m, at ")


def worker(ledger, key, state, first, last):
    ledger.store.query(
        "INSERT OR REPLACE INTO worker VALUES (?, ?, 'node1', ?, NULL, NULL, NULL, 3, ?, ?, NULL, NULL)",
        (key, key, state, first, last),
    )


def test_a_lost_worker_counts_until_another_takes_its_place(ledger):
    ledger.only("system")
    worker(ledger, "w1", "working", ledger.now - 100, ledger.now)
    worker(ledger, "w2", "working", ledger.now - 100, ledger.now)
    assert ledger.look() == []
    worker(ledger, "w2", "lost", ledger.now - 100, ledger.now)
    assert ledger.look(3) == ["warning system.lost"]
    assert ledger.found[0].text == "Workers are lost or do not answer: w2 on node1."
    worker(ledger, "w3", "idle", ledger.now + 5, ledger.now + 5)
    assert ledger.look(6) == ["over system.lost"]
