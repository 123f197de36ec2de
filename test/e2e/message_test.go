package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// message is a mail that must arrive as it was sent.
type message struct {
	name    string
	content []byte
}

// corpus returns messages that mail programs and servers like to change; they
// are made once, and a caller may cut its slice but not write to a message.
func corpus() []message { return slices.Clone(made()) }

var made = sync.OnceValue(func() []message {
	texts := []struct{ name, fields, body string }{
		{"plain", "", "Hello.\r\n"},
		{"empty body", "", ""},
		{"no line at all but blanks", "", " \r\n\t\r\n\r\n"},
		{"dots", "", ".\r\n..\r\n...\r\n.a\r\nFrom here.\r\n.\r\n"},
		{"long lines", "X-Long: " + strings.Repeat("x", 990) + "\r\n", strings.Repeat("y", 998) + "\r\n" + "." + strings.Repeat("z", 997) + "\r\n"},
		{"8 bit", "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n", "Gr\xfc\xdfe aus K\xf6ln\r\n\xff\xfe\x80\r\n"},
		{"Japanese", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", "こんにちは、世界。\r\n"},
		{"raw UTF-8 fields", "X-Note: 東京と北京とMünchen\r\nContent-Type: text/plain; charset=utf-8\r\n", "中文\r\n"},
		{"attachment", "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n", attachment(5 << 20)},
	}
	subjects := []string{"Grüße aus Köln", "日本語の件名", "中文主题"}
	var all []message
	for i, x := range texts {
		text := fmt.Sprintf("From: Demo <%s>\r\nTo: <%s>\r\nSubject: =?utf-8?B?%s?=\r\nDate: Sun, 22 Nov 2026 10:00:%02d +0000\r\nMessage-ID: <%d@example.test>\r\n%s\r\n%s",
			demo, admin, base64.StdEncoding.EncodeToString([]byte(subjects[i%len(subjects)])), i, i, x.fields, x.body)
		all = append(all, message{x.name, []byte(text)})
	}
	return all
})

// attachment is base64 of octets nobody can guess, in lines of 76.
func attachment(size int) string {
	source := rand.NewChaCha8([32]byte{1})
	octets := make([]byte, size)
	_, _ = source.Read(octets) // never fails
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(octets)), 76) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

// traceFields are what a server puts on top.
var traceFields = []string{"return-path", "received", "delivered-to", "authentication-results", "received-spf", "x-original-to"}

// unchanged fails the test unless got is sent under trace fields, which may
// only be missing where the message was stored and not delivered.
func unchanged(t *testing.T, what string, got, sent []byte) {
	t.Helper()
	top, ok := bytes.CutSuffix(got, sent)
	if !ok {
		t.Errorf("%s: not as it was sent (%d octets, %d sent):\n%q\nsent:\n%q", what, len(got), len(sent), first(got), first(sent))
		return
	}
	for line := range strings.Lines(string(top)) {
		name, _, _ := strings.Cut(line, ":")
		if line[0] != ' ' && line[0] != '\t' && !slices.Contains(traceFields, strings.ToLower(name)) {
			t.Errorf("%s: the server added %q", what, line)
		}
	}
}

func first(b []byte) []byte { return b[:min(len(b), 1500)] }
