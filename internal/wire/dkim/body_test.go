package dkim

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// canonical is the plain way to the canonical form of a body: line by line,
// with all of it in memory.
func canonical(c Canon, text string) string {
	if c == Relaxed {
		lines := strings.Split(text, "\r\n")
		for i, l := range lines {
			var out []byte
			for j := 0; j < len(l); j++ {
				if l[j] == ' ' || l[j] == '\t' {
					if len(out) == 0 || out[len(out)-1] != ' ' {
						out = append(out, ' ')
					}
					continue
				}
				out = append(out, l[j])
			}
			lines[i] = strings.TrimSuffix(string(out), " ")
		}
		text = strings.Join(lines, "\r\n")
	}
	for strings.HasSuffix(text, "\r\n") {
		text = strings.TrimSuffix(text, "\r\n")
	}
	if text == "" && c == Relaxed {
		return ""
	}
	return text + "\r\n"
}

// streamed hashes a body in pieces of that size.
func streamed(c Canon, text string, limit int64, piece int) ([sha256.Size]byte, int64) {
	b := &body{canon: c}
	s := b.want(limit)
	for len(text) > 0 {
		n := min(piece, len(text))
		b.write([]byte(text[:n]))
		b.write(nil)
		text = text[n:]
	}
	b.end()
	return [sha256.Size]byte(s.hash.Sum(nil)), b.total
}

func checkBody(t *testing.T, text string) {
	t.Helper()
	for _, c := range []Canon{Simple, Relaxed} {
		want := canonical(c, text)
		for _, limit := range []int64{whole, 0, 3, int64(len(want))} {
			part := want
			if limit != whole {
				part = want[:min(int64(len(want)), limit)]
			}
			for _, piece := range []int{1, 2, 3, 5, 4096, 1 << 20} {
				if got, total := streamed(c, text, limit, piece); got != sha256.Sum256([]byte(part)) || total != int64(len(want)) {
					t.Fatalf("%v of %q in pieces of %d, limit %d: %d octets, want %q", c, text, piece, limit, total, part)
				}
			}
		}
	}
}

func TestABodyIsHashedTheSameInPiecesOfAnySize(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\r\n", "\r\n\r\n", " ", " \r\n", "a", "a\r\n", "a\r\n\r\n\r\n", " C \r\nD \t E\r\n\r\n\r\n", // RFC 6376 §3.4.5
		"\r", "\n", "\r\r\n", "\r\n\r", "a\rb\nc\r\n", "a \r b\r\n", "a\n\r\n", "\r\n\n", "\n\r\n\r\n", "a \n\r\n", "a\r\n \r\n\t\r\n",
		"\r\na", "\r\n\r\n a", "a\r\n\r\n\r\n\r\nb", strings.Repeat("\r\n", 100) + "x", strings.Repeat("long ", 3000), strings.Repeat("x", 10000) + " \r\n",
		strings.Repeat("plain text line\r\n", 600) + "word  word\r\n" + strings.Repeat("\x01 \x01 text\r\n\r\n", 300), strings.Repeat("a\r", 4000) + " \r\n",
	} {
		checkBody(t, text)
	}
}

func FuzzBody(f *testing.F) {
	f.Add("a \t b\r\n\r\n \r\n\rc\n")
	f.Add(" \r \r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<12 {
			checkBody(t, text)
		}
	})
}

// TestWhiteSpaceCountsAtEveryPlace moves each pair of octets that matters, and
// some more, through eight octets and over the borders of words and pieces.
func TestWhiteSpaceCountsAtEveryPlace(t *testing.T) {
	t.Parallel()
	octets := []string{" ", "\t", "\r", "\n", "\r\n", "x", "!", "\x1f", "\x00", "\x89", "\xa0", "\x8d"}
	for at := range 17 {
		for _, one := range octets {
			for _, two := range octets {
				text := "line one\r\n" + strings.Repeat("y", at) + one + two + "zzzzzzzzz\r\nlast line\r\n"
				want := canonical(Relaxed, text)
				for _, piece := range []int{7, 16, 100} {
					if got, total := streamed(Relaxed, text, whole, piece); got != sha256.Sum256([]byte(want)) || total != int64(len(want)) {
						t.Fatalf("%q in pieces of %d: %d octets, want %q", text, piece, total, want)
					}
				}
			}
		}
	}
}

func FuzzSqueeze(f *testing.F) {
	f.Add("a b\r\n\tc")
	f.Add("\xff ü ")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := squeeze(text), strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(white, r) }), ""); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

func FuzzTags(f *testing.F) {
	f.Add("v=1; a=rsa-sha256; b = a b\r\n c ;h=From : To;")
	f.Add("p=;;k=rsa")
	f.Fuzz(func(t *testing.T, text string) {
		tags, err := ParseTags(text)
		if err != nil {
			return
		}
		var again []string
		for _, tag := range tags {
			if strings.Trim(tag.Value, white) != tag.Value || !tagName(tag.Name) {
				t.Fatalf("%q: %+v", text, tag)
			}
			again = append(again, tag.Name+"="+tag.Value)
		}
		twice, err := ParseTags(strings.Join(again, "; "))
		if err != nil || len(twice) != len(tags) {
			t.Fatalf("%q: %q, %v", tags, twice, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; t=y:s")
	f.Add("p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB")
	f.Fuzz(func(t *testing.T, text string) {
		k, fault := parseKey(text)
		if fault == nil && (k.public == nil || k.bits == 0 || k.bits > maxRSABits) {
			t.Fatalf("%q: %+v", text, k)
		}
	})
}

func FuzzHeaderSection(f *testing.F) {
	f.Add("A: b\r\n c\r\nDKIM-Signature: v=1; b=x\r\n")
	f.Add("A\n: b\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		fields, _ := split([]byte(text))
		var all []byte
		for _, field := range fields {
			all = append(all, field.Raw...)
		}
		if len(fields) < maxFields && string(all) != text {
			t.Fatalf("%q is split into %q", text, all)
		}
	})
}

// FuzzSignature reads a field, as DKIM-Signature and as ARC-Message-Signature.
func FuzzSignature(f *testing.F) {
	f.Add(" v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=s; i=@a.example.org; t=1; x=2; l=3; h=From : To;\r\n\tbh=AAAA; b=AAAA")
	f.Add(" i=1; a=ed25519-sha256; d=ü.example; s=s; h=:; bh==; b=")
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"dkim-signature", "arc-message-signature"} {
			s := parseSignature(Field{Name: name, Raw: []byte(name + ":" + value + "\r\n")})
			if s.fault != nil {
				if s.fault.reason == "" || s.fault.status == Pass {
					t.Fatalf("%q: %+v", value, s.fault)
				}
				continue
			}
			if s.Domain == "" || s.Selector == "" || len(s.Value) == 0 || len(s.bodyHash) == 0 || !has(s.signed, "from") || s.length < whole {
				t.Fatalf("%q: %+v", value, s)
			}
		}
	})
}
