package junk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// complaints are what Failed was told.
type complaints struct {
	mu   sync.Mutex
	list []error
}

func (c *complaints) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, err)
}

func (c *complaints) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// words makes tokens of words.
func words(f *Filter, list ...string) *Tokens {
	c := newCollector(f.hasher)
	for _, w := range list {
		c.adds(kindWord, w)
	}
	return c.tokens()
}

func knows(t *testing.T, f *Filter, a Account, word string) [2]int {
	t.Helper()
	m, err := f.model(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	spam, ham := m.get(words(f, word).list[0].hash)
	return [2]int{spam, ham}
}

func learnedBy(t *testing.T, f *Filter, a Account) [2]int {
	t.Helper()
	j := score(t, f, a, words(f, "x"))
	return [2]int{j.Spam, j.Ham}
}

func TestLessonsCountOnceAndAreTakenBack(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	w := words(f, "offer", "money")
	for _, step := range []struct {
		lesson Lesson
		word   [2]int
		total  [2]int
	}{
		{Lesson{1, "a", Spam, w}, [2]int{1, 0}, [2]int{1, 0}},
		{Lesson{1, "a", Spam, w}, [2]int{1, 0}, [2]int{1, 0}},
		{Lesson{1, "b", Spam, w}, [2]int{2, 0}, [2]int{2, 0}},
		{Lesson{1, "a", Ham, w}, [2]int{1, 1}, [2]int{1, 1}},
		{Lesson{1, "a", Ham, w}, [2]int{1, 1}, [2]int{1, 1}},
		{Lesson{1, "a", Unlearned, w}, [2]int{1, 0}, [2]int{1, 0}},
		{Lesson{1, "a", Unlearned, w}, [2]int{1, 0}, [2]int{1, 0}},
		{Lesson{1, "never", Unlearned, w}, [2]int{1, 0}, [2]int{1, 0}},
	} {
		learn(t, f, step.lesson)
		if got := knows(t, f, 1, "offer"); got != step.word {
			t.Errorf("%s %s: word %v, want %v", step.lesson.Key, step.lesson.Class, got, step.word)
		}
		if got := learnedBy(t, f, 1); got != step.total {
			t.Errorf("%s %s: messages %v, want %v", step.lesson.Key, step.lesson.Class, got, step.total)
		}
		if got := knows(t, f, everybody, "offer"); got != step.word {
			t.Errorf("%s %s: everybody %v, want %v", step.lesson.Key, step.lesson.Class, got, step.word)
		}
	}
	if got := knows(t, f, 2, "offer"); got != [2]int{} {
		t.Errorf("another account: %v", got)
	}
	if err := f.Forget(context.Background(), 1, "b", w); err != nil {
		t.Fatal(err)
	}
	if m, err := f.model(context.Background(), 1); err != nil || m.entries() != 0 || m.remembered != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSeveralLessonsOfOneMessageInOneCallKeepTheirOrder(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	w := words(f, "offer")
	learn(t, f, Lesson{1, "a", Spam, w}, Lesson{1, "a", Ham, w}, Lesson{1, "a", Unlearned, w}, Lesson{1, "a", Ham, w})
	if got := knows(t, f, 1, "offer"); got != [2]int{0, 1} {
		t.Errorf("%v", got)
	}
}

func TestWhatIsNoLessonIsRefused(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	w := words(f, "x")
	for _, l := range []Lesson{{0, "a", Spam, w}, {-1, "a", Spam, w}, {1, "a", 3, w}, {1, "a", Spam, nil}} {
		if f.Learn(context.Background(), l) == nil {
			t.Errorf("%+v was learned", l)
		}
	}
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "x"), Key: []byte("short"), Settings: defaults}); err == nil {
		t.Error("a short key was taken")
	}
	if j, err := f.Score(context.Background(), 1, nil); err != nil || j.Known {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestWhatWasLearnedOutlivesARestart(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "junk.db"))
	o.Failed = func(err error) { t.Error(err) }
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c := newCorpus(english(), 5)
	teach(t, f, 1, c, 50)
	tokens := read(t, f, c.spam())
	before, octets := score(t, f, 1, tokens), f.Stats().Octets
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Score(context.Background(), 2, tokens); !errors.Is(err, ErrClosed) {
		t.Errorf("score after Close: %v", err)
	}
	if err := f.Learn(context.Background(), Lesson{1, "a", Spam, tokens}); !errors.Is(err, ErrClosed) {
		t.Errorf("learn after Close: %v", err)
	}
	f = openFilter(t, o)
	if after := score(t, f, 1, tokens); fmt.Sprint(after) != fmt.Sprint(before) || f.Stats().Octets != octets {
		t.Errorf("%+v, %d octets; want %+v, %d", after, f.Stats().Octets, before, octets)
	}
	learn(t, f, Lesson{1, "s0", Spam, tokens})
	if got := learnedBy(t, f, 1); got != [2]int{50, 50} {
		t.Errorf("learned again after a restart: %v", got)
	}
}

