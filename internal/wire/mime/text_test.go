package mime

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// textOf parses a message and reads the text of its first part.
func textOf(t testing.TB, message []byte) string {
	t.Helper()
	s := Parse(message)
	r, err := s.Parts[0].Text(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func encode(t *testing.T, e interface{ Bytes([]byte) ([]byte, error) }, s string) string {
	t.Helper()
	b, err := e.Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTextIsReadInWhateverItIsWritten(t *testing.T) {
	t.Parallel()
	kanji := encode(t, japanese.ISO2022JP.NewEncoder(), "お知らせ")
	for _, x := range []struct{ name, head, body, want string }{
		{"plain", "", "hello", "hello"},
		{"utf-8", "Content-Type: text/plain; charset=utf-8\n", "Grüße", "Grüße"},
		{"latin 1", "Content-Type: text/plain; charset=iso-8859-1\n", "Gr\xfc\xdfe", "Grüße"},
		{"latin 1 without a label", "", "Gr\xfc\xdfe", "Grüße"},
		{"utf-8 without a label", "", "Grüße", "Grüße"},
		{"latin 1 labelled utf-8", "Content-Type: text/plain; charset=utf-8\n", "Gr\xfc\xdfe", "Grüße"},
		{"labelled ascii", "Content-Type: text/plain; charset=us-ascii\n", "Grüße", "Grüße"},
		{"unknown label", "Content-Type: text/plain; charset=x-nonsense\n", "Grüße", "Grüße"},
		{"quoted-printable", "Content-Type: text/plain; charset=iso-8859-15\nContent-Transfer-Encoding: quoted-printable\n", "100 =A4=\n!", "100 €!"},
		{"base64", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n", "R3LDvMOf\nZQ==", "Grüße"},
		{"iso-2022-jp", "Content-Type: text/plain; charset=ISO-2022-JP\n", kanji, "お知らせ"},
		{"iso-2022-jp without a label", "", kanji, "お知らせ"},
		{"gb2312", "Content-Type: text/plain; charset=gb2312\n", encode(t, simplifiedchinese.GB18030.NewEncoder(), "草稿箱"), "草稿箱"},
		{"koi8-r", "Content-Type: text/plain; charset=koi8-r\n", encode(t, charmap.KOI8R.NewEncoder(), "привет"), "привет"},
		{"utf-16", "Content-Type: text/plain\nContent-Transfer-Encoding: binary\n", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder(), "né"), "né"},
		{"html", "Content-Type: text/html; charset=utf-8\n", "<p>one<b>two</b></p><p>three &amp; f&uuml;nf&nbsp;6</p>", "\nonetwo\n\nthree & fünf 6\n"},
		{"html that names its charset", "Content-Type: text/html\n", "<meta charset=shift_jis>" + encode(t, japanese.ShiftJIS.NewEncoder(), "旅行"), "\n旅行"},
		{"html hides its workings", "Content-Type: text/html\n", "a<style>p{}</style><script>if (a<b) x()</script><!-- note -->b", "ab"},
		{"html shows where it leads", "Content-Type: text/html\n", `<a href="https://far.test/">here</a><img alt="a cat" src="cid:1">`, " https://far.test/ here a cat "},
		{"html with soft hyphens", "Content-Type: text/html\n", "Donau&shy;dampf", "Donaudampf"},
		{"html broken off", "Content-Type: text/html\n", "text <a href=\"unfinished", "text "},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if got := textOf(t, []byte(x.head+"\n"+x.body)); got != x.want {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestTextBeyondTheLongestTokenIsNotLost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxMarkup)
	got := textOf(t, []byte("Content-Type: text/html\n\n<p>"+long+"<p>the end"))
	if !strings.Contains(got, long) || !strings.Contains(got, "the end") {
		t.Errorf("%d octets, %.20q … %q", len(got), got, got[max(0, len(got)-20):])
	}
}

func TestTextOfAnUnknownEncodingIsAnError(t *testing.T) {
	t.Parallel()
	message := []byte("Content-Transfer-Encoding: x-rot13\n\nuryyb")
	if _, err := Parse(message).Parts[0].Text(bytes.NewReader(message)); !errors.Is(err, ErrUnknownEncoding) {
		t.Error(err)
	}
}

// FuzzText reads the text of every part, at once and octet by octet.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"Content-Type: text/html\n\n<p>a&amp;<script>b", "\n\x1b$B$*\x1b(B", "Content-Type: text/plain; charset=utf-16\n\n\xff\xfea",
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=gb2312\n\n<a title=x\n--b--"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s := Parse(message)
		for i := range s.Parts {
			p := &s.Parts[i]
			r, err := p.Text(bytes.NewReader(message))
			if errors.Is(err, ErrUnknownEncoding) {
				continue
			}
			whole, err2 := io.ReadAll(r)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if !utf8.Valid(whole) {
				t.Fatalf("part %d: not UTF-8: %q", i, whole)
			}
			if r, err = p.Text(bytes.NewReader(message)); err != nil {
				t.Fatal(err)
			}
			slow, err := io.ReadAll(iotest.OneByteReader(r))
			if err != nil || !bytes.Equal(slow, whole) {
				t.Fatalf("part %d: %q, octet by octet %q, %v", i, whole, slow, err)
			}
		}
	})
}
