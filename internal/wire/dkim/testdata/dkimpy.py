"""Signs and verifies with dkimpy: one task as JSON on the standard input, the
result as JSON on the standard output. Octets are text in ISO 8859-1."""
import base64, json, sys
sys.path.append("/usr/lib/python3/dist-packages")
import dkim

task = json.load(sys.stdin)
message = task["message"].encode("latin-1")
zone = {k.encode(): v.encode() for k, v in task.get("zone", {}).items()}


def octets(name):
    return task.get(name, "").encode()


def lookup(name, timeout=5):
    return zone.get(name.rstrip(b"."))


if task["do"] == "sign":
    field = dkim.sign(message, octets("selector"), octets("domain"), octets("key"),
                      canonicalize=tuple(c.encode() for c in task["canon"]),
                      signature_algorithm=octets("algorithm"),
                      length=task.get("length", False))
    print(json.dumps(field.decode("latin-1")))
elif task["do"] == "verify":
    d = dkim.DKIM(message)
    count = sum(1 for name, _ in d.headers if name.lower() == b"dkim-signature")
    def one(i):
        try:
            return bool(dkim.DKIM(message).verify(idx=i, dnsfunc=lookup))
        except dkim.DKIMException:
            return False
    print(json.dumps([one(i) for i in range(count)]))
elif task["do"] == "seal":
    fields = dkim.arc_sign(message, octets("selector"), octets("domain"), octets("key"),
                           octets("server"), signature_algorithm=octets("algorithm"))
    print(json.dumps(b"".join(fields).decode("latin-1")))
elif task["do"] == "chain":
    cv, sets, reason = dkim.arc_verify(message, dnsfunc=lookup)
    print(json.dumps({"cv": (cv or b"").decode(), "reason": reason}))
