"""Everything that the IDL does, on one server: the lines that it prints do not depend on which."""

import json
import sys

import ovs.db.idl
import ovs.jsonrpc
import ovs.stream
from common import add, commit, connect, find, rows, say, until

remote, schema, *keys = sys.argv[1:]
if keys:
    key, certificate, authority = keys
    ovs.stream.Stream.ssl_set_private_key_file(key)
    ovs.stream.Stream.ssl_set_certificate_file(certificate)
    ovs.stream.Stream.ssl_set_ca_cert_file(authority)
Transaction = ovs.db.idl.Transaction


def writes(idl):
    transaction, row = add(idl, "one", 1)
    row.tags, row.options = ["b", "a"], {"k": "v"}
    say("insert", commit(transaction))
    say("its row is there", find(idl, "one").uuid == transaction.get_insert_uuid(row.uuid))
    transaction, row = add(idl, "two", 2)
    row.friends = [find(idl, "one")]
    say("insert with a reference", commit(transaction))

    transaction = Transaction(idl)
    find(idl, "one").name = "eins"
    find(idl, "two").number = 22
    transaction.add_comment("two at once")
    say("modify", commit(transaction), rows(idl))

    transaction = Transaction(idl)
    row = find(idl, "eins")
    row.addvalue("tags", "c")
    row.delvalue("tags", "a")
    row.setkey("options", "k2", "v2")
    row.delkey("options", "k")
    say("mutate", commit(transaction), rows(idl))

    transaction = Transaction(idl)
    find(idl, "eins").increment("number")
    # Alone it counts as nothing to do.
    find(idl, "two").number = 23
    say("increment", commit(transaction), transaction.get_increment_new_value())

    transaction = Transaction(idl)
    find(idl, "eins").fetch("number")
    say("fetch", commit(transaction))

    transaction = Transaction(idl)
    find(idl, "eins").number = find(idl, "eins").number
    say("nothing new", commit(transaction))


def refusals(idl):
    transaction, _ = add(idl, "two", 3)
    say("the same name twice", commit(transaction))
    transaction = Transaction(idl)
    find(idl, "two").number = 4
    transaction.abort()
    say("aborted", rows(idl))


def races(idl, other):
    """What one has read has changed meanwhile: the IDL is told to try again."""
    until(other, lambda: len(other.tables["Item"].rows) == 2, "the other's rows")
    transaction = Transaction(other)
    find(other, "two").verify("number")
    find(other, "two").number = 100
    first = Transaction(idl)
    find(idl, "two").number = 50
    say("first", commit(first))
    say("second", commit(transaction))
    until(other, lambda: find(other, "two").number == 50, "the first's change")
    transaction = Transaction(other)
    row = find(other, "two")
    row.verify("number")
    row.number = row.number + 1
    say("again", commit(transaction))
    until(idl, lambda: find(idl, "two").number == 51, "the second's change")


def add_later(idl, number):
    transaction, _ = add(idl, "n%d" % number, number)
    # It leaves with the first of these; nothing waits for it.
    transaction.commit()
    return transaction


def asynchronous(idl):
    """Several on their way at once, each asked now and then whether it has arrived."""
    transactions = [add_later(idl, number) for number in range(3, 8)]
    say("on their way", [Transaction.status_to_string(each.commit()) for each in transactions])
    incomplete = Transaction.INCOMPLETE
    until(idl, lambda: all(each.commit() != incomplete for each in transactions), "the answers")
    say("arrived", [Transaction.status_to_string(each.commit()) for each in transactions])
    until(idl, lambda: len(idl.tables["Item"].rows) == 7, "all rows")
    say("heard", idl.take_events())


def conditions(idl):
    """Rows come and go with the condition, without having changed."""
    idl.take_events()

    def change(condition, count):
        idl.cond_change("Item", condition)
        until(idl, lambda: len(idl.tables["Item"].rows) == count, "%s" % condition)
        say("condition", condition, [row.split()[0] for row in rows(idl)], idl.take_events())

    change([["number", "<", 5]], 3)
    change([["number", ">=", 6], ["name", "==", "n3"]], 4)
    change([["tags", "includes", ["set", ["c"]]]], 1)
    change([["name", "!=", "n4"]], 6)
    change([False], 0)
    change([True], 7)


def locks(idl, other):
    idl.set_lock("l")
    until(idl, lambda: idl.has_lock, "the lock")
    other.set_lock("l")
    until(other, lambda: other.is_lock_contended, "contention")
    transaction, _ = add(other, "without", 9)
    say("without the lock", commit(transaction))
    transaction, _ = add(idl, "with", 9)
    say("with the lock", commit(transaction))
    idl.set_lock(None)
    until(idl, lambda: not idl.has_lock, "the lock's loss")
    until(other, lambda: other.has_lock, "the lock's passing on")
    other.set_lock(None)


def deletes(idl):
    transaction = Transaction(idl)
    find(idl, "eins").delete()
    find(idl, "n3").delete()
    say("delete", commit(transaction), rows(idl))


def requests():
    """Below the IDL."""
    error, stream = ovs.stream.Stream.open_block(ovs.stream.Stream.open(remote))
    assert not error
    rpc = ovs.jsonrpc.Connection(stream)
    where, columns = [["name", "==", "n4"]], ["name", "number"]
    select = {"op": "select", "table": "Item", "where": where, "columns": columns}
    for method, params in [
        ("echo", ["x", {"y": [None, 1.5]}]),
        ("list_dbs", []),
        ("get_schema", ["Nobody"]),
        ("transact", ["Things", select]),
        ("transact", ["Things", {"op": "comment"}]),
        ("nonsense", []),
    ]:
        error, reply = rpc.transact_block(ovs.jsonrpc.Message.create_request(method, params))
        say(method, error, json.dumps([reply.result, reply.error], sort_keys=True))
    rpc.close()


idl, other = connect(remote, schema), connect(remote, schema)
writes(idl)
refusals(idl)
say("heard", idl.take_events())
races(idl, other)
asynchronous(idl)
conditions(idl)
locks(idl, other)
deletes(idl)
requests()
few = connect(remote, schema, [["number", "<", 6]])
say("a condition from the start", rows(few))
