"""Stops an oracle that does not come back: some walk for ever over an odd change, or until the year 9999."""

import signal

SECONDS = 60


def limited(work):
    """What `work` answers, or TimeoutError after some seconds."""

    def stop(_signal, _frame):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
