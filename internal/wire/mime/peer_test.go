package mime

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // so that it reads what we read
	gomail "github.com/emersion/go-message/mail"
)

// A message another library wrote is read back as it was meant.
func FuzzRoundTrip(f *testing.F) {
	f.Add("Grüße", "Jörg Müller", "Text\r\nwith lines", "<p>html</p>", "Entwurf ä.txt", []byte("\x00\xff"), uint8(0))
	f.Add("お知らせ 旅行の写真", "山田 太郎", "本文", "<b>本文</b>", "写真.jpg", []byte("a"), uint8(1))
	f.Add(strings.Repeat("草稿箱 ", 40), "", ".", "", strings.Repeat("长", 100), bytes.Repeat([]byte("\r\n"), 100), uint8(2))
	f.Fuzz(func(t *testing.T, subject, name, plain, html, file string, attached []byte, nesting uint8) {
		for _, s := range []*string{&subject, &name, &file} {
			*s = printable(*s)
		}
		plain, html = strings.ToValidUTF8(plain, ""), strings.ToValidUTF8(html, "")
		raw := compose(t, subject, name, plain, html, file, attached, int(nesting%4))
		s := Parse(raw)
		if got := DecodeWords(s.Envelope().Subject); got != subject {
			t.Fatalf("subject %q, want %q\n%s", got, subject, raw)
		}
		if from := s.Envelope().From; len(from) != 1 || DecodeWords(from[0].Name) != name || from[0].Spec() != "a@far.test" {
			t.Fatalf("from %+v, want %q\n%s", from, name, raw)
		}
		var leaves []*Part
		for i := range s.Parts {
			if p := &s.Parts[i]; p.Type != "multipart" && p.Type != "message" {
				leaves = append(leaves, p)
			}
		}
		if len(leaves) != 3 {
			t.Fatalf("%d leaves\n%s", len(leaves), raw)
		}
		want := []string{plain, html, string(attached)}
		for i, p := range leaves {
			if got := decoded(t, raw, p); got != want[i] && (i == 2 || lines(got) != lines(want[i])) {
				t.Fatalf("part %d: %q, want %q\n%s", i, got, want[i], raw)
			}
		}
		if got := DecodeWords(leaves[2].Filename()); got != file {
			t.Fatalf("file name %q, want %q\n%s", got, file, raw)
		}
	})
}

// lines makes line ends equal, which text may change on its way.
func lines(s string) string {
	return strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n")
}

// printable keeps what a header field can hold: no controls, no space that
// folding or trimming may take.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || r >= 0x80 && r < 0xa0 || strings.ContainsRune(`=?"\<>`, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}

func compose(t *testing.T, subject, name, plain, html, file string, attached []byte, nesting int) []byte {
	t.Helper()
	var h gomail.Header
	h.SetSubject(subject)
	h.SetAddressList("From", []*gomail.Address{{Name: name, Address: "a@far.test"}})
	h.SetContentType("multipart/mixed", nil)
	var b bytes.Buffer
	w, err := message.CreateWriter(&b, h.Header)
	must(t, err)
	part := func(in *message.Writer, kind, encoding, disposition string, params map[string]string, body []byte) {
		var h message.Header
		h.SetContentType(kind, params)
		h.Set("Content-Transfer-Encoding", encoding)
		if disposition != "" {
			h.SetContentDisposition(disposition, map[string]string{"filename": file})
		}
		p, err := in.CreatePart(h)
		must(t, err)
		_, err = p.Write(body)
		must(t, err)
		must(t, p.Close())
	}
	in, open := w, []*message.Writer{w}
	for range nesting {
		var h message.Header
		h.SetContentType("multipart/alternative", nil)
		in, err = in.CreatePart(h)
		must(t, err)
		open = append(open, in)
	}
	utf8 := map[string]string{"charset": "utf-8"}
	part(in, "text/plain", "quoted-printable", "", utf8, []byte(plain))
	part(in, "text/html", "base64", "", utf8, []byte(html))
	part(in, "application/octet-stream", "base64", "attachment", nil, attached)
	for i := len(open) - 1; i >= 0; i-- {
		must(t, open[i].Close())
	}
	return b.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decoded(t *testing.T, raw []byte, p *Part) string {
	t.Helper()
	r, err := DecodeReader(io.NewSectionReader(bytes.NewReader(raw), p.Body.Start, p.Body.Len()), p.Encoding)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

// A message of parts, well formed or cut anywhere, has the same leaves with the
// same octets for us and for another reader wherever that one reads to the end.
func FuzzPeer(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 200, 4}, "text", "xy", uint16(0))
	f.Add([]byte{5, 5, 0, 250, 1, 250, 2}, "--b", "b", uint16(40))
	f.Add([]byte{9, 0, 3, 7, 1, 1, 1, 250}, "\r\n--\r\n", "--", uint16(0))
	f.Fuzz(func(t *testing.T, plan []byte, text, boundary string, cut uint16) {
		text = printable(text)
		boundary = strings.Map(func(r rune) rune {
			if r < 0x80 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=.", r)) {
				return r
			}
			return -1
		}, boundary)
		if len(plan) > 200 || len(boundary) > 40 {
			return
		}
		m := assemble(plan, text, "b"+boundary)
		if int(cut) < len(m) {
			m = m[:len(m)-int(cut)]
		}
		want, ok := leavesOf(m)
		if !ok {
			return
		}
		var got []string
		s := Parse(m)
		for i := range s.Parts {
			if p := &s.Parts[i]; p.Type != "multipart" {
				got = append(got, decoded(t, m, p))
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q, the other reads %q\n%s", got, want, m)
		}
	})
}

// assemble writes a tree of parts: small numbers are leaves, middle ones open
// a multipart, large ones close it.
func assemble(plan []byte, text, boundary string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\npreamble\r\n", boundary)
	open := []string{boundary}
	for i, c := range plan {
		here := open[len(open)-1]
		switch {
		case c < 100:
			fmt.Fprintf(&b, "--%s\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: %s\r\n\r\n%s %d\r\n", here, []string{"7bit", "8bit", "binary"}[c%3], text, i)
		case c < 200 && len(open) < 8:
			inner := fmt.Sprintf("%s.%d", boundary, i)
			fmt.Fprintf(&b, "--%s\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n\r\nfirst\r\n", here, inner, inner)
			open = append(open, inner)
		case len(open) > 1:
			fmt.Fprintf(&b, "--%s--\r\n", here)
			open = open[:len(open)-1]
		}
	}
	for i := len(open) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--%s--\r\n", open[i])
	}
	return b.Bytes()
}

// leavesOf reads the message with the other library; false where that one
// finds a fault.
func leavesOf(m []byte) (leaves []string, ok bool) {
	e, err := message.Read(bytes.NewReader(m))
	if err != nil {
		return nil, false
	}
	err = e.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil {
			return err
		}
		if e.MultipartReader() != nil {
			return nil
		}
		b, err := io.ReadAll(e.Body)
		leaves = append(leaves, string(b))
		return err
	})
	return leaves, err == nil
}
