"""What the client scripts share: the house they are told of on standard input."""
import glob, json, os, ssl, sys

house = json.load(sys.stdin)
password = house["password"]
context = ssl.create_default_context(cafile=house["ca"])


def at(listener):
    host, port = house["at"][listener].rsplit(":", 1)
    return host, int(port)


def corpus():
    """The messages to send, by name."""
    for path in sorted(glob.glob(os.path.join(house["corpus"], "*"))):
        with open(path, "rb") as f:
            yield os.path.basename(path), f.read()


def unchanged(name, got, sent):
    """A delivered message is the sent one under trace fields."""
    assert got.endswith(sent), f"{name}: {got[:800]!r} is not {sent[:800]!r}"
    top = got[: len(got) - len(sent)]
    for line in top.splitlines():
        known = line.lower().startswith((b"received:", b"return-path:", b"authentication-results:", b"delivered-to:", b" ", b"\t"))
        assert known, f"{name}: the server added {line!r}"


def ok(answer):
    """The data of an imaplib answer that has to be OK."""
    typ, data = answer
    assert typ == "OK", answer
    return data
