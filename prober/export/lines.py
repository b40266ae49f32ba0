"""Lines to a file descriptor without ever making the event loop wait: a bounded queue and a thread that writes."""

from __future__ import annotations

import logging
import os
import select
import threading
from queue import Empty, Full, Queue

log = logging.getLogger(__name__)

#: Lines that may wait for a reader that is slow.
CAPACITY = 10_000
_BATCH = 64 * 1024


class LineWriter:
    """Writes lines to `fd` from a thread of its own. A full queue or a closed pipe drops lines and counts them.

    The bare descriptor is used, not a Python file: a thread that hangs in write(2) must hold no lock that the
    interpreter wants at its end.
    """

    def __init__(self, fd: int, *, capacity: int = CAPACITY) -> None:
        self._fd = fd
        self._queue: Queue[bytes | None] = Queue(capacity)
        self._refused = 0
        self._lost = 0
        self._ended = False
        self._thread = threading.Thread(target=self._write_all, name="prober-lines", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written."""
        return self._refused + self._lost  # each belongs to one thread

    def write(self, line: str) -> None:
        """Queue one line (without its newline); never blocks, never raises."""
        try:
            self._queue.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")
        except Full:
            self._refused += 1

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, for `timeout` seconds at most; the rest is given up."""
        try:
            self._queue.put(None, timeout=timeout)
        except Full:
            return  # the reader hangs
        self._thread.join(timeout)

    def _write_all(self) -> None:
        broken = False
        while (batch := self._next_batch()) is not None:
            if not broken:
                try:
                    self._write(b"".join(batch))
                    continue
                except OSError as error:
                    broken = True
                    log.error("the event log ends here: %s", error)
            self._lost += len(batch)

    def _next_batch(self) -> list[bytes] | None:
        """Wait for a line, and take along what else is there; None at the end."""
        if self._ended or (first := self._queue.get()) is None:
            return None
        batch, size = [first], len(first)
        while size < _BATCH:
            try:
                line = self._queue.get_nowait()
            except Empty:
                break
            if line is None:
                self._ended = True
                break
            batch.append(line)
            size += len(line)
        return batch

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # whoever gave us the descriptor set O_NONBLOCK
                select.select((), (self._fd,), ())
