package smtp

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
)

func code(err error) string {
	if err == nil {
		return ""
	}
	r := ReplyTo(err)
	return strings.TrimSpace(strings.Join([]string{string(rune('0'+r.Code/100)) + string(rune('0'+r.Code/10%10)) + string(rune('0'+r.Code%10)), r.Enhanced.String()}, " "))
}

func TestCommandsAreSplit(t *testing.T) {
	for _, c := range []struct {
		line string
		verb Verb
		arg  string
		err  string
	}{
		{"EHLO a.example", EHLO, "a.example", ""},
		{"ehlo  a.example ", EHLO, "a.example", ""},
		{"QUIT", QUIT, "", ""},
		{"StartTLS", STARTTLS, "", ""},
		{"GET / HTTP/1.1", HTTP, "/ HTTP/1.1", ""},
		{"STARTTLSX", Unknown, "", ""},
		{"", Unknown, "", ""},
		{"MAIL\x00FROM:<>", MAIL, "", "501 5.5.2"},
		{"NOOP\rRSET", NOOP, "", "501 5.5.2"},
		{"BDAT\t5", BDAT, "", "501 5.5.2"},
		{"NOOP " + strings.Repeat("x", MaxLine), NOOP, "", "500 5.5.2"},
		{"AUTH " + strings.Repeat("x", 12000), AUTH, strings.Repeat("x", 12000), ""},
		{"MAIL " + strings.Repeat("x", MaxMail-5), MAIL, strings.Repeat("x", MaxMail-5), ""},
		{"MAIL " + strings.Repeat("x", MaxMail-4), MAIL, "", "500 5.5.2"},
	} {
		got, err := ParseCommand([]byte(c.line))
		if code(err) != c.err || got.Verb != c.verb || got.Arg != c.arg {
			t.Errorf("%.40q: %v %.40q %v", c.line, got.Verb, got.Arg, err)
		}
	}
}

func TestMailIsParsed(t *testing.T) {
	all := Size | Body | SMTPUTF8 | Auth | DSN | RequireTLS | FutureRelease | BinaryMIME
	for _, c := range []struct{ arg, addr, err string }{
		{"FROM:<a@example.test>", "a@example.test", ""},
		{"from: <a@Example.TEST> size=5 body=8bitmime", "a@example.test", ""},
		{"FROM:<>", "", ""},
		{"FROM:<@x.example,@y.example:a@example.test>", "a@example.test", ""},
		{`FROM:<"a b>"@example.test>`, `"a b>"@example.test`, ""},
		{"FROM:<alone>", "alone", ""},
		{"FROM:a@example.test", "", "501 5.5.4"},
		{"FROM <a@example.test>", "", "501 5.5.4"},
		{"FROM:<a@example.test", "", "501 5.1.7"},
		{"FROM:<@example.net>", "", "501 5.1.7"},
		{"FROM:<@a.example:>", "", "501 5.1.7"},
		{"FROM:<@a example:b@c.example>", "", "501 5.1.7"},
		{"FROM:<a@>", "", "501 5.1.7"},
		{"FROM:<a@b@example.test>", "", "501 5.1.7"},
		{"FROM:<" + strings.Repeat("x", maxPath) + "@example.test>", "", "501 5.1.7"},
		{"FROM:<a@example.test>SIZE=5", "", "501 5.5.4"},
		{"FROM:<a@exa mple.test>", "", "501 5.1.7"},
		{"FROM:<`id`;rm -rf@example.test>", "", "501 5.1.7"},
		{"FROM:<a@example.test> SIZE=-1", "", "501 5.5.4"},
		{"FROM:<a@example.test> SIZE=100000000000000000000000", "", "501 5.5.4"},
		{"FROM:<a@example.test> SIZE", "", "501 5.5.4"},
		{"FROM:<a@example.test> SIZE=", "", "501 5.5.4"},
		{"FROM:<a@example.test> SIZE=1 SIZE=1", "", "501 5.5.4"},
		{"FROM:<a@example.test> SMTPUTF8=1", "", "501 5.5.4"},
		{"FROM:<a@example.test> BODY=9BIT", "", "501 5.5.4"},
		{"FROM:<a@example.test> BY=1;R", "", "555 5.5.4"},
		{"FROM:<a@example.test> FOO=BAR", "", "555 5.5.4"},
		{"FROM:<a@example.test> ENVID=a+0Ab", "", "501 5.5.4"},
		{"FROM:<a@example.test> ENVID=a+FF", "", "501 5.5.4"},
		{"FROM:<a@example.test> ENVID=a+2Bb RET=hdrs AUTH=<>", "a@example.test", ""},
		{"FROM:<a@example.test> HOLDFOR=60 HOLDUNTIL=2026-01-01T00:00:00Z", "", "501 5.5.4"},
		{"FROM:<ä@example.test>", "", "553 5.6.7"},
		{"FROM:<ä@example.test> SMTPUTF8", "ä@example.test", ""},
		{"FROM:<a@bücher.example> SMTPUTF8", "a@xn--bcher-kva.example", ""},
		{"FROM:<a@bücher.example>", "", "553 5.6.7"},
		{"FROM:<\xff@example.test>", "", "553 5.6.7"},
		{"FROM:<\xff@example.test> SMTPUTF8", "", "501 5.1.7"},
	} {
		m, err := ParseMail(c.arg, all)
		if code(err) != c.err || err == nil && m.Sender.String() != c.addr {
			t.Errorf("%q: %q %v", c.arg, m.Sender, err)
		}
	}
}

