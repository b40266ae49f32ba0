"""What the work on baselines costs."""

from __future__ import annotations

import threading
from time import thread_time

from prober.engine.baselines.meter import Meter


def work(seconds: float) -> None:
    """Take so much CPU time of this thread."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


def test_threads_that_work_at_once_cost_what_each_of_them_takes() -> None:
    """The loop folds samples while another thread judges."""
    meter, within, done = Meter(), threading.Event(), threading.Event()

    def judge() -> None:
        with meter:
            within.set()
            done.wait()

    work(0.05)  # this thread's clock is ahead of the other's
    other = threading.Thread(target=judge)
    with meter:
        other.start()
        within.wait()
        done.set()
        other.join()
        work(0.01)
    assert 0.01 <= meter.seconds < 0.05
