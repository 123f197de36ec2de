package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"posthorn/internal/testkit/daemon"
)

// SYS-IMAP-01, SYS-POP-01: curl sends in every way and reads every message
// back by IMAP and POP3, octet for octet.
func TestCurlSendsAndReads(t *testing.T) {
	t.Parallel()
	curl := need(t, "curl")
	s := start(t, "--plaintext-login")
	user := func(who string) []string {
		return []string{"--silent", "--show-error", "--cacert", s.ca(), "--user", who + ":" + daemon.Password}
	}
	ways := [][]string{
		{"--url", "smtps://" + s.Addr("submissions"), "--login-options", "AUTH=PLAIN"},
		{"--url", "smtp://" + s.Addr("submission"), "--ssl-reqd", "--login-options", "AUTH=LOGIN"},
		{"--url", "smtps://" + s.Addr("submissions"), "--login-options", "AUTH=LOGIN"},
		{"--url", "smtp://" + s.Addr("submission"), "--ssl-reqd", "--login-options", "AUTH=PLAIN"},
		{"--url", "smtp://" + s.Addr("submission")},
	}
	sent := corpus()
	for i, m := range sent {
		args := append(user(demo), ways[i%len(ways)]...)
		must(t, m.content, curl, append(args, "--mail-from", demo, "--mail-rcpt", admin, "--upload-file", "-")...)
	}
	for i, m := range sent {
		for _, from := range [][]string{
			{fmt.Sprintf("imaps://%s/INBOX;UID=%d", s.Addr("imaps"), i+1)},
			{"--ssl-reqd", fmt.Sprintf("imap://%s/INBOX;MAILINDEX=%d", s.Addr("imap"), i+1)},
			{"--ssl-reqd", "--login-options", "AUTH=PLAIN", fmt.Sprintf("pop3://%s/%d", s.Addr("pop3"), i+1)},
			{fmt.Sprintf("pop3s://%s/%d", s.Addr("pop3s"), i+1)},
			{fmt.Sprintf("imap://%s/INBOX;UID=%d", s.Addr("imap"), i+1)},
			{fmt.Sprintf("pop3://%s/%d", s.Addr("pop3"), i+1)},
		} {
			if (i > 1) && from[0] != "--ssl-reqd" {
				continue // each way of reading once, STARTTLS for all
			}
			got := must(t, nil, curl, append(user(admin), from...)...)
			unchanged(t, m.name+" by "+from[len(from)-1], []byte(got), m.content)
		}
	}
	contains(t, must(t, nil, curl, append(user(admin), "imaps://"+s.Addr("imaps"), "-X", "STATUS INBOX (MESSAGES)")...),
		fmt.Sprintf("MESSAGES %d", len(sent)))
	if r := run(t, nil, curl, "--silent", "--show-error", "--user", admin+":"+daemon.Password, "imaps://"+s.Addr("imaps")); r.code != 60 {
		t.Errorf("a certificate nobody vouches for: exit %d, %s", r.code, r.err)
	}
}

// Folders with names in any script, filled by APPEND.
func TestCurlFillsFolders(t *testing.T) {
	t.Parallel()
	curl := need(t, "curl")
	s := start(t)
	at := "imaps://" + s.Addr("imaps")
	args := []string{"--silent", "--show-error", "--cacert", s.ca(), "--user", demo + ":" + daemon.Password}
	for name, wire := range map[string]string{"Entwürfe 2": "Entw&APw-rfe 2", "日本語": "&ZeVnLIqe-", "台北": "&U,BTFw-", "a/b&c": "a/b&-c"} {
		path := strings.NewReplacer("&", "%26", " ", "%20", "/", "%2F", ",", "%2C").Replace(wire)
		must(t, nil, curl, append(args, at, "-X", `CREATE "`+wire+`"`)...)
		m := corpus()[5]
		must(t, nil, curl, append(args, at+"/"+path, "--upload-file", write(t, "mail", m.content))...)
		got := must(t, nil, curl, append(args, at+"/"+path+";MAILINDEX=1")...)
		if got != string(m.content) {
			t.Errorf("%s: %q", name, got)
		}
		contains(t, must(t, nil, curl, append(args, at, "-X", `LIST "" *`)...), wire)
	}
}