// A local part may be as long as the path allows (RFC 5321 §4.5.3.1.1 and 3);
// what is too long is called so.
func TestOnlyThePathAsAWholeIsTooLong(t *testing.T) {
	for octets, long := range map[int]bool{65: false, mail.MaxAddress: false, mail.MaxAddress + 1: true, 3 * mail.MaxAddress: true} {
		for path, domain := range map[string]string{"FROM:<": "@example.test", "TO:<": "@example.test", "FROM:<@a.example:": "@example.test", " FROM:<": ""} {
			path = strings.TrimSpace(path)
			local := strings.Repeat("x", octets-len(domain))
			_, err := ParseMail(path+local+domain+">", 0)
			if path == "TO:<" {
				_, err = ParseRcpt(path+local+domain+">", 0, false)
			}
			if got := err != nil && ReplyTo(err).Text[0] == "Path too long"; got != long || !long && err != nil {
				t.Errorf("%s with %d octets: %v", path, octets, err)
			}
		}
	}
}

func TestMailParametersAreKept(t *testing.T) {
	m, err := ParseMail("FROM:<a@example.test> SIZE=12 BODY=BINARYMIME SMTPUTF8 REQUIRETLS AUTH=e+3Dmc2@example.com RET=FULL ENVID=QQ314159 HOLDFOR=90",
		Size|Body|BinaryMIME|SMTPUTF8|RequireTLS|Auth|DSN|FutureRelease)
	want := Mail{Sender: m.Sender, Size: 12, Body: BodyBinary, SMTPUTF8: true, RequireTLS: true, Auth: "e=mc2@example.com",
		Return: "FULL", EnvelopeID: "QQ314159", HoldFor: 90 * time.Second}
	if err != nil || m != want {
		t.Errorf("%+v %v", m, err)
	}
	for _, arg := range []string{"SIZE=1", "BODY=7BIT", "SMTPUTF8", "AUTH=<>", "RET=FULL", "REQUIRETLS", "HOLDFOR=1"} {
		if _, err := ParseMail("FROM:<> "+arg, 0); code(err) != "555 5.5.4" {
			t.Errorf("%s was not offered: %v", arg, err)
		}
	}
	if m, err := ParseMail("FROM:<> SIZE=99999999999999999999", Size); err != nil || m.Size != math.MaxInt64 {
		t.Errorf("%d %v", m.Size, err)
	}
}

