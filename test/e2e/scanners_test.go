package e2e

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/testkit/daemon"
)

// letter sends a message from outside, or as the login if it is not empty, and
// returns the answer that decided.
func (s *server) letter(t *testing.T, login, from, text string) string {
	t.Helper()
	listener := "smtp"
	if login != "" {
		listener = "submission"
	}
	c := dial(t, "tcp", s.Addr(listener))
	c.expect("", "220")
	c.expect("EHLO else.example", "250")
	if login != "" {
		c.expect("AUTH PLAIN "+plain(login, daemon.Password), "235")
	}
	answer := ""
	for _, command := range []string{"MAIL FROM:<" + from + ">", "RCPT TO:<" + demo + ">", "DATA", "From: " + from + "\r\nSubject: a letter\r\nX-Spam-Flag: forged\r\nX-Virus-Status: forged\r\n" + text + "\r\n."} {
		if answer = c.say(command); answer[0] > '3' {
			break
		}
	}
	c.expect("QUIT", "221")
	return answer
}

// attached is a message with a file.
func attached(name, content string) string {
	return "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=" + name + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(content))
}

// lastIn is the one message in a mailbox with the word in its body.
func (s *server) lastIn(t *testing.T, mailbox, word string) string {
	t.Helper()
	c := s.imap(demo)
	defer c.Close()
	for text := range messages(t, c, mailbox) {
		if _, body, _ := strings.Cut(text, "\r\n\r\n"); strings.Contains(body, word) {
			return text
		}
	}
	t.Fatalf("no message with %q in %s", word, mailbox)
	return ""
}

// everything is all mail in a mailbox.
func (s *server) everything(t *testing.T, mailbox string) string {
	t.Helper()
	c := s.imap(demo)
	defer c.Close()
	return strings.Join(slices.Collect(maps.Keys(messages(t, c, mailbox))), "\n")
}

func answers(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("answered %q, want %s", got, want)
	}
}

func lacks(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q is in:\n%s", p, tail(text))
		}
	}
}

// ClamAV finds viruses in mail from outside and of users; while it is down mail
// is put off, or taken and marked (M-SEC-BW-15).
func TestVirusesAreFoundByClamAV(t *testing.T) {
	t.Parallel()
	clam := clamd(t)
	s := start(t, "--plaintext-login")
	const from = "eve@else.example"
	set := func(change string) { s.do("setting", "set", change) }
	set("policy.virus.server=unix:" + clam.socket())
	set("policy.virus.mark_clean=true")
	answers(t, s.letter(t, "", from, "\r\nword-one"), "250")
	text := s.lastIn(t, "INBOX", "word-one")
	contains(t, text, "X-Virus-Status: Clean")
	lacks(t, text, "X-Virus-Status: forged")
	contains(t, s.do("policy", "scanners"), clam.socket(), "answers", "ClamAV 1.")
	infected := attached("eicar.com", eicar)
	answers(t, s.letter(t, "", from, infected), "554 5.7.1 Message contains a virus: Eicar-Test-Signature")
	answers(t, s.letter(t, admin, admin, infected), "554 5.7.1 Message contains a virus: Eicar-Test-Signature")
	contains(t, s.do("trace", "--from", from, "--since", "1h", "--long"), "the virus scanner found Eicar-Test-Signature")

	set("policy.virus.mode=observe")
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS observed"), "250")
	lacks(t, s.lastIn(t, "INBOX", "observed"), "X-Virus-Status: Infected")
	set("policy.virus.mode=enforce")
	set("policy.virus.found=junk")
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS junked"), "250")
	contains(t, s.lastIn(t, "Junk", "VIRUS junked"), "X-Virus-Status: Infected (Posthorn.Test")
	set("policy.virus.found=quarantine")
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS held"), "250")
	contains(t, s.do("quarantine", "list"), from, "virus Posthorn.Test")
	var held struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(s.do("quarantine", "list", "--json")), &held); err != nil || len(held.Items) != 1 {
		t.Fatalf("%+v, %v", held, err)
	}
	set("quarantine.most=10")
	for range 9 {
		answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS one more"), "250")
	}
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS too many"), "452 4.3.1")
	s.do("quarantine", "release", held.Items[0].ID)
	until(t, "the release", func() bool { return strings.Contains(s.everything(t, "INBOX"), "VIRUS held") })
	set("policy.virus.found=junk")
	answers(t, s.letter(t, admin, admin, infected), "554")

	clam.kill()
	answers(t, s.letter(t, "", from, "\r\nword-two"), "451 4.7.1")
	contains(t, s.do("policy", "scanners"), "not reachable")
	set("policy.virus.when_down=accept")
	answers(t, s.letter(t, "", from, "\r\nword-three"), "250")
	contains(t, s.lastIn(t, "INBOX", "word-three"), "X-Virus-Status: Not scanned (scanner unavailable)")
	clam.run()
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS"), "250")
	set("policy.virus.found=refuse")
	answers(t, s.letter(t, "", from, "\r\nPOSTHORN-TEST-VIRUS"), "554")
}

