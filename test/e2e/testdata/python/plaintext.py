"""Says for each protocol whether a login without TLS is offered and works."""
import imaplib, poplib, smtplib, sys

submission, imap, pop3, user, password = sys.argv[1:]


def at(addr):
    host, port = addr.rsplit(":", 1)
    return host, int(port)


def tell(name, offered, works):
    try:
        works()
        worked = True
    except (smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto):
        worked = False
    assert offered == worked, f"{name}: offered {offered}, works {worked}"
    print(name, "yes" if worked else "no")


s = smtplib.SMTP(*at(submission))
s.ehlo()
tell("submission", s.has_extn("auth"), lambda: s.login(user, password))

i = imaplib.IMAP4(*at(imap))
tell("imap", "LOGINDISABLED" not in i.capabilities, lambda: i.login(user, password))

p = poplib.POP3(*at(pop3))
tell("pop3", "USER" in p.capa(), lambda: (p.user(user), p.pass_(password)))