func TestRcptIsParsed(t *testing.T) {
	for _, c := range []struct {
		arg  string
		utf8 bool
		addr string
		err  string
	}{
		{"TO:<b@example.test>", false, "b@example.test", ""},
		{"TO:<PostMaster>", false, "postmaster", ""},
		{"TO:<" + strings.Repeat("x", 65) + "@example.test>", false, strings.Repeat("x", 65) + "@example.test", ""},
		{"TO:<@a.example:" + strings.Repeat("x", 241) + "@example.test>", false, strings.Repeat("x", 241) + "@example.test", ""},
		{"TO:<" + strings.Repeat("x", 242) + "@example.test>", false, "", "501 5.1.3"},
		{"TO:<" + strings.Repeat("x", 600) + "@example.test>", false, "", "501 5.1.3"},
		{"TO:<@a.example:b@example.test>", false, "b@example.test", ""},
		{"TO:<b@[192.0.2.1]>", false, "b@[192.0.2.1]", ""},
		{`TO:<""@example.test>`, false, "", "501 5.1.3"},
		{"TO:<>", false, "", "501 5.1.3"},
		{"TO:<b@c@example.test>", false, "", "501 5.1.3"},
		{"TO:<b@example.test@>", false, "", "501 5.1.3"},
		{"TO:<@a.example>", false, "", "501 5.1.3"},
		{"TO:<@a.example:>", false, "", "501 5.1.3"},
		{"TO:<@a example:b@c.example>", false, "", "501 5.1.3"},
		{"TO:<|/bin/sh>", false, "", "550 5.1.1"},
		{"TO:</etc/passwd>", false, "", "550 5.1.1"},
		{"TO:<:include:/etc/passwd>", false, "", "550 5.1.1"},
		{"TO:<${run{/bin/id}}>", false, "", "550 5.1.1"},
		{"TO:<../../x>", false, "", "550 5.1.1"},
		{"TO:<host!user>", false, "", "550 5.1.1"},
		{"TO:<user%remote.example>", false, "", "550 5.1.1"},
		{"TO:<ü@example.test>", false, "", "553 5.6.7"},
		{"TO:<ü@example.test>", true, "ü@example.test", ""},
		{"TO:<\xc3@example.test>", true, "", "501 5.1.3"},
		{"TO:<b@example.test", false, "", "501 5.1.3"},
		{"TO:<b@example.test> NOTIFY=NEVER", false, "b@example.test", ""},
		{"TO:<b@example.test> NOTIFY=NEVER,DELAY", false, "", "501 5.5.4"},
		{"TO:<b@example.test> NOTIFY=", false, "", "501 5.5.4"},
		{"TO:<b@example.test> ORCPT=rfc822;x+0D+0AX@y", false, "", "501 5.5.4"},
		{"TO:<b@example.test> ORCPT=rfc822;x+FF@y", false, "", "501 5.5.4"},
		{"TO:<b@example.test> ORCPT=b@example.test", false, "", "501 5.5.4"},
		{"TO:<b@example.test> FOO", false, "", "555 5.5.4"},
	} {
		r, err := ParseRcpt(c.arg, DSN, c.utf8)
		if code(err) != c.err || err == nil && r.Recipient.String() != c.addr {
			t.Errorf("%q: %q %v", c.arg, r.Recipient, err)
		}
	}
	r, err := ParseRcpt("TO:<b@example.test> ORCPT=RFC822;a+2Bb@x NOTIFY=SUCCESS,delay", DSN, false)
	if err != nil || r.Original != "rfc822;a+b@x" || r.Notify != NotifySuccess|NotifyDelay {
		t.Errorf("%+v %v", r, err)
	}
	r, err = ParseRcpt(`TO:<b@example.test> ORCPT=utf-8;\x{FC}b@x`, DSN, false)
	if err != nil || r.Original != "utf-8;üb@x" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err = ParseRcpt("TO:<b@example.test> NOTIFY=NEVER", 0, false); code(err) != "555 5.5.4" {
		t.Error(err)
	}
}

