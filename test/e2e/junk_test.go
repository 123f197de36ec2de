package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// comes sends a message from outside and returns its identifier.
func comes(t *testing.T, s *server, text string, to ...string) string {
	t.Helper()
	c := dial(t, "tcp", s.Addr("smtp"))
	c.expect("", "220")
	c.expect("EHLO else.example", "250")
	c.expect("MAIL FROM:<a@else.example>", "250")
	for _, rcpt := range to {
		c.expect("RCPT TO:<"+rcpt+">", "250")
	}
	c.expect("DATA", "354")
	answer := c.expect(strings.ReplaceAll(text, "\n", "\r\n")+"\r\n.", "250")
	c.expect("QUIT", "221")
	return answer[strings.LastIndex(answer, " ")+1:]
}

// reader is somebody who reads mail by IMAP.
type reader struct {
	*line
	n int
}

func (s *server) reads(who string) *reader {
	s.t.Helper()
	r := &reader{line: dial(s.t, "tcp", s.Addr("imap"))}
	r.expect("", "* OK")
	r.command(`LOGIN ` + who + ` "` + daemon.Password + `"`)
	return r
}

// command returns all lines of an answer, which must be OK.
func (r *reader) command(text string) string {
	r.t.Helper()
	r.n++
	tag := fmt.Sprintf("t%d", r.n)
	if _, err := io.WriteString(r, tag+" "+text+"\r\n"); err != nil {
		r.t.Fatal(err)
	}
	var all strings.Builder
	for {
		got, err := r.in.ReadString('\n')
		if err != nil {
			r.t.Fatalf("%s: %v", text, err)
		}
		all.WriteString(got)
		if rest, ok := strings.CutPrefix(got, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				r.t.Fatalf("%s: %s", text, rest)
			}
			return all.String()
		}
	}
}

// holds waits until a mailbox has so many messages.
func (r *reader) holds(mailbox string, n int) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("%d messages in %s", n, mailbox), func() bool {
		return strings.Contains(r.command("STATUS "+mailbox+" (MESSAGES)"), fmt.Sprintf("(MESSAGES %d)", n))
	})
}

const (
	spamLetter = "From: Winner <win%[1]d@lottery.example>\nSubject: you are our lucky winner %[1]d\n\nCongratulations winner, claim your lottery jackpot million dollars today casino bonus number %[1]d.\n"
	hamLetter  = "From: Carol <carol@else.example>\nSubject: minutes of meeting %[1]d\n\nAttached are the minutes of our project meeting, the schedule and the budget for quarter %[1]d. Regards Carol\n"
)

// What an owner moves into Junk, and out of it, teaches the filter; the next
// such mail is filed there, whether it is filed at once or by the queue.
func TestMovesTeachTheFilter(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.account("bob@example.test")
	s.do("group", "add", "both@example.test", demo, "bob@example.test")
	s.do("setting", "set", "policy.junk.mode=enforce", "junk.min_learned=4")
	const n = 6
	for i := range n {
		comes(t, s, fmt.Sprintf(spamLetter, i), demo)
		comes(t, s, fmt.Sprintf(hamLetter, i), demo)
	}
	r := s.reads(demo)
	r.holds("INBOX", 2*n)
	r.command("SELECT INBOX")
	r.command(`UID MOVE 1:* Junk`)
	r.command("SELECT Junk")
	r.command(`UID MOVE 2,4,6,8,10,12 INBOX`) // the innocent ones
	r.holds("Junk", n)
	r.holds("INBOX", n)

	spam, junk, inbox := n, n, n
	until(t, "the filter learns", func() bool {
		comes(t, s, fmt.Sprintf(spamLetter, 100+spam), demo)
		spam++
		if strings.Contains(r.command("STATUS Junk (MESSAGES)"), fmt.Sprintf("(MESSAGES %d)", junk+1)) {
			junk++
			return true
		}
		inbox++
		time.Sleep(100 * time.Millisecond)
		return false
	})
	comes(t, s, fmt.Sprintf(hamLetter, 100), demo)
	inbox++
	r.holds("INBOX", inbox)
	r.command("SELECT Junk")
	contains(t, r.command("FETCH * BODY.PEEK[HEADER]"), "X-Posthorn-Junk: yes ", "(from 0.9)")
	r.command("SELECT INBOX")
	contains(t, r.command("FETCH * BODY.PEEK[HEADER]"), "X-Posthorn-Junk: no ")

	// By the queue: Bob has taught nothing and profits from others.
	id := comes(t, s, fmt.Sprintf(spamLetter, 200), "both@example.test")
	r.holds("Junk", junk+1)
	b := s.reads("bob@example.test")
	b.holds("Junk", 1)
	b.holds("INBOX", 0)
	b.command("SELECT Junk")
	contains(t, b.command("FETCH 1 BODY.PEEK[HEADER]"), "Delivered-To: ", "X-Posthorn-Junk: yes ")
	told := s.do("trace", id)
	contains(t, told, "in mailbox Junk", "the account's filter says")
	words := []string{"winner", "lottery", "jackpot", "casino", "congratulations", "million", "dollars", "bonus", "lucky", "claim"}
	if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(told), w) }) {
		t.Errorf("the trace names no word of the letter: %q", told)
	}

	// An allow rule lifts it, by both ways.
	s.do("list", "add", "ours", "--allow", "--network", "127.0.0.0/8")
	comes(t, s, fmt.Sprintf(spamLetter, 300), "both@example.test")
	r.holds("INBOX", inbox+1)
	b.holds("INBOX", 1)
	b.holds("Junk", 1)
}

