package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// useOfflineimap mirrors an account both ways: mail, flags, deletions, and
// folders whose names it keeps in UTF-8.
func useOfflineimap(p *post) {
	box := filepath.Join(p.home, "mail")
	rc := p.offlineimaprc(box)
	far := p.imap(p.me)
	sync := func() {
		p.t.Helper()
		p.run(nil, "offlineimap", "-c", rc, "-o")
	}
	sent := letters("a@else.example", p.me)
	p.deliver(p.me, sent)
	for i, name := range folders()[:2] {
		if err := far.Create(name, nil).Wait(); err != nil {
			p.t.Fatal(err)
		}
		store(p.t, far, name, sent[i].content, imap.FlagFlagged)
	}
	// It makes folders there whose parents are not here, and fails over that.
	for _, name := range append(folders()[2:], filepath.Dir(folders()[3])) {
		p.maildir("mail/" + name)
	}
	p.file("mail/草稿箱/cur/1.made.here:2,DS", string(unix(sent[2].content)))
	p.file("mail/旅行の写真 & more/子/cur/2.made.here:2,FS", string(unix(sent[3].content)))
	sync()
	p.listed(p.me)
	kept(p.t, maildirFiles(p.t, filepath.Join(box, "INBOX")), texts(sent))
	for i, name := range folders() {
		kept(p.t, maildirFiles(p.t, filepath.Join(box, name)), texts(sent[i:i+1]))
		want := []imap.Flag{imap.FlagFlagged}
		if i >= 2 {
			want = []imap.Flag{imap.FlagSeen, []imap.Flag{imap.FlagDraft, imap.FlagFlagged}[i-2]}
		}
		found := messages(p.t, far, name)
		for content, flags := range found {
			flags = slices.DeleteFunc(flags, func(f imap.Flag) bool { return f == `\Recent` })
			slices.Sort(flags)
			slices.Sort(want)
			if withoutOfflineimap(content) != string(sent[i].content) || !slices.Equal(flags, want) {
				p.t.Errorf("%s: %q, want %q: %q", name, flags, want, content)
			}
		}
		if len(found) != 1 {
			p.t.Errorf("%d messages in %s", len(found), name)
		}
	}
	again := func() {
		p.t.Helper()
		m := &mirror{t: p.t, far: far, dir: box}
		near, there := m.files(), m.state()
		sync()
		if now := m.files(); !slices.Equal(near, now) {
			p.t.Errorf("a run with nothing to do changed files:\n%q\n%q", near, now)
		}
		if now := m.state(); !slices.Equal(there, now) {
			p.t.Errorf("a run with nothing to do changed the account:\n%q\n%q", there, now)
		}
	}
	again()

	// One deletion here, one there, a flag here, a flag there.
	file := func(id string) string {
		p.t.Helper()
		for name, content := range maildirFiles(p.t, filepath.Join(box, "INBOX")) {
			if strings.Contains(string(content), id) {
				return filepath.Join(box, "INBOX", name)
			}
		}
		p.t.Fatalf("no %s", id)
		return ""
	}
	if err := os.Remove(file(sent[0].id)); err != nil {
		p.t.Fatal(err)
	}
	drop(p.t, far, "INBOX", sent[1].id)
	before := file(sent[2].id)
	after := strings.ReplaceAll(strings.SplitN(before, ":2,", 2)[0]+":2,RS", "/new/", "/cur/")
	if err := os.Rename(before, after); err != nil {
		p.t.Fatal(err)
	}
	if _, err := far.Select("INBOX", nil).Wait(); err != nil {
		p.t.Fatal(err)
	}
	if err := far.Store(imap.SeqSetNum(3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}}, nil).Close(); err != nil {
		p.t.Fatal(err)
	}
	sync()
	kept(p.t, maildirFiles(p.t, filepath.Join(box, "INBOX")), texts(sent[2:]))
	p.received(p.me, "INBOX", sent[2:])
	if name := file(sent[3].id); !strings.HasSuffix(name, ":2,F") {
		p.t.Errorf("the flag came down as %s", name)
	}
	for content, flags := range messages(p.t, far, "INBOX") {
		if answered := strings.Contains(content, sent[2].id); answered != slices.Contains(flags, imap.FlagAnswered) {
			p.t.Errorf("flags %q of %q", flags, first([]byte(content)))
		}
	}
	again()
	if p.way == implicit { // after STARTTLS it takes any certificate
		p.distrusts("CERTIFICATE", func() result { return p.end(p.command("offlineimap", "-c", rc, "-o"), nil) })
	}
}

// offlineimaprc writes the configuration for a folder of Maildirs.
func (p *post) offlineimaprc(box string) string {
	p.t.Helper()
	return p.file("offlineimaprc", fmt.Sprintf(`[general]
accounts = house
metadata = %[1]s/meta
ui = quiet
socktimeout = 30
fsync = false
[Account house]
localrepository = near
remoterepository = far
utf8foldernames = yes
[Repository near]
type = Maildir
localfolders = %[2]s
sep = /
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %[3]s
ssl = %[4]s
starttls = %[5]s
sslcacertfile = %[1]s/ca.pem
auth_mechanisms = %[6]s
remoteuser = %[7]s
remotepass = %[8]s
maxconnections = 1
`, p.home, box, p.port(p.imapAt), p.one("yes", "no", "no"), p.one("no", "yes", "no"), p.one("PLAIN", "LOGIN", "PLAIN, LOGIN"), p.me, password))
}

// withoutOfflineimap takes away the field offlineimap leaves.
func withoutOfflineimap(content string) string {
	before, after, ok := strings.Cut(content, "X-OfflineIMAP: ")
	if !ok {
		return content
	}
	_, after, _ = strings.Cut(after, "\r\n")
	return before + after
}