func TestFileIsPrivateAndTellsNoWords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "junk.db")
	f, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	learn(t, f, Lesson{1, "key-of-message", Spam, words(f, "sesquipedalian")})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"sesquipedalian", "key-of-message"} {
		if bytes.Contains(content, []byte(s)) {
			t.Errorf("the file tells %q", s)
		}
	}
}

func TestAnotherKeyBeginsAnew(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "junk.db"))
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	learn(t, f, Lesson{1, "a", Spam, words(f, "offer")})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c := &complaints{}
	o.Key, o.Failed = []byte("another key of 16"), c.add
	f = openFilter(t, o)
	if got := learnedBy(t, f, 1); got != [2]int{} || c.count() != 1 || f.Stats().Renewed != 1 {
		t.Errorf("%v, %v", got, c.list)
	}
}

func TestDamagedFileIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "junk.db")
	if err := os.WriteFile(path, []byte("this is no database, but long enough to look at"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &complaints{}
	o := options(path)
	o.Failed = c.add
	f := openFilter(t, o)
	learn(t, f, Lesson{1, "a", Spam, words(f, "offer")})
	if got := learnedBy(t, f, 1); got != [2]int{1, 0} || c.count() != 1 {
		t.Errorf("%v, %v", got, c.list)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

func TestFileDamagedWhileRunningIsSetAside(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(f *Filter) error{
		"score": func(f *Filter) error { _, err := f.Score(context.Background(), 1, words(f, "x")); return err },
		"learn": func(f *Filter) error {
			return f.Learn(context.Background(), Lesson{1, "new", Ham, words(f, "x")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "junk.db")
			f, err := Open(options(path))
			if err != nil {
				t.Fatal(err)
			}
			teach(t, f, 1, newCorpus(english(), 6), 30)
			if err := f.Close(); err != nil { // everything is in the file, not beside it
				t.Fatal(err)
			}
			c := &complaints{}
			o := options(path)
			o.Failed = c.add
			f = openFilter(t, o)
			overwrite(t, path)
			if err := use(f); err != nil {
				t.Errorf("%v", err)
			}
			if c.count() == 0 || f.Stats().Renewed != 1 {
				t.Fatalf("the damage was not seen: %v", c.list)
			}
			learn(t, f, Lesson{1, "late", Spam, words(f, "offer")})
			if got := learnedBy(t, f, 1); got[0] != 1 {
				t.Errorf("%v", got)
			}
		})
	}
}

// overwrite destroys all pages but the first.
func overwrite(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, info.Size()-4096), 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRunThatIsNoneIsDamage breaks what the file says, not its form.
func TestRunThatIsNoneIsDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "junk.db")
	f, err := Open(options(path))
	if err != nil {
		t.Fatal(err)
	}
	learn(t, f, Lesson{1, "a", Spam, words(f, "offer", "money")})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "UPDATE run SET data = zeroblob(28)")
	c := &complaints{}
	o := options(path)
	o.Failed = c.add
	f = openFilter(t, o)
	if got := learnedBy(t, f, 1); got != [2]int{} || c.count() != 1 {
		t.Errorf("%v, %v", got, c.list)
	}
}

