package mime

import (
	"bytes"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// The standard library is strict; where it understands something, both agree.

func TestMailboxesAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	pick := func(alphabet string, n int) string {
		runes := []rune(alphabet)
		out := make([]rune, 1+rng.IntN(n))
		for i := range out {
			out[i] = runes[rng.IntN(len(runes))]
		}
		return string(out)
	}
	for range 5000 {
		var want []*mail.Address
		var list []string
		for range 1 + rng.IntN(4) {
			a := &mail.Address{
				Name:    strings.TrimSpace(pick("abc .,@<>\"\\()äß€", 12)),
				Address: pick("abc.!x \"\\@", 8) + "@" + pick("abc", 3) + ".example",
			}
			want = append(want, a)
			list = append(list, a.String())
		}
		got := ParseAddressList(strings.Join(list, ",\r\n "))
		if len(got) != len(want) {
			t.Fatalf("%q: %+v", list, got)
		}
		for i, a := range got {
			if spec := a.Mailbox + "@" + a.Host; DecodeWords(a.Name) != want[i].Name || spec != want[i].Address {
				t.Fatalf("%s: %q %q, want %q %q", list[i], DecodeWords(a.Name), spec, want[i].Name, want[i].Address)
			}
		}
	}
}

func TestDatesAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		zone := time.FixedZone("", (rng.IntN(27*4)-13*4)*900)
		when := time.Unix(rng.Int64N(4e9), 0).In(zone)
		for _, layout := range []string{time.RFC1123Z, "2 Jan 2006 15:04:05 -0700 (MST)", time.RFC3339, "Mon, _2 Jan 2006 15:04:05 -0700"} {
			got, ok := ParseDate(when.Format(layout))
			_, offset := got.Zone()
			_, want := when.Zone()
			if !ok || !got.Equal(when) || offset != want {
				t.Fatalf("%s: %v", when.Format(layout), got)
			}
		}
	}
}

func TestPartsAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	compared := 0
	for file, m := range goldenMessages(t) {
		s := Parse(m)
		boundary := s.Parts[0].Param("boundary")
		if !s.Parts[0].isMultipart() || s.childless(0) || boundary == "" || strings.Contains(file, "truncated") {
			continue
		}
		body := s.Parts[0].Body
		r := multipart.NewReader(bytes.NewReader(m[body.Start:body.End]), boundary)
		for i := range s.Children(0) {
			part, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			want, err := io.ReadAll(part)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			got := s.Parts[i].Body
			if string(m[got.Start:got.End]) != string(want) {
				t.Errorf("%s part %d: %q, want %q", file, i, m[got.Start:got.End], want)
			}
			compared++
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Errorf("%s: the standard library sees more parts", file)
		}
	}
	if compared < 15 {
		t.Errorf("only %d parts compared", compared)
	}
}
