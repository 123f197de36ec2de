"""imaplib over zlib, however it flushes (RFC 4978)."""
import imaplib, random, zlib
from house import at, context, house, ok, password

imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")


class Compressed(imaplib.IMAP4_SSL):
    flush = None
    unpacked = b""
    sent = received = 0

    def compress(self, flush):
        assert "COMPRESS=DEFLATE" in ok(self.capability())[0].decode()
        ok(self._simple_command("COMPRESS", "DEFLATE"))
        self.flush, self.deflate, self.inflate = flush, zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def send(self, data):
        if self.flush is not None:
            data = self.deflate.compress(data) + self.deflate.flush(self.flush)
            self.sent += len(data)
        super().send(data)

    def more(self):
        packed = self.sock.recv(4096)
        assert packed, "the connection ended"
        self.received += len(packed)
        self.unpacked += self.inflate.decompress(packed)

    def read(self, size):
        if self.flush is None:
            return super().read(size)
        while len(self.unpacked) < size:
            self.more()
        data, self.unpacked = self.unpacked[:size], self.unpacked[size:]
        return data

    def readline(self):
        if self.flush is None:
            return super().readline()
        while b"\n" not in self.unpacked:
            self.more()
        return self.read(self.unpacked.index(b"\n") + 1)


picker = random.Random(4978)
mail = b"Subject: packed\r\n\r\n" + picker.randbytes(100_000).hex().encode() + b"\r\n" + b"again and again\r\n" * 50_000
for flush in zlib.Z_SYNC_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_FULL_FLUSH:
    m = Compressed(*at("imaps"), ssl_context=context, timeout=20)
    ok(m.login(house["user"], password))
    m.compress(flush)
    typ, data = m._simple_command("COMPRESS", "DEFLATE")
    assert typ == "NO" and b"[COMPRESSIONACTIVE]" in data[0], data
    assert "COMPRESS" not in ok(m.capability())[0].decode()
    ok(m.append("INBOX", None, None, mail))
    count = int(ok(m.select("INBOX"))[0])
    assert ok(m.fetch(str(count), "(BODY.PEEK[])"))[0][1] == mail
    for n in range(200):  # the flush ends at any bit of an octet
        ok(m.search(None, "SUBJECT", '"%s"' % "".join(picker.choices("abcdefgh ", k=n))))
    m.send(b"idle IDLE\r\n")
    assert m.readline().startswith(b"+ ")
    other = imaplib.IMAP4_SSL(*at("imaps"), ssl_context=context)
    ok(other.login(house["user"], password))
    ok(other.append("INBOX", None, None, b"Subject: news\r\n\r\n"))
    other.logout()
    assert m.readline() == b"* %d EXISTS\r\n" % (count + 1)
    m.send(b"DONE\r\n")
    while not m.readline().startswith(b"idle OK"):
        pass
    assert m.received < len(mail) / 3 and m.sent < len(mail) / 3, (m.sent, m.received, len(mail))
    m.logout()
