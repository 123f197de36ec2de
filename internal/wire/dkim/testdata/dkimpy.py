"""Signs and verifies with dkimpy: a list of tasks as JSON on the standard input,
the list of results as JSON on the standard output. Octets are text in ISO 8859-1."""
import json, sys
sys.path.append("/usr/lib/python3/dist-packages")
import dkim


def do(task):
    def octets(name):
        return task.get(name, "").encode()

    def lookup(name, timeout=5):
        return task["zone"].get(name.rstrip(b".").decode(), "").encode()

    message = task["message"].encode("latin-1")
    if task["do"] == "sign":
        return dkim.sign(message, octets("selector"), octets("domain"), octets("key"),
                         canonicalize=tuple(c.encode() for c in task["canon"]),
                         signature_algorithm=octets("algorithm"), identity=octets("identity") or None,
                         include_headers=[h.encode() for h in task["headers"]] if "headers" in task else None,
                         length=task.get("length", False)).decode("latin-1")
    if task["do"] == "verify":
        count = sum(1 for name, _ in dkim.DKIM(message).headers if name.lower() == b"dkim-signature")
        return [verify(message, i, lookup) for i in range(count)]
    if task["do"] == "seal":
        fields = dkim.arc_sign(message, octets("selector"), octets("domain"), octets("key"),
                               octets("server"), signature_algorithm=octets("algorithm"))
        return b"".join(fields).decode("latin-1")
    if task["do"] == "chain":
        cv, sets, reason = dkim.arc_verify(message, dnsfunc=lookup)
        return (cv or b"").decode() + " " + reason
    raise ValueError(task["do"])


def verify(message, i, lookup):
    try:
        return bool(dkim.DKIM(message).verify(idx=i, dnsfunc=lookup))
    except dkim.DKIMException:
        return False


json.dump([do(task) for task in json.load(sys.stdin)], sys.stdout)
