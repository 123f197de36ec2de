package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"posthorn/internal/testkit/daemon"
)

// trust is the TLS configuration of a client that knows the trial's authority.
func (s *server) trust() *tls.Config {
	s.t.Helper()
	pem, err := os.ReadFile(s.ca())
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		s.t.Fatal("ca.pem holds no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// imap logs in with go-imap's client.
func (s *server) imap(who string) *imapclient.Client {
	s.t.Helper()
	c, err := imapclient.DialTLS(s.Addr("imaps"), &imapclient.Options{TLSConfig: s.trust()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.Login(who, daemon.Password).Wait(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// store appends a message.
func store(t *testing.T, c *imapclient.Client, mailbox string, content []byte, flags ...imap.Flag) *imap.AppendData {
	t.Helper()
	w := c.Append(mailbox, int64(len(content)), &imap.AppendOptions{Flags: flags, Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)})
	_, err := io.Copy(w, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := w.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// messages reads a mailbox: flags by content.
func messages(t *testing.T, c *imapclient.Client, mailbox string) map[string][]imap.Flag {
	t.Helper()
	box, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]imap.Flag{}
	if box.NumMessages == 0 {
		return found
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	all, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{Flags: true, BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		found[string(m.FindBodySection(whole))] = m.Flags
	}
	return found
}

// mirror is a Maildir that mbsync keeps equal to an account.
type mirror struct {
	t                   *testing.T
	far                 *imapclient.Client
	mbsync, dir, config string
}

func (s *server) mirror(t *testing.T, ca, who string, account ...string) *mirror {
	t.Helper()
	m := &mirror{t: t, far: s.imap(who), mbsync: need(t, "mbsync"), dir: t.TempDir()}
	m.config = write(t, "mbsyncrc", fmt.Appendf(nil, `IMAPAccount house
Host localhost
User %s
Pass "%s"
CertificateFile %s
Timeout 60
%s

IMAPStore far
Account house

MaildirStore near
Path %[5]s/
Inbox %[5]s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
`, who, daemon.Password, ca, strings.Join(account, "\n"), m.dir))
	return m
}

// sync runs mbsync; a second run must have nothing to do on either side.
func (m *mirror) sync() {
	m.t.Helper()
	must(m.t, nil, m.mbsync, "-q", "-c", m.config, "-a")
	near, far := m.files(), m.state()
	must(m.t, nil, m.mbsync, "-q", "-c", m.config, "-a")
	if again := m.files(); !slices.Equal(near, again) {
		m.t.Errorf("the second run changed files:\n%q\n%q", near, again)
	}
	if again := m.state(); !slices.Equal(far, again) {
		m.t.Errorf("the second run changed the account:\n%q\n%q", far, again)
	}
}

// state says for each mailbox of the account what any change would change.
func (m *mirror) state() []string {
	m.t.Helper()
	all, err := m.far.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, HighestModSeq: true}}).Collect()
	if err != nil {
		m.t.Fatal(err)
	}
	var lines []string
	for _, x := range all {
		if x.Status == nil || x.Status.HighestModSeq == 0 {
			m.t.Fatalf("no state of %s", x.Mailbox)
		}
		lines = append(lines, fmt.Sprint(x.Mailbox, *x.Status.NumMessages, x.Status.UIDNext, x.Status.UIDValidity, x.Status.HighestModSeq))
	}
	return lines
}

// files are the messages of the mirror, as folder/new|cur/name.
func (m *mirror) files() []string {
	m.t.Helper()
	var all []string
	for name := range maildirFiles(m.t, m.dir) {
		all = append(all, filepath.Join(m.dir, name))
	}
	slices.Sort(all)
	return all
}

// file returns the path of the message whose content holds the text.
func (m *mirror) file(text string) string {
	m.t.Helper()
	for _, name := range m.files() {
		content, err := os.ReadFile(name)
		if err != nil {
			m.t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return name
		}
	}
	m.t.Fatalf("no message of the mirror holds %q", text)
	return ""
}

// SYS-IMAP-01: the mailbox is mirrored, in both directions, and stays so.
func TestMbsyncMirrorsAnAccount(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.imap(demo)
	m := s.mirror(t, s.ca(), demo, "Port "+s.port("imaps"), "SSLType IMAPS", "AuthMechs SCRAM-SHA-256")
	sent := corpus()
	for _, x := range sent {
		store(t, c, "INBOX", x.content)
	}
	if err := c.Create("日本語", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	store(t, c, "日本語", []byte("Subject: far away\r\n\r\nfar away\r\n"), imap.FlagFlagged)

	// New mail comes down.
	m.sync()
	for _, x := range sent {
		id := x.content[bytes.Index(x.content, []byte("Message-ID")):]
		got, err := os.ReadFile(m.file(string(id[:bytes.IndexByte(id, '\r')])))
		if err != nil {
			t.Fatal(err)
		}
		// A Maildir has bare line feeds, and mbsync an X-TUID of its own.
		if want := bytes.ReplaceAll(x.content, []byte("\r\n"), []byte("\n")); !bytes.Equal(withoutTUID(got), want) {
			t.Errorf("%s: %d octets came down of %d:\n%q", x.name, len(got), len(want), first(got))
		}
	}
	if far := m.file("far away"); !strings.HasSuffix(far, ":2,F") {
		t.Errorf("flags came down as %s", far)
	}

	// Flags, a draft and a folder go up; a deletion goes up, another comes down.
	seen := m.file("<0@example.test>")
	if err := os.Rename(seen, strings.ReplaceAll(strings.SplitN(seen, ":2,", 2)[0]+":2,FRS", "/new/", "/cur/")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(m.file("<1@example.test>")); err != nil {
		t.Fatal(err)
	}
	draft := "From: <" + demo + ">\nSubject: draft\n\nHalf a sentence\n"
	for _, folder := range []string{"Drafts", "Ablage"} {
		for _, part := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(m.dir, folder, part), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(m.dir, folder, "cur", "1.made.here:2,DS"), []byte(draft), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	drop(t, c, "INBOX", "<2@example.test>")
	m.sync()
	inbox := messages(t, c, "INBOX")
	if len(inbox) != len(sent)-2 {
		t.Errorf("%d messages are left there of %d less two", len(inbox), len(sent))
	}
	if flags := inbox[string(sent[0].content)]; !slices.Contains(flags, imap.FlagSeen) || !slices.Contains(flags, imap.FlagFlagged) || !slices.Contains(flags, imap.FlagAnswered) {
		t.Errorf("flags went up as %q", flags)
	}
	for _, folder := range []string{"Drafts", "Ablage"} {
		drafts := messages(t, c, folder)
		for content, flags := range drafts {
			if string(withoutTUID([]byte(content))) != strings.ReplaceAll(draft, "\n", "\r\n") || !slices.Contains(flags, imap.FlagDraft) || !slices.Contains(flags, imap.FlagSeen) {
				t.Errorf("%s went up as %q %q", folder, content, flags)
			}
		}
		if len(drafts) != 1 {
			t.Errorf("%s: %d messages", folder, len(drafts))
		}
	}
	for _, name := range m.files() {
		if content, err := os.ReadFile(name); err != nil || bytes.Contains(content, []byte("<2@example.test>")) {
			t.Errorf("%s is still here: %v", name, err)
		}
	}
}

// withoutTUID takes away the field mbsync may leave.
func withoutTUID(b []byte) []byte {
	i := bytes.Index(b, []byte("X-TUID: "))
	if i < 0 {
		return b
	}
	return slices.Concat(b[:i], b[i+bytes.IndexByte(b[i:], '\n')+1:])
}

// drop expunges the message with the Message-ID.
func drop(t *testing.T, c *imapclient.Client, mailbox, id string) {
	t.Helper()
	if _, err := c.Select(mailbox, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: id}}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 1 {
		t.Fatalf("search for %s: %v %v", id, found, err)
	}
	set := imap.UIDSetNum(found.AllUIDs()...)
	if err := c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.UIDExpunge(set).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
}

// Every way to connect and log in that mbsync has.
func TestMbsyncLogsIn(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	store(t, s.imap(demo), "INBOX", corpus()[0].content)
	for _, way := range [][]string{
		{"Port " + s.port("imaps"), "SSLType IMAPS", "AuthMechs LOGIN"},
		{"Port " + s.port("imaps"), "SSLType IMAPS", "AuthMechs PLAIN"},
		{"Port " + s.port("imap"), "SSLType STARTTLS", "AuthMechs SCRAM-SHA-256"},
		{"Port " + s.port("imap"), "SSLType STARTTLS", "AuthMechs *"},
		{"Port " + s.port("imap"), "SSLType None", "AuthMechs LOGIN"},
		{"Port " + s.port("imap"), "SSLType None", "AuthMechs SCRAM-SHA-256"},
	} {
		t.Run(strings.Join(way[1:], " "), func(t *testing.T) {
			t.Parallel()
			m := s.mirror(t, s.ca(), demo, way...)
			m.sync()
			m.file("<0@example.test>")
		})
	}
}

// useMbsync mirrors folders in three languages both ways.
func useMbsync(p *post) {
	m := p.mirror(p.t, p.home+"/ca.pem", p.me, "Port "+p.port(p.imapAt), "SSLType "+p.one("IMAPS", "STARTTLS", "None"), "AuthMechs "+p.one("PLAIN", "SCRAM-SHA-256", "LOGIN"))
	sent := letters("a@else.example", p.me)
	p.deliver(p.me, sent)
	far, near := folders()[:2], folders()[2:]
	for i, name := range far {
		if err := m.far.Create(name, nil).Wait(); err != nil {
			p.t.Fatal(err)
		}
		store(p.t, m.far, name, sent[i].content, imap.FlagFlagged)
	}
	for i, name := range near { // made here, named as mbsync keeps them
		for _, part := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(m.dir, utf7(name), part), 0o700); err != nil {
				p.t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(m.dir, utf7(name), "cur", "1.made.here:2,FS"), unix(sent[2+i].content), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	m.sync()
	p.listed(p.me)
	for i, name := range folders() {
		found := messages(p.t, m.far, name)
		for content, flags := range found {
			if string(withoutTUID([]byte(content))) != string(sent[i].content) || !slices.Contains(flags, imap.FlagFlagged) {
				p.t.Errorf("%s: %q %q", name, flags, content)
			}
		}
		here := maildirFiles(p.t, filepath.Join(m.dir, utf7(name), "cur"))
		if len(found) != 1 || len(here) != 0 && i < len(far) {
			p.t.Errorf("%s: %d messages there, %q here", name, len(found), names(here))
		}
	}

	// A folder goes when it is gone on the other side; mbsync asks that it is
	// empty first.
	if err := os.RemoveAll(filepath.Join(m.dir, utf7(far[1]), "cur")); err != nil {
		p.t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(m.dir, utf7(far[1]), "new")); err != nil {
		p.t.Fatal(err)
	}
	for _, part := range []string{"new", "cur"} {
		if err := os.Mkdir(filepath.Join(m.dir, utf7(far[1]), part), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	m.sync()
	if left := messages(p.t, m.far, far[1]); len(left) != 0 {
		p.t.Errorf("%d messages are left in %s", len(left), far[1])
	}
	if err := m.far.Delete(far[1]).Wait(); err != nil {
		p.t.Fatal(err)
	}
	m.sync()
	if _, err := os.Stat(filepath.Join(m.dir, utf7(far[1]))); err == nil {
		p.t.Errorf("%s is still here", far[1])
	}
	p.distrusts("certificate", func() result { return p.end(p.command("mbsync", "-c", m.config, "-a"), nil) })
}
