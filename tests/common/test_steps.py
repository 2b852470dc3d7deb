import threading
import time

import pytest

from common import steps
from common.steps import Step, clock, step, track


def test_steps_lie_inside_each_other_and_end():
    with step("outer", 2) as outer:
        with step("inner") as inner:
            assert steps.current() == (outer, inner)
            assert inner.inside is outer
        assert steps.current() == (outer,)
    assert steps.current() == ()


def test_a_step_ends_also_by_an_error_in_a_loop_that_is_left():
    def fail():
        with step("outer"):
            for number in track(range(3), "numbers"):
                1 / number

    with pytest.raises(ZeroDivisionError):
        fail()
    assert steps.current() == ()
    for _ in track(range(3), "numbers"):
        break
    assert steps.current() == ()


def test_it_is_said_how_far_a_step_is_and_the_time_left():
    made = Step("photos", 10)
    assert made.say(made.begun + 6) == "photos: 6 s so far"
    made.move(4)
    assert made.say(made.begun + 6) == "photos: 40 %, 9 s left"
    inside = Step("decoding")
    inside.inside = made
    assert inside.say(inside.begun + 90) == "photos 5/10, decoding: 1:30 min so far"


def test_tracked_items_are_counted():
    for number, _ in enumerate(track(iter("abc"), "letters", 3)):
        (shown,) = steps.current()
        assert (shown.done, shown.total) == (number, 3)
    assert list(track([], "nothing")) == []


def test_steps_of_other_threads_are_left_out():
    def work():
        with step("elsewhere"):
            seen.append(steps.current())

    seen = []
    with step("here") as here:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [(here,)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (7860, "2:11 h")]
)
def test_durations_are_written_short(seconds, text):
    assert clock(seconds) == text


def test_a_step_costs_next_to_nothing():
    begun = time.perf_counter()
    for _ in range(1000):
        with step("x"):
            pass
    assert time.perf_counter() - begun < 0.5
