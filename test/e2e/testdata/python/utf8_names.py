"""One client names folders in modified UTF-7, the others in UTF-8 after ENABLE
(RFC 6855 §3, RFC 9051 §5.1); all mean the same folders."""
from house import house, ok, password
from ways import imap, mails

names = [(n["utf8"], n["utf7"]) for n in house["more"]]


def connect(enabled=None):
    m = imap()
    ok(m.login(house["user"], password))
    if enabled:
        m._get_capabilities()  # those after login
        assert enabled.upper() in m.capabilities, (enabled, m.capabilities)
        ok(m.enable(enabled))
        assert enabled.encode() in m.response("ENABLED")[1][-1], "not enabled"
        m._mode_utf8()
    return m


old = connect()
for enabled in "UTF8=ACCEPT", "IMAP4rev2":
    new = connect(enabled)
    for utf8, utf7 in names:
        # Made by the old client, used by the new one.
        ok(old.create(f'"{utf7}"'))
        ok(old.append(f'"{utf7}"', None, None, mails[0]["content"]))
        ok(new.subscribe(f'"{utf8}"'))
        assert ok(new.select(f'"{utf8}"')) == [b"1"]
        assert ok(new.fetch("1", "(BODY.PEEK[])"))[0][1] == mails[0]["content"]
        ok(new.store("1", "+FLAGS", r"(\Flagged)"))
        ok(new.close())
        listed = b"\n".join(ok(new.list()))
        assert f'"{utf8}"'.encode() in listed and utf7.encode() not in listed, listed
        assert utf8.encode() in b"\n".join(ok(new.lsub())), utf8
        assert ok(old.select(f'"{utf7}"')) == [b"1"]
        assert ok(old.search(None, "FLAGGED")) == [b"1"]
        ok(old.close())
        # Renamed and filled by the new one, used by the old one.
        ok(new.rename(f'"{utf8}"', f'"neu-{utf8}"'))
        assert b"(MESSAGES 1)" in ok(new.status(f'"neu-{utf8}"', "(MESSAGES)"))[0]
        listed = b"\n".join(ok(old.list())).decode("ascii")
        assert f"neu-{utf7}" in listed, listed
        ok(old.delete(f'"neu-{utf7}"'))
    new.logout()
old.logout()
