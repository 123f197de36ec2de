"""How the scripts for letters connect: house["way"] is TLS, STARTTLS or clear."""
import base64, imaplib, poplib, smtplib
from house import at, context, house, ok, password

way = house["way"]
mails = [dict(m, content=base64.b64decode(m["content"])) for m in house["mails"]]


def smtp():
    if way == "TLS":
        return smtplib.SMTP_SSL(*at("submissions"), context=context, local_hostname="client.example")
    s = smtplib.SMTP(*at("submission"), local_hostname="client.example")
    if way == "STARTTLS":
        s.starttls(context=context)
    return s


def imap():
    if way == "TLS":
        return imaplib.IMAP4_SSL(*at("imaps"), ssl_context=context)
    m = imaplib.IMAP4(*at("imap"))
    if way == "STARTTLS":
        ok(m.starttls(context))
    return m


def pop3():
    if way == "TLS":
        return poplib.POP3_SSL(*at("pop3s"), context=context)
    p = poplib.POP3(*at("pop3"))
    if way == "STARTTLS":
        p.stls(context)
    return p
