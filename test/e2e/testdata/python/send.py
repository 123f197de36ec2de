"""smtplib sends every message of the corpus, by every listener and mechanism."""
import smtplib
from house import at, context, corpus, house, password

user, rcpt = house["user"], house["rcpt"]


def connect(way):
    if way == "submissions":
        return smtplib.SMTP_SSL(*at("submissions"), context=context)
    s = smtplib.SMTP(*at("submission"))
    if way == "STARTTLS":
        s.starttls(context=context)
    return s


for way in "submissions", "STARTTLS", "clear":
    for mechanism in "PLAIN", "LOGIN":
        s = connect(way)
        s.ehlo()
        assert mechanism in s.esmtp_features["auth"].split(), s.esmtp_features
        s.user, s.password = user, password
        code, text = s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))
        assert code == 235, (code, text)
        s.quit()

try:
    s = connect("submissions")
    s.ehlo()
    s.user, s.password = user, "wrong"
    s.auth("PLAIN", s.auth_plain)
    raise AssertionError("a wrong password was taken")
except smtplib.SMTPAuthenticationError as e:
    assert e.smtp_code == 535 and e.smtp_error.startswith(b"5.7.8"), e
s.login(user, password)  # the connection is still good
s.quit()

s = connect("STARTTLS")
s.login(user, password)
for name, content in corpus():
    refused = s.sendmail(user, [rcpt], content, mail_options=["BODY=8BITMIME"])
    assert not refused, refused
# One bad recipient of three does not keep the mail from the others.
s.rset()
refused = s.sendmail(user, [rcpt, "nobody@example.test", user], b"From: %s\r\nSubject: three\r\n\r\n" % user.encode())
assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550, refused
assert s.noop()[0] == 250 and s.verify(rcpt)[0] in (250, 252), "NOOP, VRFY"
s.quit()
