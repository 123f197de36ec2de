package junk

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// crashFile tells a process of this test that it is to learn until it is killed.
const crashFile = "POSTHORN_JUNK_CRASH_FILE"

// TestKilledLearnerLeavesWholeLessons kills a process while it learns, again
// and again, and sees that the file holds each lesson wholly or not at all:
// messages, counts and keys agree, and what was acknowledged is there.
func TestKilledLearnerLeavesWholeLessons(t *testing.T) {
	if path := os.Getenv(crashFile); path != "" {
		learnForever(t, path)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "junk.db")
	known := 0
	for round := range 5 {
		known = killed(t, path, known, 20+13*round)
	}
	if known < 150 {
		t.Errorf("only %d messages learned", known)
	}
}

// killed runs a learner until it has acknowledged n lessons, kills it, and
// returns how many the file has, at least that many more than before.
func killed(t *testing.T, path string, before, n int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledLearnerLeavesWholeLessons$")
	cmd.Env = append(os.Environ(), crashFile+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; i < n; i++ {
		if !lines.Scan() {
			t.Fatalf("the learner ended by itself: %v", lines.Err())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		n++ // acknowledged before it died
	}
	if cmd.Wait() == nil {
		t.Fatal("it was not killed")
	}
	return before + wholeLessons(t, path, before, n)
}

func wholeLessons(t *testing.T, path string, before, acknowledged int) int {
	t.Helper()
	o := options(path)
	o.Failed = func(err error) { t.Error(err) }
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	messages, token, keys := learnedBy(t, f, 1), knows(t, f, 1, "always"), int64(0)
	everybodys := knows(t, f, everybody, "always")
	if err := f.file.use(context.Background(), f.file.read, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, "SELECT count(*) FROM learned", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
			keys = s.ColumnInt64(0)
			return nil
		}})
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got := messages[0] - before
	if messages != token || int64(messages[0]) != keys || everybodys[0] != min(freelyGiven, messages[0]) {
		t.Errorf("messages %v, token %v, everybody's %v, keys %d", messages, token, everybodys, keys)
	}
	if got < acknowledged || got > acknowledged+1 {
		t.Errorf("%d acknowledged, %d there", acknowledged, got)
	}
	return got
}

// learnForever learns one message after the other and says so.
func learnForever(t *testing.T, path string) {
	f, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.model(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := m.spam; ; i++ {
		list := []string{"always"}
		for j := range 200 {
			list = append(list, fmt.Sprint("w", i, "x", j))
		}
		if err := f.Learn(context.Background(), Lesson{1, fmt.Sprint(i), Spam, words(f, list...)}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(i)
	}
}