func TestSmallArgumentsAreParsed(t *testing.T) {
	for arg, want := range map[string]string{"": "501 5.5.4", "a b": "501 5.5.4", "ä.example": "501 5.5.4", "a.example": "", "[192.0.2.1]": ""} {
		if _, err := ParseHello(arg); code(err) != want {
			t.Errorf("EHLO %q: %v", arg, err)
		}
	}
	for arg, want := range map[string]Chunk{"0 LAST": {0, true}, "86 last": {86, true}, "12": {12, false}, "100000000000000000000": {math.MaxInt64, false}, "99999999999999999999": {math.MaxInt64, false}} {
		if got, err := ParseChunk(arg); got != want || (err != nil) != (want == Chunk{}) {
			t.Errorf("BDAT %q: %v %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "-1", "1 FIRST", "x", "1 LAST LAST", "+1"} {
		if _, err := ParseChunk(arg); code(err) != "501 5.5.4" {
			t.Errorf("BDAT %q: %v", arg, err)
		}
	}
	if m, i, err := ParseAuth("PLAIN ="); m != "PLAIN" || i == nil || *i != "=" || err != nil {
		t.Error(m, i, err)
	}
	if m, i, err := ParseAuth("LOGIN"); m != "LOGIN" || i != nil || err != nil {
		t.Error(m, i, err)
	}
	for _, arg := range []string{"", "PLAIN a b"} {
		if _, _, err := ParseAuth(arg); code(err) != "501 5.5.4" {
			t.Errorf("AUTH %q: %v", arg, err)
		}
	}
	if r := ReplyTo(errors.New("x")); r.Code != 451 || r.Cause == nil {
		t.Error(r)
	}
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"EHLO x", "MAIL FROM:<a@b.example> SIZE=1 BODY=8BITMIME", "RCPT TO:<x@y.example> ORCPT=rfc822;a+2B NOTIFY=DELAY", "BDAT 5 LAST", "AUTH PLAIN =", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := ParseCommand(line)
		if err != nil {
			return
		}
		if strings.ContainsAny(c.Arg, "\r\n\x00") {
			t.Fatalf("%q holds a line end", c.Arg)
		}
		all := ^Param(0)
		if m, err := ParseMail(c.Arg, all); err == nil {
			if !clean(m.EnvelopeID) || !clean(m.Auth) || !clean(m.Sender.String()) {
				t.Fatalf("%+v", m)
			}
		}
		if r, err := ParseRcpt(c.Arg, all, true); err == nil && (!clean(r.Original) || !clean(r.Recipient.String())) {
			t.Fatalf("%+v", r)
		}
		if ch, err := ParseChunk(c.Arg); err == nil && ch.Size < 0 {
			t.Fatal(ch)
		}
		_, _, _ = ParseAuth(c.Arg)
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b.example>", `<"a\"b"@[IPv6:::1]>`, "<@a,@b:c@d>", "<>", "<ü@ü>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		a, _, err := ParseForwardPath("TO:"+path, true)
		if err != nil {
			return
		}
		b, rest, err := ParseForwardPath("TO:"+a.Path(), true)
		if err != nil || rest != "" || a != b {
			t.Fatalf("%q gives %q, which gives %q, %v", path, a.Path(), b.Path(), err)
		}
	})
}

func FuzzXtext(f *testing.F) {
	f.Add("a+b=c d")
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := DecodeXtext(EncodeXtext(s)); ok != clean(s) || ok && got != s {
			t.Fatalf("%q -> %q %v", s, got, ok)
		}
	})
}
