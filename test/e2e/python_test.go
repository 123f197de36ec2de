package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
