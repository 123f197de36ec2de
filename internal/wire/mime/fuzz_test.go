package mime

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// parseSplit parses a message written in pieces cut at random.
func parseSplit(b []byte, rng *rand.Rand, longest int) *Structure {
	p := NewParser()
	for len(b) > 0 {
		n := min(len(b), 1+rng.IntN(longest))
		p.Write(b[:n])
		b = b[n:]
	}
	return p.Close()
}

// checkStructure tests all that must hold of any message whatever.
func checkStructure(message []byte) error {
	s := Parse(message)
	for _, longest := range []int{1, 3, 17, 200} {
		rng := rand.New(rand.NewPCG(uint64(len(message)), uint64(longest)))
		if split := parseSplit(message, rng, longest); !reflect.DeepEqual(s, split) {
			return fmt.Errorf("cut into pieces of up to %d:\n%+v\nwhole:\n%+v", longest, split, s)
		}
	}
	if s.Size != int64(len(message)) {
		return fmt.Errorf("size %d of %d", s.Size, len(message))
	}
	if err := checkOffsets(s); err != nil {
		return err
	}
	if err := checkRendering(s); err != nil {
		return err
	}
	if err := checkStored(s); err != nil {
		return err
	}
	return checkFacts(s, message)
}

func checkOffsets(s *Structure) error {
	if !s.sound() {
		return fmt.Errorf("unsound: %+v", s)
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Header.Len() < 0 || p.Body.Len() < 0 || p.Header.End != p.Body.Start || p.Body.End > s.Size {
			return fmt.Errorf("part %d: %v %v", i, p.Header, p.Body)
		}
		last := p.Body.Start
		for c := range s.Children(i) {
			if s.Parts[c].Header.Start < last {
				return fmt.Errorf("part %d begins before its place", c)
			}
			if last = s.Parts[c].Body.End; last > p.Body.End {
				return fmt.Errorf("part %d reaches beyond part %d", c, i)
			}
		}
	}
	return checkPaths(s, 0, nil)
}

// checkPaths looks every part up by its number.
func checkPaths(s *Structure, i int, path []int) error {
	n := 0
	if i == 0 && s.Parts[0].isMessage() {
		path = []int{1} // a message that is not a multipart is its own part 1
	}
	for c := range s.Children(i) {
		if s.Parts[i].isMultipart() {
			n++
			at := append(path[:len(path):len(path)], n)
			if found, ok := s.Find(at); !ok || found != c {
				return fmt.Errorf("%v leads to part %d, not %d", at, found, c)
			}
			if err := checkPaths(s, c, at); err != nil {
				return err
			}
		} else if err := checkPaths(s, c, path); err != nil {
			return err
		}
	}
	return nil
}

func checkStored(s *Structure) error {
	b, err := s.AppendBinary(nil)
	if err != nil {
		return err
	}
	var back Structure
	if err := back.UnmarshalBinary(b); err != nil {
		return err
	}
	if !reflect.DeepEqual(s, &back) {
		return fmt.Errorf("stored:\n%+v\nread back:\n%+v", s, &back)
	}
	return nil
}

// checkFacts compares with the obvious way to find them.
func checkFacts(s *Structure, message []byte) error {
	header := message[:s.Parts[0].Header.End]
	longest := 0
	for line := range bytes.SplitAfterSeq(message, []byte("\n")) {
		n := len(line)
		switch {
		case bytes.HasSuffix(line, []byte("\r\n")):
			n -= 2
		case bytes.HasSuffix(line, []byte("\n")):
			n--
		}
		longest = max(longest, n)
	}
	if int64(longest) != s.LongestLine {
		return fmt.Errorf("longest line %d, not %d", s.LongestLine, longest)
	}
	bare := bytes.ReplaceAll(message, []byte("\r\n"), nil)
	high := func(b []byte) bool { return bytes.ContainsFunc(b, func(r rune) bool { return r >= 0x80 }) }
	for _, f := range []struct {
		flag Flags
		want bool
	}{
		{HasBareCR, bytes.Contains(bare, []byte("\r"))},
		{HasBareLF, bytes.Contains(bare, []byte("\n"))},
		{HasNUL, bytes.Contains(message, []byte{0})},
		{HeaderNUL, bytes.Contains(header, []byte{0})},
		{Has8Bit, high(message)},
		{Header8Bit, high(header)},
	} {
		if s.Flags.Has(f.flag) != f.want {
			return fmt.Errorf("flag %b is %t", f.flag, !f.want)
		}
	}
	body := message[s.Parts[0].Body.Start:]
	if lines := int64(bytes.Count(body, []byte("\n"))); lines != s.Parts[0].Lines {
		return fmt.Errorf("%d lines, not %d", s.Parts[0].Lines, lines)
	}
	return nil
}

