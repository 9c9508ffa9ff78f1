"""Two clients in one process that need each other for each step: as threads, as green threads of
eventlet, or as tasks of asyncio, which stand still both if one of them blocks."""

import asyncio
import sys
import threading

mode, remote, schema = sys.argv[1:]
if mode == "eventlet":
    import eventlet

    eventlet.monkey_patch()

import ovs.db.idl
import ovs.poller
from common import LIMIT, begin, find, is_there, rows, say

ROUNDS = 40
INCOMPLETE = ovs.db.idl.Transaction.INCOMPLETE


class LoopPoller:
    """What the IDL asks of a poller, for asyncio's loop."""

    def __init__(self):
        self.readers, self.writers, self.timeout = set(), set(), None

    def fd_wait(self, fd, events):
        number = fd if isinstance(fd, int) else fd.fileno()
        if events & ovs.poller.POLLIN:
            self.readers.add(number)
        if events & ovs.poller.POLLOUT:
            self.writers.add(number)

    def timer_wait(self, msec):
        seconds = max(msec, 0) / 1000
        self.timeout = seconds if self.timeout is None else min(self.timeout, seconds)

    def timer_wait_until(self, msec):
        self.timer_wait(msec - ovs.timeval.msec())

    def immediate_wake(self):
        self.timer_wait(0)

    async def block(self):
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        for number in self.readers:
            loop.add_reader(number, ready.set)
        for number in self.writers:
            loop.add_writer(number, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), self.timeout)
        except asyncio.TimeoutError:
            pass
        finally:
            for number in self.readers:
                loop.remove_reader(number)
            for number in self.writers:
                loop.remove_writer(number)


def play(mine, theirs, poller_class):
    """Adds a row after each of the other's. Gives a poller wherever there is something to wait for."""
    idl = begin(remote, schema)

    def until(holds, transaction=None):
        while not holds():
            poller = poller_class()
            idl.wait(poller)
            if transaction is not None:
                transaction.wait(poller)
            yield poller
            idl.run()

    yield from until(idl.has_ever_connected)
    for number in range(ROUNDS):
        before = number if mine == "b" else number - 1
        if before >= 0:
            yield from until(lambda: is_there(idl, "%s%d" % (theirs, before)))
        transaction = ovs.db.idl.Transaction(idl)
        row = transaction.insert(idl.tables["Item"])
        row.name, row.number = "%s%d" % (mine, number), number
        if before >= 0:
            row.friends = [find(idl, "%s%d" % (theirs, before))]
        yield from until(lambda: transaction.commit() != INCOMPLETE, transaction)
        answers.append("%s%d %s" % (mine, number, transaction.status_to_string(transaction.commit())))
    count = 2 * ROUNDS
    yield from until(lambda: len(idl.tables["Item"].rows) == count)
    seen[mine] = rows(idl)


def blocking(steps):
    for poller in steps:
        poller.block()


async def awaiting(steps):
    for poller in steps:
        await poller.block()


async def both():
    tasks = [awaiting(play(*names, LoopPoller)) for names in PAIR]
    await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)


PAIR = [("a", "b"), ("b", "a")]
answers, seen = [], {}
if mode == "threads":
    threads = [
        threading.Thread(target=blocking, args=[play(*names, ovs.poller.Poller)], daemon=True)
        for names in PAIR
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
elif mode == "eventlet":
    with eventlet.Timeout(LIMIT):
        for thread in [eventlet.spawn(blocking, play(*names, ovs.poller.Poller)) for names in PAIR]:
            thread.wait()
else:
    asyncio.run(both())
# The last two answers are on their way together.
say("answers", *sorted(answers))
say("the same rows", seen["a"] == seen["b"])
for line in seen["a"]:
    say(line)
