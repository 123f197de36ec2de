package dsn

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"posthorn/internal/base/reply"
)

// FuzzWrite sees that no value from outside changes the form of a notice.
func FuzzWrite(f *testing.F) {
	f.Add("bob@far.test", "rfc822;bob@far.test", "QQ", "<1@x>", "Subject", "mx.far.test [192.0.2.1]", "no such user", "A: b\r\n\r\nbody\r\n", uint8(8), uint8(0))
	f.Add("é@far.test", "utf-8;é\r\nX: y", "a\r\nBcc: x", "<a\r\n>", "=?utf-8?q?x?=\r\n\r\nx", "a\nb", "550\r\n\r\n--BOUNDARY", "A: \x00\xff\n", uint8(3), uint8(255))
	f.Add("b@[192.0.2.1]", ";", strings.Repeat("é", 400), strings.Repeat("<a@b> ", 100), strings.Repeat("\u202e字", 99), strings.Repeat("x", 3000), strings.Repeat("字", 3000), "", uint8(0), uint8(16))
	f.Add("\u0098@far.test", `utf-8;\x{41}@far.test`, "", "", "", "", "", "", uint8(0), uint8(82))
	f.Fuzz(func(t *testing.T, to, orcpt, envid, ids, subject, host, said, content string, header, bits uint8) {
		r := Recipient{Original: orcpt, Action: Action(bits) % actions, Host: host, Last: now, Until: now,
			Reply: reply.Reply{Code: 550, Enhanced: reply.E(uint16(bits%6), uint16(header), 7), Text: strings.Split(said, "|")}}
		if err := r.Address.UnmarshalText([]byte(to)); err != nil || to == "" {
			return // no input of this test
		}
		n := notice(t, r, r)
		n.UTF8, n.EnvelopeID, n.Queue = bits&16 != 0, envid, envid
		n.Languages = [][]string{nil, {"de"}, {"ja", "en", "de"}, {"en", "xx", "ja"}}[bits>>6]
		if strings.Contains(content, n.Boundary) {
			return // no input of this test
		}
		n.Original = Original{MessageID: ids, References: ids, Subject: subject, Content: strings.NewReader(content),
			Size: int64(len(content)), Header: int64(header), Full: bits&32 != 0}
		text, eightBit := write(t, n)
		wellFormed(t, text, eightBit)
		h, parts := foreign(t, text)
		want := 3
		if content == "" || header == 0 {
			want = 2
		}
		if len(parts) != want {
			t.Fatalf("%d parts in\n%s", len(parts), text)
		}
		known := map[string]bool{"From": true, "To": true, "Subject": true, "Date": true, "Message-Id": true, "In-Reply-To": true, "References": true,
			"Auto-Submitted": true, "Mime-Version": true, "Content-Type": true, "Content-Transfer-Encoding": true}
		for fields := h.Fields(); fields.Next(); {
			if !known[fields.Key()] {
				t.Errorf("field %s in\n%s", fields.Key(), text)
			}
		}
		if !utf8.ValidString(parts[0].body) || strings.ContainsRune(parts[0].body, '\u202e') {
			t.Errorf("text %q", parts[0].body)
		}
		back, err := Read(strings.NewReader(text))
		if err != nil || len(back.Recipients) != 2 || back.Recipients[0].Final != r.Address.String() || back.Recipients[1] != back.Recipients[0] {
			t.Errorf("%+v, %v in\n%s", back, err, text)
		}
		statusNames(t, parts[1].body)
	})
}

// statusNames sees that the fields of the report are only those there are.
func statusNames(t testing.TB, body string) {
	t.Helper()
	for l := range strings.SplitSeq(strings.ReplaceAll(body, "\r\n", "\n"), "\n") {
		if l == "" || l[0] == ' ' {
			continue
		}
		name, _, _ := strings.Cut(l, ":")
		switch name {
		case "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "X-Posthorn-Queue-Id", "Original-Recipient", "Final-Recipient", "Action",
			"Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until":
		default:
			t.Errorf("field %q", l)
		}
	}
}

// FuzzRead sees that nothing makes the reader fail otherwise than by an error.
func FuzzRead(f *testing.F) {
	for _, n := range goldens(f) {
		var b bytes.Buffer
		if _, err := Write(&b, n); err != nil {
			f.Fatal(err)
		}
		f.Add(b.String())
	}
	f.Add("Content-Type: multipart/report; boundary=x\n\n--x\n--x\ncontent-type: message/delivery-status\n\nFinal-Recipient: utf-8;\\x{110000}\\x{\n--x--")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(r.Recipients) == 0 || len(r.Recipients) > maxRecipients {
			t.Error(len(r.Recipients))
		}
	})
}
