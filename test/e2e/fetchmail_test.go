package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// useFetchmail reads by both protocols, leaving mail and taking it, hands it
// to a program and to the next server, and reads folders in any script.
func useFetchmail(p *post) {
	out := filepath.Join(p.home, "out")
	mda := p.file("mda.sh", "cat >\""+out+"/$$\"\n")
	fetch := func(protocol, account, options string) result {
		p.t.Helper()
		if err := os.RemoveAll(out); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Mkdir(out, 0o700); err != nil {
			p.t.Fatal(err)
		}
		port := map[string]string{"IMAP": p.port(p.imapAt), "POP3": p.port(p.popAt)}[protocol]
		tls := p.one("ssl sslcertck sslcertfile ", "sslproto TLS1.2+ sslcertck sslcertfile ", "") + p.one(p.home+"/ca.pem", p.home+"/ca.pem", `sslproto ""`)
		rc := p.file("fetchmailrc", fmt.Sprintf("poll localhost proto %s port %s %s\n  user %q password %q %s no rewrite pass8bits %s\n",
			protocol, port, uidl(protocol), account, password, tls, options))
		return p.end(p.command("fetchmail", "--pidfile", p.home+"/pid", "--idfile", p.home+"/ids", "--invisible", "-f", rc), nil)
	}
	files := func() map[string][]byte {
		p.t.Helper()
		all, err := filepath.Glob(out + "/*")
		if err != nil {
			p.t.Fatal(err)
		}
		found := map[string][]byte{}
		for _, path := range all {
			if found[path], err = os.ReadFile(path); err != nil {
				p.t.Fatal(err)
			}
		}
		return found
	}
	toMDA := fmt.Sprintf("mda \"sh %s\"", mda)
	sent := letters("a@else.example", p.me)
	p.deliver(p.me, sent)
	for _, protocol := range []string{"POP3", "IMAP"} {
		if r := fetch(protocol, p.me, "keep "+toMDA); r.code != 0 {
			p.t.Fatalf("%s: exit %d\n%s%s", protocol, r.code, r.out, r.err)
		}
		kept(p.t, files(), texts(sent))
		if r := fetch(protocol, p.me, "keep "+toMDA); r.code != 1 || len(files()) != 0 {
			p.t.Errorf("%s: nothing new, but exit %d with %d files\n%s%s", protocol, r.code, len(files()), r.out, r.err)
		}
	}
	for content, flags := range messages(p.t, p.imap(p.me), "INBOX") {
		if !slices.Contains(flags, imap.FlagSeen) {
			p.t.Errorf("not seen after IMAP: %q %q", flags, first([]byte(content)))
		}
	}

	// Taken for good, through the door of the next server.
	if r := fetch("POP3", p.me, fmt.Sprintf("fetchall no keep smtphost \"127.0.0.1/%s\" smtpname %q", p.port("smtp"), p.friend)); r.code != 0 {
		p.t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	p.received(p.friend, "INBOX", sent)
	if left := messages(p.t, p.imap(p.me), "INBOX"); len(left) != 0 {
		p.t.Errorf("%d messages are left", len(left))
	}
	p.furnish(p.me, sent)
	var all []string
	for _, name := range folders() {
		all = append(all, fmt.Sprintf("%q", utf7(name)))
	}
	if r := fetch("IMAP", p.me, "fetchall no keep folder "+strings.Join(all, ",")+" "+toMDA); r.code != 0 {
		p.t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	kept(p.t, files(), texts(sent))
	for _, name := range folders() {
		if left := messages(p.t, p.imap(p.me), name); len(left) != 0 {
			p.t.Errorf("%d messages are left in %s", len(left), name)
		}
	}
	if r := fetch("IMAP", "nobody@example.test", toMDA); r.code != 3 {
		p.t.Errorf("a login nobody has: exit %d\n%s", r.code, r.err)
	}
	for _, protocol := range []string{"POP3", "IMAP"} {
		p.distrusts("certificate", func() result { return fetch(protocol, p.friend, toMDA) })
	}
}

// uidl makes fetchmail remember what it has seen by POP3.
func uidl(protocol string) string {
	if protocol == "POP3" {
		return "uidl"
	}
	return ""
}