// useCurl sends letters, also to addresses abroad, reads them by IMAP and
// POP3, and files them in folders, which it names in modified UTF-7.
func useCurl(p *post) {
	try := func(who string, input []byte, args ...string) result {
		p.t.Helper()
		common := []string{"--silent", "--show-error", "--cacert", p.home + "/ca.pem", "--user", who + ":" + password}
		if p.way == upgraded {
			common = append(common, "--ssl-reqd")
		}
		return p.end(p.command("curl", append(common, args...)...), input)
	}
	curl := func(who string, input []byte, args ...string) string {
		p.t.Helper()
		r := try(who, input, args...)
		if r.code != 0 {
			p.t.Fatalf("curl %q: exit %d\n%s", args, r.code, r.err)
		}
		return r.out
	}
	url := func(scheme, listener string) string { return scheme + p.one("s", "", "") + "://" + p.Addr(listener) }
	send := func(to string, content []byte) {
		curl(p.me, content, "--url", url("smtp", p.smtpAt)+"/client.example", "--mail-from", p.me, "--mail-rcpt", to, "--upload-file", "-")
	}
	sent := letters(p.me, p.friend)
	for _, l := range sent {
		send(p.friend, l.content)
	}
	p.received(p.friend, "INBOX", sent)
	p.sendAbroad(send)
	for i, l := range sent {
		unchanged(p.t, l.name, []byte(curl(p.friend, nil, fmt.Sprintf("%s/%d", url("pop3", p.popAt), i+1))), l.content)
		unchanged(p.t, l.name, []byte(curl(p.friend, nil, fmt.Sprintf("%s/INBOX;MAILINDEX=%d", url("imap", p.imapAt), i+1))), l.content)
	}
	for _, login := range p.abroad { // SASL carries UTF-8 (RFC 4616 §2)
		contains(p.t, curl(login, nil, "--login-options", "AUTH=PLAIN", url("imap", p.imapAt), "-X", "STATUS INBOX (MESSAGES)"), fmt.Sprintf("MESSAGES %d", len(sent)+len(p.abroad)))
		if list := curl(login, nil, "--login-options", "AUTH=PLAIN", url("pop3", p.popAt)); strings.Count(list, "\n") != len(sent)+len(p.abroad) {
			p.t.Errorf("%s: POP3 lists %q", login, list)
		}
	}
	at := url("imap", p.imapAt)
	escape := strings.NewReplacer("&", "%26", " ", "%20", "/", "%2F", ",", "%2C")
	for i, name := range folders() {
		curl(p.me, nil, at, "-X", `CREATE "`+utf7(name)+`"`)
		mailbox := at + "/" + escape.Replace(utf7(name))
		curl(p.me, nil, mailbox, "--upload-file", p.file("mail", string(sent[i].content)))
		if got := curl(p.me, nil, mailbox+";MAILINDEX=1"); got != string(sent[i].content) {
			p.t.Errorf("%s: %q", name, got)
		}
		curl(p.me, nil, mailbox, "-X", `STORE 1 +FLAGS (\Flagged)`)
		p.received(p.me, name, sent[i:i+1])
		for _, flags := range messages(p.t, p.imap(p.me), name) {
			if !slices.Contains(flags, imap.FlagFlagged) {
				p.t.Errorf("%s: flags %q", name, flags)
			}
		}
		contains(p.t, curl(p.me, nil, at, "-X", `LIST "" *`), utf7(name))
	}
	p.listed(p.me)
	for _, u := range []string{url("smtp", p.smtpAt), at, url("pop3", p.popAt)} {
		p.distrusts("certificate", func() result { return try(p.me, nil, u) })
	}
}
