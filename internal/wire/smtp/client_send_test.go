package smtp

import (
	"errors"
	"io"
	"strings"
	"testing"

	"posthorn/internal/base/mail"
)

const opened = "S: 220 mx\nC: EHLO me.example\nS: 250 mx\n"

// TestRepliesAreJudgedByTheirFirstDigit: RFC 5321 §4.2; a reply that cannot
// stand where it came is no refusal and above all no success.
func TestRepliesAreJudgedByTheirFirstDigit(t *testing.T) {
	const rcpt = "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 251 ok\nC: DATA\n"
	for dialogue, want := range map[string]string{
		opened + "C: MAIL FROM:<>\nS: 354 go":                                      "odd",
		opened + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 354 go": "odd",
		opened + rcpt + "S: 250 taken":                                             "odd",
		opened + rcpt + "S: 554 no":                                                "DATA",
		opened + rcpt + "S: 354 go\nD\nS: 354 go":                                  "odd",
		opened + rcpt + "S: 354 go\nD\nS: 450 no":                                  "content",
		opened + rcpt + "S: 354 go\nD\nS: 251 ok":                                  "taken",
		"S: 354 mx": "odd",
		"S: 554 mx": "greeting",
		"S: 220 mx\nC: EHLO me.example\nS: 354 x": "odd",
	} {
		scripted(t, dialogue, false, func(c *Client) {
			err := c.Greet("me.example")
			if err == nil {
				var s *Sent
				s, err = c.Send(Simple(mail.Address{}, strings.NewReader("x"), to(t, "b@x.example")...))
				if s.Taken(0) != (want == "taken") {
					t.Errorf("%q: taken %v", dialogue, s.Taken(0))
				}
			}
			refused, _ := errors.AsType[*RefusedError](err)
			switch {
			case want == "taken" && err != nil, want == "odd" && (refused != nil || !errors.Is(err, ErrReply)):
				t.Errorf("%q: %v, want %s", dialogue, err, want)
			case want != "taken" && want != "odd" && (refused == nil || refused.Verb != want):
				t.Errorf("%q: %v, want a refusal of %s", dialogue, err, want)
			}
		})
	}
}

func TestSentSaysHowFarItGot(t *testing.T) {
	scripted(t, opened+"C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\nD", false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		called := false
		m := Simple(mail.Address{}, strings.NewReader("x"), to(t, "b@x.example")...)
		m.Ended = func() { called = true }
		s, err := c.Send(m)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !s.Ended || !called || s.Mail.Code != 250 || !s.Data.IsZero() {
			t.Errorf("%+v %v, called %v", s, err, called)
		}
	})
	scripted(t, opened+"C: MAIL FROM:<>", false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		m := Simple(mail.Address{}, strings.NewReader("x"), to(t, "b@x.example")...)
		if s, err := c.Send(m); err == nil || s.Ended || !s.Mail.IsZero() {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestARefusalHalfWayIsHeard(t *testing.T) {
	scripted(t, opened+"C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\nS: 552 5.3.4 too large", false, func(c *Client) {
		if err := c.Greet("me.example"); err != nil {
			t.Fatal(err)
		}
		m := Simple(mail.Address{}, strings.NewReader(strings.Repeat("0123456789\r\n", 100_000)), to(t, "b@x.example")...)
		s, err := c.Send(m)
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok || refused.Reply.Code != 552 || !errors.Is(err, io.ErrUnexpectedEOF) || s.Ended || s.Data.Code != 552 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestLimitsAreRead(t *testing.T) {
	for line, want := range map[string]Limits{
		"250 mx": {}, `250-mx\n250 LIMITS MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1`: {5, 20},
		`250-mx\n250 limits rcptmax=7 mailmax=-1`: {0, 7}, `250-mx\n250 LIMITS RCPTMAX=99999999999 MAILMAX`: {},
	} {
		scripted(t, "S: 220 mx\nC: EHLO me.example\nS: "+line, false, func(c *Client) {
			if err := c.Greet("me.example"); err != nil || c.Limits() != want {
				t.Errorf("%q: %+v %v", line, c.Limits(), err)
			}
		})
	}
}

func TestReplyTextIsHarmless(t *testing.T) {
	r, err := ReadReply(NewReader(strings.NewReader("550-5.7.1 a\x00b\x1b[c\r\n550 5.7.1 \xff\u0085ä\tz\r\n")))
	if want := "550 5.7.1 a?b?[c / ??ä?z"; err != nil || r.String() != want {
		t.Errorf("%q %v, want %q", r, err, want)
	}
	if _, err := ReadReply(NewReader(strings.NewReader(strings.Repeat("250-"+strings.Repeat("x", 4000)+"\r\n", 50)))); !errors.Is(err, ErrReply) {
		t.Errorf("200 KB are one reply: %v", err)
	}
	if _, err := ReadReply(NewReader(strings.NewReader("250 " + strings.Repeat("x", 10_000) + "\r\n"))); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("10 KB are one line: %v", err)
	}
}

func FuzzOriginalRecipient(f *testing.F) {
	f.Add("ä+=\\@x.example")
	f.Add("a b")
	f.Fuzz(func(t *testing.T, addr string) {
		back, ok := decodeUTF8Xtext(encodeUTF8Xtext(addr))
		if ok && back != strings.ToValidUTF8(addr, "\uFFFD") && strings.ToValidUTF8(addr, "") == addr {
			t.Errorf("%q came back as %q", addr, back)
		}
		if encoded := encodeUTF8Xtext(addr); !printable(encoded) {
			t.Errorf("%q is no xtext", encoded)
		}
	})
}
