package remote

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"posthorn/internal/wire/mime"
)

// convert makes the 7-bit form of a message.
func convert(raw string) (string, error) {
	c := &content{body: memBody{bytes.NewReader([]byte(raw))}, mime: *mime.Parse([]byte(raw))}
	s, err := c.sevenBit()
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(c.reader(s))
	if err == nil && int64(len(out)) != s.size {
		err = errors.New("its size is not what was said")
	}
	return string(out), err
}

func TestContentIsMadeSevenBitPartByPart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"no MIME": {
			"Subject: x\n\ngrüße\r\n",
			"",
		},
		"no MIME, CRLF": {
			"Subject: x\r\n\r\ngrüße = schön \r\n",
			"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BC=C3=9Fe =3D sch=C3=B6n=20\r\n",
		},
		"one text": {
			"MIME-Version: 1.0\r\nContent-Transfer-Encoding:\r\n 8bit\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\n\r\nä\r\n",
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n",
		},
		"parts": {
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\ncontent-transfer-encoding: 8BIT\r\n\r\npreamble\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\nä\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n--b--\r\nepilogue\r\n",
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n\r\n--b--\r\nepilogue\r\n",
		},
		"a message inside": {
			"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: y\r\nContent-Type: text/plain\r\n\r\nä",
			"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: y\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4",
		},
		"NUL in a text":      {"MIME-Version: 1.0\r\n\r\na\x00b", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n"},
		"a long line":        {"MIME-Version: 1.0\r\n\r\n" + strings.Repeat("x", 1000), "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.Repeat(strings.Repeat("x", 75)+"=\r\n", 13) + strings.Repeat("x", 25)},
		"a header":           {"Subject: ä\r\n\r\nä\r\n", ""},
		"a header of a part": {"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: ä\r\n\r\nx\r\n--b--\r\n", ""},
		"a preamble":         {"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nä\r\n--b\r\n\r\nx\r\n--b--\r\n", ""},
		"signed":             {"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nä\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n", ""},
		"beside what is signed": {
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Transfer-Encoding: 8bit\r\n\r\nä\r\n--o\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: multipart/mixed; boundary=i\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--i\r\n\r\nx\r\n--i--\r\n--s\r\n\r\nsignature\r\n--s--\r\n--o\r\nContent-Transfer-Encoding: 8bit\r\n\r\nö\r\n--o--\r\n",
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--o\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: multipart/mixed; boundary=i\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--i\r\n\r\nx\r\n--i--\r\n--s\r\n\r\nsignature\r\n--s--\r\n--o\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6\r\n--o--\r\n",
		},
		"encoded and yet 8-bit":  {"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nä\r\n", ""},
		"an unknown encoding":    {"MIME-Version: 1.0\r\nContent-Transfer-Encoding: x-uu\r\n\r\nä\r\n", ""},
		"a piece of a message":   {"MIME-Version: 1.0\r\nContent-Type: message/partial\r\n\r\nä\r\n", ""},
		"nothing needs anything": {"Subject: x\r\n\r\nx\r\n", "Subject: x\r\n\r\nx\r\n"},
	} {
		got, err := convert(c.in)
		if (c.want == "") != errors.Is(err, errNoSevenBit) || err != nil && !errors.Is(err, errNoSevenBit) || got != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
}

func TestLongBinaryPartsAreWrapped(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte{0, 1, 0xff, '\n', '\r'}, 20_000)
	got, err := convert("MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n" + string(body))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got) {
		if len(line) > 78 || !strings.HasSuffix(line, "\r\n") {
			t.Fatalf("a line of %d octets", len(line))
		}
	}
	if back := leaves(t, got); len(back) != 1 || back[0] != string(body) {
		t.Errorf("%d parts", len(back))
	}
}

// leaves returns what the parts of a message say.
func leaves(t *testing.T, raw string) []string {
	t.Helper()
	var out []string
	s := mime.Parse([]byte(raw))
	for i := range s.Parts {
		p := &s.Parts[i]
		if composite(p) {
			continue
		}
		r, err := mime.DecodeReader(strings.NewReader(raw[p.Body.Start:p.Body.End]), p.Encoding)
		if err != nil {
			out = append(out, raw[p.Body.Start:p.Body.End])
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// FuzzSevenBit: what comes out is 7-bit, and every part says what it said.
func FuzzSevenBit(f *testing.F) {
	f.Add("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nä\r\n--b\r\nContent-Type: image/x\r\n\r\n\x89\x00\r\n--b--\r\n")
	f.Add("MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nä \r\n")
	f.Add("Subject: x\r\n\r\nä\r\n.\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := convert(raw)
		if errors.Is(err, errNoSevenBit) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		s := mime.Parse([]byte(got))
		if !plain(s.Facts) {
			t.Fatalf("%q became %q", raw, got)
		}
		before, after := leaves(t, raw), leaves(t, got)
		if len(before) != len(after) {
			t.Fatalf("%q with %d parts became %q with %d", raw, len(before), got, len(after))
		}
		for i := range before {
			if before[i] != after[i] {
				t.Fatalf("%q became %q: part %d says %q", raw, got, i, after[i])
			}
		}
	})
}