func execute(t *testing.T, path, sql string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedAccountIsForgottenAndMayLearnAgain(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	learn(t, f, Lesson{1, "a", Spam, words(f, "offer")}, Lesson{2, "a", Spam, words(f, "offer")})
	before := f.Stats().Octets
	if err := f.Remove(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	if got := knows(t, f, 1, "offer"); got != [2]int{} || f.Stats().Octets >= before {
		t.Errorf("%v, %d octets of %d", got, f.Stats().Octets, before)
	}
	if got := knows(t, f, 2, "offer"); got != [2]int{1, 0} {
		t.Errorf("the other account: %v", got)
	}
	learn(t, f, Lesson{1, "a", Ham, words(f, "offer")})
	if got := knows(t, f, 1, "offer"); got != [2]int{0, 1} {
		t.Errorf("learned again: %v", got)
	}
}

func TestWholeFileIsBoundedAndTheIdleGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(filepath.Join(t.TempDir(), "junk.db"))
		o.Settings = func() Settings {
			s := defaults()
			s.MaxSize, s.Shared = 200_000, false
			return s
		}
		f, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		for a := range Account(20) {
			teach(t, f, a+1, newCorpus(english(), uint64(a)), 10)
			if n := f.Stats().Octets; n > 200_000 {
				t.Fatalf("%d octets", n)
			}
			time.Sleep(24 * time.Hour)
		}
		if got := learnedBy(t, f, 20); got != [2]int{10, 10} {
			t.Errorf("the last account: %v", got)
		}
		if got := learnedBy(t, f, 1); got != [2]int{} {
			t.Errorf("the first account: %v", got)
		}
		if err := f.file.use(context.Background(), f.file.write, func(conn *sqlite.Conn) error {
			want := f.Stats().Octets
			if err := f.measure(conn); err != nil || f.Stats().Octets != want {
				return fmt.Errorf("counted %d, stored %d: %w", want, f.Stats().Octets, err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRememberedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	w := words(f, "offer")
	var list []Lesson
	for i := range maxRemembered + maxRemembered/4 {
		list = append(list, Lesson{1, fmt.Sprint(i), Spam, w})
	}
	learn(t, f, list...)
	m, err := f.model(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	if err := f.file.use(context.Background(), f.file.read, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, "SELECT count(*) FROM learned", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
			rows = s.ColumnInt64(0)
			return nil
		}})
	}); err != nil {
		t.Fatal(err)
	}
	if int64(m.remembered) != rows || rows > maxRemembered+maxRemembered/8 || rows < maxRemembered {
		t.Errorf("%d remembered, %d rows", m.remembered, rows)
	}
}

func TestNobodyGivesMoreThanItsShareToEverybody(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	w := words(f, "competitor")
	var list []Lesson
	for i := range 2 * freelyGiven {
		list = append(list, Lesson{1, fmt.Sprint(i), Spam, w})
	}
	learn(t, f, list...)
	if got := knows(t, f, everybody, "competitor"); got != [2]int{freelyGiven, 0} {
		t.Errorf("%v", got)
	}
	// Taken back, exactly what was given goes.
	for i := range list {
		list[i].Class = Unlearned
	}
	learn(t, f, list...)
	if got := knows(t, f, everybody, "competitor"); got != [2]int{} {
		t.Errorf("taken back: %v", got)
	}
}

func TestScoresAndLessonsMayRunAtOnce(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(t.TempDir(), "junk.db"))
	o.Cache = 100_000 // models come and go
	f := openFilter(t, o)
	var group sync.WaitGroup
	for a := range Account(6) {
		group.Go(func() {
			c := newCorpus(english(), uint64(a))
			for i := range 20 {
				if err := f.Learn(context.Background(), Lesson{a + 1, fmt.Sprint("s", i), Spam, must(f.Read(parsed(c.spam())))}, Lesson{a + 1, fmt.Sprint("h", i), Ham, must(f.Read(parsed(c.ham())))}); err != nil {
					t.Error(err)
				}
				if _, err := f.Score(context.Background(), Account(i%6+1), must(f.Read(parsed(c.spam())))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for a := range Account(6) {
		if got := learnedBy(t, f, a+1); got != [2]int{20, 20} {
			t.Errorf("account %d: %v", a+1, got)
		}
	}
	if n := f.Stats().Cached; n > 500_000 {
		t.Errorf("%d octets in memory", n)
	}
}

func must(tokens *Tokens, err error) *Tokens {
	if err != nil {
		panic(err)
	}
	return tokens
}

func TestEndedContextsEndTheWaiting(t *testing.T) {
	t.Parallel()
	f := newFilter(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.file.lockBoth()
	if _, err := f.Score(ctx, 1, words(f, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := f.Learn(ctx, Lesson{1, "a", Spam, words(f, "x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	f.file.unlockBoth()
}