// What is held back outlasts a restart, is no part of the queue, and is
// delivered once when it is released.
func TestQuarantineIsReleasedOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.account("bob@example.test")
	s.do("setting", "set", "policy.attachments.extensions=exe", "policy.attachments.found=quarantine")
	const letter = "From: Eve <eve@else.example>\nSubject: a tool\nMIME-Version: 1.0\nContent-Type: application/octet-stream; name=tool.exe\n\nMZ\n"
	id := comes(t, s, letter, demo, "bob@example.test")
	gone := comes(t, s, letter, demo)
	contains(t, s.do("quarantine", "list"), id, gone, "a tool", demo)
	contains(t, s.do("queue", "list"), "queue is empty")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Daemon = s.Again()
	contains(t, s.do("quarantine", "show", id), "Subject: a tool", "tool.exe", "bob@example.test")
	if _, err := s.Run("", "queue", "release", id); err == nil {
		t.Error("released by the queue")
	}
	r := s.reads(demo)
	r.holds("INBOX", 0)
	contains(t, s.do("quarantine", "release", id), "2 recipients")
	if _, err := s.Run("", "quarantine", "release", id); err == nil {
		t.Error("released twice")
	}
	s.do("quarantine", "remove", gone, "--yes")
	r.holds("INBOX", 1)
	b := s.reads("bob@example.test")
	b.holds("INBOX", 1)
	contains(t, s.do("quarantine", "list"), "Nothing is in quarantine")
	until(t, "an empty queue", func() bool { return strings.Contains(s.do("queue", "list"), "queue is empty") })
	contains(t, s.do("trace", id), "quarantine", "in mailbox INBOX")
	contains(t, s.do("trace", gone), "from quarantine")
	r.holds("INBOX", 1)
}

// A report that comes by mail is read and kept; the mail is delivered.
func TestDMARCReportsAreRead(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	s.do("setting", "set", "reports.dmarc_addresses="+demo)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, `<?xml version="1.0"?><feedback><report_metadata><org_name>far.example</org_name><email>dmarc@far.example</email><report_id>r1</report_id>
<date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata><policy_published><domain>example.test</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.7</source_ip><count>4</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.test</header_from></identifiers></record>
<record><row><source_ip>198.51.100.66</source_ip><count>9</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.test</header_from></identifiers></record></feedback>`)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	letter := "From: dmarc@far.example\nSubject: Report Domain: example.test\nMIME-Version: 1.0\nContent-Type: application/gzip; name=r.xml.gz\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString(packed.Bytes()) + "\n"
	for range 2 {
		comes(t, s, letter, demo)
	}
	comes(t, s, "Subject: no report\n\nHello.\n", demo)
	until(t, "the report", func() bool { return strings.Contains(s.do("report", "list"), "far.example") })
	s.reads(demo).holds("INBOX", 3)
	var sources struct {
		Reports, Messages, Passed, Failed int
		Sources                           []struct{ Source string }
	}
	if err := json.Unmarshal([]byte(s.do("report", "sources", "example.test", "--json")), &sources); err != nil {
		t.Fatal(err)
	}
	if sources.Reports != 1 || sources.Messages != 13 || sources.Passed != 4 || sources.Failed != 9 || len(sources.Sources) != 2 || sources.Sources[0].Source != "198.51.100.66" {
		t.Errorf("%+v", sources)
	}
}