var awkward = []string{
	"", "\n", "\r\n", "\r", "a", ":", "a:\r\n b\r\n\r\n", "\r\n\r\n--\r\n",
	"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n--a--\r\n--a\r\n",
	"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n--a--",
	"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/digest; boundary=aa\n\n--aa\n--aa\n\n--aa\n\n\n--a\n",
	"Content-Type: \x00message/rfc822", "Content-Type: message/rfc\x00822", "Content-Type: te\x00xt/plain\r\n\r\nx",
	"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n\r\n",
	"Content-Type: multipart/mixed; boundary=\"a\"\r\n\r\n--ab\r\nX: --a\r\n\r\n--a \t\r\n\r\n--a-- \r\nx",
	"Content-Type: multipart/mixed; boundary*0=\"a;\"; boundary*1=b; x*=''%\x00%4\r\n\r\n--a;b\r\n\r\n\x80\x00\r\n--a;b--",
	"From: <@a,@b:c@d>, x:y;, (c(d)\\)) \"q\\\"\" <\"l l\"@[1.2.3.4]> z\r\nTo: a@b c@d, <e, f@g (h)\r\nSubject:\r\n",
	"Date: \r\nIn-Reply-To:\r\nReferences: <a> <b<c>\r\nDelivered-To: x\r\nDelivered-To: y\r\nContent-Language: a,,b\r\n\r\n",
}

func FuzzParse(f *testing.F) {
	for _, m := range goldenMessages(f) {
		f.Add(m)
	}
	for _, m := range awkward {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if err := checkStructure(message); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, m := range awkward {
		f.Add([]byte(m), "from")
	}
	f.Fuzz(func(t *testing.T, header []byte, name string) {
		var all []byte
		for field := range Fields(header) {
			all = append(all, field.Raw...)
			value := Unfold(field.Value)
			if bytes.IndexByte(value, '\n') >= 0 {
				t.Fatalf("folded value %q", value)
			}
			if text := DecodeWords(string(value)); !utf8.ValidString(text) {
				t.Fatalf("no UTF-8: %q", text)
			}
		}
		if !bytes.HasPrefix(header, all) {
			t.Fatalf("fields %q of %q", all, header)
		}
		with := FilterHeader(header, []string{name}, false)
		without := FilterHeader(header, []string{name}, true)
		if !bytes.HasSuffix(with, []byte("\r\n")) || len(with)+len(without) < len(all)+4 {
			t.Fatalf("%q + %q of %q", with, without, header)
		}
		for field := range Fields(with) {
			if !equalFold(field.Name, name) {
				t.Fatalf("field %q for %q", field.Raw, name)
			}
		}
		if !bytes.Equal(FilterHeader(without, []string{name}, true), without) {
			t.Fatalf("filtering again changes %q", without)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, c := range dates {
		f.Add(c.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		when, ok := ParseDate(value)
		if !ok {
			return
		}
		again, ok := ParseDate(when.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
		if when.Year() >= 0 && when.Year() <= 9999 && (!ok || !again.Equal(when)) {
			t.Fatalf("%q is %v, then %v", value, when, again)
		}
	})
}

func FuzzAddressList(f *testing.F) {
	for _, c := range addressLists {
		f.Add(c.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list := ParseAddressList(value)
		v, err := readIMAP(appendAddresses(nil, list))
		if err == nil {
			err = checkAddresses(v)
		}
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		for _, a := range list {
			checkSpec(t, a)
		}
	})
}

// checkSpec reads an addr-spec back wherever its octets are ordinary.
func checkSpec(t *testing.T, a Address) {
	odd := func(s string) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("\"\\=@()<>[],:; ", r) })
	}
	if a.Kind != Mailbox || a.Host == "" || a.Mailbox == "" || odd(a.Host) || odd(a.Mailbox) {
		return
	}
	back := ParseAddressList(a.Spec())
	if len(back) != 1 || back[0].Mailbox != a.Mailbox || back[0].Host != a.Host {
		t.Fatalf("%+v read back as %+v", a, back)
	}
}

func FuzzDecodeStructure(f *testing.F) {
	for _, m := range goldenMessages(f) {
		b, _ := Parse(m).AppendBinary(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Structure
		if err := s.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		s.AppendBodyStructure(s.AppendBody(s.AppendEnvelope(nil)))
		for _, path := range [][]int{nil, {1}, {1, 1}, {2, 1}, {1 << 30}} {
			for kind := SectionPart; kind <= SectionMIME; kind++ {
				if span, ok := s.Section(path, kind); ok && (span.Start < 0 || span.Len() < 0 || span.End > s.Size) {
					t.Fatalf("section %v %d: %v", path, kind, span)
				}
			}
		}
		if err := checkStored(&s); err != nil {
			t.Fatal(err)
		}
	})
}