// rspamd's score marks, files or refuses; while it is down mail passes marked,
// or is put off.
func TestSpamIsFoundByRspamd(t *testing.T) {
	t.Parallel()
	spam := rspamd(t)
	s := start(t, "--plaintext-login")
	const from = "eve@else.example"
	set := func(change string) { s.do("setting", "set", change) }
	set("policy.spam.url=http://" + forward(t, spam.socket()))
	set("policy.spam.mark_from=5")
	answers(t, s.letter(t, "", from, "\r\nplain words"), "250")
	text := s.lastIn(t, "INBOX", "plain words")
	contains(t, text, "X-Spam-Status: No, score=")
	lacks(t, text, "X-Spam-Flag: ")
	answers(t, s.letter(t, "", from, "\r\nword-mark"), "250")
	contains(t, s.lastIn(t, "INBOX", "word-mark"), "X-Spam-Status: Yes, score=5.5", "WORD_MARK=5.5", "X-Spam-Flag: YES", "X-Spam-Score: 5.5")
	answers(t, s.letter(t, "", from, "\r\nword-reject"), "554 5.7.1 Message rejected as spam")
	answers(t, s.letter(t, "", from, "\r\nword-soft"), "451 4.7.1 Not just now")
	answers(t, s.letter(t, admin, admin, "\r\nword-reject of a user"), "250")
	answers(t, s.letter(t, "", from, "\r\nword-junk"), "250")
	contains(t, s.lastIn(t, "Junk", "word-junk"), "X-Spam-Flag: YES", "X-Spam-Score: 7")

	spam.kill()
	answers(t, s.letter(t, "", from, "\r\nword-reject two"), "250")
	contains(t, s.lastIn(t, "INBOX", "word-reject two"), "X-Spam-Status: No, not scanned (filter unavailable)")
	set("policy.spam.when_down=defer")
	answers(t, s.letter(t, "", from, "\r\nword-three"), "451 4.7.1")
}

// Milters refuse, throw away and change messages; one that is gone follows its
// fallback.
func TestMiltersFilterMail(t *testing.T) {
	t.Parallel()
	addr, stop := newMailFilter(t)
	s := start(t, "--plaintext-login")
	const from = "eve@else.example"
	set := func(change string) { s.do("setting", "set", change) }
	set("policy.milters.servers=" + addr)
	answers(t, s.letter(t, "", "bad@else.example", "\r\nx"), "550 5.7.1 no mail of yours")
	answers(t, s.letter(t, "", from, "\r\nplease refuse me"), "554 5.7.1 as you wish")
	answers(t, s.letter(t, "", from, "\r\nplease throw me away"), "250")
	answers(t, s.letter(t, "", from, "\r\nword-one"), "250")
	text := s.lastIn(t, "INBOX", "word-one")
	contains(t, text, "Subject: changed by a milter", "X-Filtered: yes", "Received: from else.example")
	lacks(t, text, "Subject: a letter")
	answers(t, s.letter(t, admin, admin, "\r\nplease replace me"), "250")
	text = s.lastIn(t, "INBOX", "another body")
	lacks(t, text, "replace me")
	stop()
	answers(t, s.letter(t, "", from, "\r\nrefuse me: nobody does"), "250")
	set("policy.milters.fallback=tempfail")
	answers(t, s.letter(t, "", from, "\r\nword-two"), "451 4.7.1")
	c := s.imap(demo)
	for text := range messages(t, c, "INBOX") {
		lacks(t, text, "throw me away")
	}
}

// Files are judged by what they are.
func TestAttachmentsAreLookedInto(t *testing.T) {
	t.Parallel()
	s := start(t)
	const from = "eve@else.example"
	set := func(change string) { s.do("setting", "set", change) }
	set("policy.attachments.types=executable")
	program := "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00" + strings.Repeat("\x00", 200)
	answers(t, s.letter(t, "", from, attached("holiday.jpg", program)), `554 5.7.1 The attachment "holiday.jpg" is not allowed here`)
	answers(t, s.letter(t, "", from, attached("holiday.jpg", "\xff\xd8\xff\xe0 word-one")), "250")
	set("policy.attachments.found=mark")
	answers(t, s.letter(t, "", from, attached("setup.exe", program)), "250")
	c := s.imap(demo)
	marked := 0
	for text := range messages(t, c, "INBOX") {
		if strings.Contains(text, "X-Attachment-Status: Suspicious (rule types) \"setup.exe\"") {
			marked++
		}
	}
	if marked != 1 {
		t.Errorf("%d messages are marked", marked)
	}
}
