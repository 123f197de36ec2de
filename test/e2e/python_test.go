package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"

	"posthorn/internal/testkit/daemon"
)

// Python's smtplib, imaplib and poplib do all they can do (SYS-IMAP-01,
// SYS-POP-01). The scripts follow each other: what one sends the next reads.
func TestPythonSendsReadsAndDeletes(t *testing.T) {
	t.Parallel()
	python := need(t, "python3")
	s := start(t, "--plaintext-login")
	at, dir := map[string]string{}, t.TempDir()
	for _, name := range doors() {
		at[name] = s.Addr(name)
	}
	for i, m := range corpus() {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d %s", i, m.name)), m.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	told, err := json.Marshal(map[string]any{"at": at, "user": demo, "rcpt": admin, "password": daemon.Password, "ca": s.ca(), "corpus": dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"send.py", "read_imap.py", "read_pop3.py"} {
		must(t, told, python, "-B", "testdata/python/"+script)
	}
}

// usePython sends, files, flags and reads with smtplib, imaplib and poplib.
func usePython(p *post) {
	sent := letters(p.me, p.friend)
	var mails []map[string]string
	for _, l := range sent {
		mails = append(mails, map[string]string{"name": l.name, "content": base64.StdEncoding.EncodeToString(l.content), "author": l.author, "subject": l.subject})
	}
	var wire []string
	for _, name := range folders() {
		wire = append(wire, utf7(name))
	}
	at := map[string]string{}
	for _, name := range doors() {
		at[name] = p.Addr(name)
	}
	python := func(script string, more any) result {
		p.t.Helper()
		told, err := json.Marshal(map[string]any{"at": at, "way": p.name, "user": p.me, "rcpt": p.friend, "password": password, "ca": p.home + "/ca.pem",
			"mails": mails, "folders": wire, "more": more})
		if err != nil {
			p.t.Fatal(err)
		}
		here, err := filepath.Abs("testdata/python/" + script)
		if err != nil {
			p.t.Fatal(err)
		}
		return p.end(p.command("python3", "-B", here), told)
	}
	works := func(script string, more any) {
		p.t.Helper()
		if r := python(script, more); r.code != 0 {
			p.t.Fatalf("%s: exit %d\n%s%s", script, r.code, r.out, r.err)
		}
	}
	works("letters_send.py", nil)
	p.received(p.friend, "INBOX", sent)
	p.sendAbroad(func(to string, content []byte) {
		works("abroad.py", map[string]string{"to": to, "content": string(content)})
	})
	works("letters_read.py", p.abroad)
	p.listed(p.me)
	for i, name := range folders() {
		p.received(p.me, name, sent[i:i+1])
		for _, flags := range messages(p.t, p.imap(p.me), name) {
			if !slices.Contains(flags, imap.FlagAnswered) || !slices.Contains(flags, imap.FlagFlagged) || slices.Contains(flags, imap.FlagSeen) {
				p.t.Errorf("%s: flags %q", name, flags)
			}
		}
	}
	var both []map[string]string
	for _, name := range append(folders(), "新しい & größer") {
		both = append(both, map[string]string{"utf8": "zwei/" + name, "utf7": "zwei/" + utf7(name)})
	}
	works("utf8_names.py", both)
	for _, script := range []string{"letters_send.py", "letters_read.py"} {
		p.distrusts("CERTIFICATE", func() result { return python(script, p.abroad) })
	}
}
