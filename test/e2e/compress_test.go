package e2e

import (
	"encoding/json"
	"testing"

	"posthorn/internal/testkit/daemon"
)

// Python's imaplib over zlib, whose flushes are those of most clients: an
// answer that waits for more of the client fails (RFC 4978).
func TestPythonCompresses(t *testing.T) {
	t.Parallel()
	python := need(t, "python3")
	s := start(t)
	told, err := json.Marshal(map[string]any{"at": map[string]string{"imaps": s.Addr("imaps")}, "user": demo, "password": daemon.Password, "ca": s.ca()})
	if err != nil {
		t.Fatal(err)
	}
	must(t, told, python, "-B", "testdata/python/compress.py")
}
