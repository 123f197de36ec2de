"""poplib downloads a mailbox and deletes what it has, as POP3 programs do."""
import poplib
from house import at, context, corpus, house, password, unchanged

user = house["rcpt"]


def connect(way):
    if way == "pop3s":
        p = poplib.POP3_SSL(*at("pop3s"), context=context)
    else:
        p = poplib.POP3(*at("pop3"))
        if way == "STLS":
            p.stls(context)
    p.user(user)
    p.pass_(password)
    return p


sent = list(corpus())
for way in "pop3s", "STLS", "clear":
    p = connect(way)
    count, octets = p.stat()
    sizes = [int(x.split()[1]) for x in p.list()[1]]
    assert count == len(sizes) and octets == sum(sizes), (count, octets, sizes)
    for n, (name, content) in enumerate(sent):
        if way != "pop3s" and len(content) > 1 << 20:
            continue
        _, lines, _ = p.retr(n + 1)
        got = b"\r\n".join(lines) + b"\r\n"
        unchanged(name, got, content)
        assert len(got) == sizes[n], (name, len(got), sizes[n])
    p.quit()

p = connect("pop3s")
uids = [x.split()[1] for x in p.uidl()[1]]
assert len(set(uids)) == len(uids), uids
assert p.uidl(1).split()[-1] == uids[0], p.uidl(1)
head = p.top(1, 0)[1]
assert any(x.startswith(b"Subject:") for x in head) and head[-1] == b"", head
assert len(p.top(4, 2)[1]) == len(p.top(4, 0)[1]) + 2

# RSET brings deleted messages back, and so does a connection that breaks.
p.dele(1)
try:
    p.retr(1)
    raise AssertionError("a deleted message was read")
except poplib.error_proto as e:
    assert e.args[0].startswith(b"-ERR"), e
assert p.stat()[0] == count - 1
p.rset()
assert p.stat()[0] == count
p.dele(1)
p.close()
p = connect("STLS")
assert [x.split()[1] for x in p.uidl()[1]] == uids, "a broken connection deleted mail"

# DELE and QUIT delete for good; what is left keeps its unique-id.
p.dele(1)
p.dele(3)
p.quit()
p = connect("clear")
assert [x.split()[1] for x in p.uidl()[1]] == [uids[1]] + uids[3:]
for n in range(1, count - 1):
    p.dele(n)
p.quit()
p = connect("pop3s")
assert p.stat() == (0, 0), p.stat()
p.quit()
try:
    p = poplib.POP3_SSL(*at("pop3s"), context=context)
    p.user(user)
    p.pass_("wrong")
    raise AssertionError("a wrong password was taken")
except poplib.error_proto as e:
    assert e.args[0].startswith(b"-ERR [AUTH]"), e
