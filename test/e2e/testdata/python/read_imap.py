"""imaplib uses a mailbox as a mail program does."""
import imaplib, re, select, time
from house import at, context, corpus, house, ok, password, unchanged

user = house["rcpt"]


def connect(way):
    if way == "imaps":
        return imaplib.IMAP4_SSL(*at("imaps"), ssl_context=context)
    m = imaplib.IMAP4(*at("imap"))
    if way == "STARTTLS":
        ok(m.starttls(context))
    return m


# The corpus came as it was sent, in every kind of connection.
for way in "imaps", "STARTTLS", "clear":
    m = connect(way)
    ok(m.login(user, password))
    ok(m.select("INBOX", readonly=True))
    for n, (name, content) in enumerate(corpus()):
        if way != "imaps" and len(content) > 1 << 20:
            continue
        data = ok(m.fetch(str(n + 1), "(RFC822.SIZE BODY.PEEK[])"))
        unchanged(name, data[0][1], content)
        size = re.search(rb"RFC822.SIZE (\d+)", b" ".join(x if isinstance(x, bytes) else x[0] for x in data))
        assert int(size[1]) == len(data[0][1]), (name, size)
    m.logout()

m = connect("imaps")
ok(m.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode()))

# Folders in any script (RFC 3501 §5.1.3), renamed, subscribed, deleted.
wire = {"Entwürfe 2": '"Entw&APw-rfe 2"', "日本語": "&ZeVnLIqe-", "台北": "&U,BTFw-"}
for name in wire.values():
    ok(m.create(name))
    ok(m.subscribe(name))
listed = b"\n".join(ok(m.list())).decode()
subscribed = b"\n".join(ok(m.lsub())).decode()
for name in wire.values():
    assert name.strip('"') in listed and name.strip('"') in subscribed, (name, listed, subscribed)
ok(m.rename(wire["台北"], '"&ZeVnLIqe-/Inner"'))
assert "&ZeVnLIqe-/Inner" in b"\n".join(ok(m.list())).decode()
ok(m.unsubscribe(wire["日本語"]))
assert wire["日本語"] not in b"\n".join(x for x in ok(m.lsub()) if x).decode().replace("&ZeVnLIqe-/", "")
ok(m.delete('"&ZeVnLIqe-/Inner"'))
assert "Inner" not in b"\n".join(ok(m.list())).decode()
typ, _ = m.create(wire["日本語"])
assert typ == "NO", "a folder was made twice"
typ, _ = m.delete("INBOX")
assert typ == "NO", "INBOX was deleted"

# APPEND keeps octets, flags and date.
mail = b"From: a@else.example\r\nSubject: =?utf-8?B?5pel5pys?=\r\n\r\n\xff\x80 body\r\n"
when = '"01-Feb-2026 03:04:05 +0100"'
for i in range(4):
    ok(m.append(wire["日本語"], r"(\Flagged custom)", when, mail + b"number %d\r\n" % i))
assert ok(m.select(wire["日本語"])) == [b"4"]
data = ok(m.fetch("2", "(FLAGS INTERNALDATE UID BODY.PEEK[])"))
flat = b" ".join(x if isinstance(x, bytes) else x[0] for x in data)
assert data[0][1] == mail + b"number 1\r\n", data
assert rb"\Flagged" in flat and b"custom" in flat and rb"\Seen" not in flat, flat
assert imaplib.Internaldate2tuple(flat)[:5] == time.localtime(1769911445)[:5], flat

# SEARCH in its charsets.
assert ok(m.search(None, "FLAGGED", "UNSEEN")) == [b"1 2 3 4"]
m.literal = "日本".encode()
assert ok(m.search("UTF-8", "SUBJECT")) == [b"1 2 3 4"]
assert ok(m.search(None, "BODY", '"number 2"')) == [b"3"]
assert ok(m.search(None, "NOT", "KEYWORD", "custom")) == [b""]
assert ok(m.search(None, "OR", "1", "LARGER", "100000")) == [b"1"]

# STORE, COPY, MOVE, EXPUNGE.
assert rb"\Answered" in ok(m.store("1", "+FLAGS", r"(\Answered \Seen)"))[0]
assert rb"\Flagged" not in ok(m.store("1", "-FLAGS", r"(\Flagged)"))[0]
ok(m.copy("1:2", '"Entw&APw-rfe 2"'))
imaplib.Commands["MOVE"] = ("SELECTED",)
ok(m._simple_command("MOVE", "3", '"Entw&APw-rfe 2"'))
assert ok(m.status('"Entw&APw-rfe 2"', "(MESSAGES UNSEEN)"))[0].endswith(b"(MESSAGES 3 UNSEEN 2)")
ok(m.store("2", "+FLAGS.SILENT", r"(\Deleted)"))
assert ok(m.expunge())[-1] == b"2"  # after what MOVE expunged
assert ok(m.search(None, "ALL")) == [b"1 2"]
ok(m.close())

# What one device does, the other one is told in IDLE (SYS-IMAP-01).
other = connect("STARTTLS")
ok(other.login(user, password))
ok(other.select("INBOX"))
ok(m.select("INBOX"))
tag = m._new_tag()
m.send(tag + b" IDLE\r\n")
assert m.readline().startswith(b"+")


def told(want):
    """Reads until a line holds the text."""
    m.sock.settimeout(20)
    while True:
        line = m.readline()
        assert line, "the connection ended"
        if want in line:
            return


ok(other.store("1", "+FLAGS", r"(\Seen)"))
told(rb"\Seen")
count = int(ok(other.select("INBOX"))[0])
ok(other.append("INBOX", None, None, mail))
told(b"* %d EXISTS" % (count + 1))
ok(other.store(str(count + 1), "+FLAGS", r"(\Deleted)"))
ok(other.expunge())
told(b"* %d EXPUNGE" % (count + 1))
m.send(b"DONE\r\n")
told(tag + b" OK")

# A wrong command is told so, and the session goes on.
imaplib.Commands["FROBNICATE"] = ("SELECTED",)
try:
    m._simple_command("FROBNICATE")
    raise AssertionError("an unknown command was taken")
except imaplib.IMAP4.error:
    pass
ok(m.noop())
for name in wire["Entwürfe 2"], wire["日本語"]:
    ok(m.delete(name))
m.logout()
other.logout()
