"""What was sent is read by imaplib and poplib, also with a login in other
scripts, and folders are made whose names are no ASCII."""
import email, email.policy
from house import house, ok, password, unchanged
from ways import imap, mails, pop3


def readable(mail, got):
    """A mail program shows the right name, subject and text."""
    m = email.message_from_bytes(got, policy=email.policy.default)
    assert m["Subject"] == mail["subject"], (m["Subject"], mail["subject"])
    assert m["From"].addresses[0].display_name == mail["author"], m["From"]
    m.get_content()


m = imap()
ok(m.login(house["rcpt"], password))
ok(m.select("INBOX", readonly=True))
for n, mail in enumerate(mails, 1):
    got = ok(m.fetch(str(n), "(BODY.PEEK[])"))[0][1]
    unchanged(mail["name"], got, mail["content"])
    readable(mail, got)
    # The server finds it by its words (RFC 3501 §6.4.4).
    for key, text in ("SUBJECT", mail["subject"]), ("FROM", mail["author"]):
        m.literal = text.encode()
        assert str(n).encode() in ok(m.search("UTF-8", key))[0].split(), (key, text)
m.logout()

p = pop3()
p.user(house["rcpt"])
p.pass_(password)
for n, mail in enumerate(mails, 1):
    unchanged(mail["name"], b"\r\n".join(p.retr(n)[1]) + b"\r\n", mail["content"])
count = p.stat()[0]
p.quit()

# An address in any script is a name to log in with (RFC 4616, RFC 6856 §2).
for name in house["more"]:
    m = imap()
    ok(m.authenticate("PLAIN", lambda _: f"\0{name}\0{password}".encode()))
    assert ok(m.select("INBOX", readonly=True)) == [str(count).encode()]
    m.logout()
    p = pop3()
    p.encoding = "UTF-8"
    assert p.utf8().startswith(b"+OK")
    p.user(name)
    p.pass_(password)
    assert p.stat()[0] == count
    p.quit()

m = imap()
ok(m.login(house["user"], password))
for mail, name in zip(mails, house["folders"]):
    wire = f'"{name}"'
    ok(m.create(wire))
    ok(m.subscribe(wire))
    ok(m.append(wire, r"(\Flagged)", None, mail["content"]))
    ok(m.select(wire))
    ok(m.store("1", "+FLAGS", r"(\Answered)"))
    assert ok(m.fetch("1", "(BODY.PEEK[])"))[0][1] == mail["content"], name
    ok(m.unselect())
listed = b"\n".join(ok(m.list())).decode()
for wire in house["folders"]:
    assert wire in listed, (wire, listed)
m.logout()
