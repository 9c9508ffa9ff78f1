"""What the programs of these tests share: an IDL that says what it hears, and loops with a limit."""

import re
import sys
import time

import ovs.db.idl
import ovs.poller

LIMIT = 40
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def say(*words):
    print(UUID.sub("UUID", " ".join(map(str, words))), flush=True)


def plain(value):
    """A column's value in an order that does not depend on the server."""
    if isinstance(value, ovs.db.idl.Row):
        return value.name
    if isinstance(value, dict):
        return sorted((plain(key), plain(entry)) for key, entry in value.items())
    if isinstance(value, list):
        return sorted(plain(entry) for entry in value)
    return value


class Heard(ovs.db.idl.Idl):
    """Collects each change that it is told of."""

    def __init__(self, *arguments, **options):
        self.events = []
        super().__init__(*arguments, **options)

    def notify(self, event, row, updates=None):
        columns = sorted(updates._data) if updates is not None else []
        self.events.append("%s %s %s" % (event, row.name, columns))

    def take_events(self):
        events, self.events = sorted(self.events), []
        return events


def until(idl, holds, what):
    """Runs the IDL, asleep in between, until something holds."""
    end = time.monotonic() + LIMIT
    while True:
        idl.run()
        if holds():
            return
        if time.monotonic() > end:
            sys.exit("not in time: " + what)
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.timer_wait(1000)
        poller.block()


def begin(remote, schema, **options):
    """An IDL of the table Item, nothing yet in it."""
    helper = ovs.db.idl.SchemaHelper(schema)
    helper.register_columns("Item", ["name", "number", "tags", "options", "friends"])
    return Heard(remote, helper, **options)


def connect(remote, schema, condition=None, **options):
    """The same with its first contents."""
    idl = begin(remote, schema, **options)
    if condition is not None:
        idl.cond_change("Item", condition)
    until(idl, idl.has_ever_connected, "contents")
    return idl


def rows(idl):
    """All rows as text."""
    return [
        "%s %d %s %s %s" % (row.name, row.number, plain(row.tags), plain(row.options), plain(row.friends))
        for row in sorted(idl.tables["Item"].rows.values(), key=lambda row: row.name)
    ]


def find(idl, name):
    return next(row for row in idl.tables["Item"].rows.values() if row.name == name)


def is_there(idl, name):
    return any(row.name == name for row in idl.tables["Item"].rows.values())


def commit(transaction):
    """Commits and waits; gives what came of it."""
    status = transaction.commit_block()
    word = ovs.db.idl.Transaction.status_to_string(status)
    return word if word != "error" else "%s: %s" % (word, transaction.get_error())


def add(idl, name, number):
    transaction = ovs.db.idl.Transaction(idl)
    row = transaction.insert(idl.tables["Item"])
    row.name, row.number = name, number
    return transaction, row
