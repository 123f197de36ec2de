package mime

import (
	"bytes"
	"strings"
	"testing"
)

// ordinary is a message of 2 KB as it comes from the net.
func ordinary() []byte {
	m := crlf(`Received: from out.example.org (out.example.org [192.0.2.10])
	by mx.example.test with ESMTPS id 0123456789abcdefghjkmnpqrs
	for <bernd@example.test>; Mon, 2 Mar 2026 09:00:01 +0100
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;
	h=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
	b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
Date: Mon, 2 Mar 2026 09:00:00 +0100
From: Anna Example <anna@example.org>
To: "Brandt, Bernd" <bernd@example.test>
Cc: Carla <carla@example.test>, dora@example.test
Subject: Timetable for the next week
Message-ID: <20260302080000.12345@example.org>
In-Reply-To: <20260301080000.12344@example.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable

`)
	return append(m, bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, and nobody knows why.\r\n"), 16)...)
}

func BenchmarkParse2KB(b *testing.B) {
	m := ordinary()
	p := NewParser()
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		p.Write(m)
		p.Close()
	}
}

func BenchmarkParse10MB(b *testing.B) {
	for _, c := range []struct{ name, header, line string }{
		{"text", "", strings.Repeat("x", 76)},
		{"multipart", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", strings.Repeat("x", 76)},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := append([]byte("Subject: big\r\n"+c.header+"\r\n"), bytes.Repeat([]byte(c.line+"\r\n"), 10<<20/78)...)
			b.SetBytes(int64(len(m)))
			b.ReportAllocs()
			for b.Loop() {
				p := NewParser()
				for at := 0; at < len(m); at += 64 << 10 {
					p.Write(m[at:min(len(m), at+64<<10)])
				}
				p.Close()
			}
		})
	}
}

func BenchmarkAppendBinary(b *testing.B) {
	s := Parse(ordinary())
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = s.AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "octets")
}

func BenchmarkUnmarshalAndEnvelope(b *testing.B) {
	stored, _ := Parse(ordinary()).AppendBinary(nil)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var s Structure
		if err := s.UnmarshalBinary(stored); err != nil {
			b.Fatal(err)
		}
		buf = s.AppendEnvelope(buf[:0])
	}
}

func BenchmarkBodyStructure(b *testing.B) {
	s := Parse(crlf(sectionMessage))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = s.AppendBodyStructure(buf[:0])
	}
}
