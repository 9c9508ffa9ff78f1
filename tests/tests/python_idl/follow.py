"""Says what it hears of, and adds a row for each that it has heard of and that asks for it, for as
long as it lives: through restarts of servers and changes of leaders. Its rows bear its mark."""

import sys

import ovs.db.idl
import ovs.poller
from common import say

remote, schema, table, mark = sys.argv[1:]
helper = ovs.db.idl.SchemaHelper(schema)
helper.register_columns(table, ["name"])


class Told(ovs.db.idl.Idl):
    def notify(self, event, row, updates=None):
        say(event, row.name)


idl = Told(remote, helper)
transaction, connected, known = None, False, None
while True:
    idl.run()
    if idl.has_ever_connected() and not connected:
        connected = True
        say("connected")
    names = {row.name for row in idl.tables[table].rows.values()}
    if names != known:
        known = names
        say("rows", *sorted(names))
    answers = {"%s-got-%s" % (mark, name) for name in names if name.startswith("ask-")}
    wanted = sorted(answers - names)
    if transaction is None and wanted:
        transaction = ovs.db.idl.Transaction(idl)
        transaction.insert(idl.tables[table]).name = wanted[0]
    poller = ovs.poller.Poller()
    if transaction is not None:
        status = transaction.commit()
        if status != ovs.db.idl.Transaction.INCOMPLETE:
            say("answer", ovs.db.idl.Transaction.status_to_string(status))
            transaction = None
            # What it has written comes as a change.
            poller.timer_wait(20)
        else:
            transaction.wait(poller)
    idl.wait(poller)
    poller.block()
