package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"

	"posthorn/internal/base/ident"
)

var update = flag.Bool("update", false, "rewrite docs/events.md")

func TestEveryEventHasAUniqueNameAndAMeaning(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	seen := map[string]bool{}
	for i, r := range All() {
		switch {
		case !form.MatchString(r.Name):
			t.Errorf("event %d: bad name %q", i+1, r.Name)
		case seen[r.Name]:
			t.Errorf("%s: named twice", r.Name)
		case !strings.HasSuffix(r.Meaning, ".") || strings.Contains(r.Meaning, "|"):
			t.Errorf("%s: the meaning is not a sentence: %q", r.Name, r.Meaning)
		}
		seen[r.Name] = true
	}
}

func TestDocumentIsNotStale(t *testing.T) {
	const path = "../../../docs/events.md"
	if *update {
		if err := os.WriteFile(path, []byte(Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Document() {
		t.Errorf("docs/events.md is stale; run go test ./internal/base/event -update")
	}
}

func TestLinesCarrySessionAndMessage(t *testing.T) {
	t.Parallel()
	source := ident.NewSource()
	session, message := source.New(), source.New()
	for _, format := range []Format{Text, JSON} {
		var out bytes.Buffer
		log := New(Handler(&out, Options{Format: format})).Session(session).Message(message)
		log.Log(MessageAccepted, slog.Int("size", 42), Err(nil))
		for _, want := range []string{"message.accepted", session.String(), message.String(), "42"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q misses %q", format, out.String(), want)
			}
		}
		if strings.Contains(out.String(), "error") {
			t.Errorf("%s: a nil error was written: %s", format, out.String())
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Text, JSON} {
		var out bytes.Buffer
		log := New(Handler(&out, Options{Format: format})).With(slog.String("api_token", "hunter2"))
		log.Log(AuthFailed, slog.String("password", "hunter2"), slog.Group("header", slog.String("Authorization", "hunter2")), slog.String("tokens_left", "3"))
		if got := out.String(); strings.Contains(got, "hunter2") || strings.Count(got, redacted) != 3 || !strings.Contains(got, "3") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestClientsCannotForgeLines(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Text, JSON} {
		var out bytes.Buffer
		New(Handler(&out, Options{Format: format})).Log(AuthFailed,
			slog.String("name", "x\r\n2026-01-01 00:00:00.000 info  auth.succeeded name=root\x1b[2J\u2028"))
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b") {
			t.Errorf("%s: %q", format, got)
		}
	}
}

func TestLevelsAreObeyedAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var level slog.LevelVar
	log := New(Handler(&out, Options{Level: &level}))
	log.Log(SessionCommand)
	if out.Len() != 0 {
		t.Errorf("debug line at level info: %s", out.String())
	}
	level.Set(slog.LevelDebug)
	log.Log(SessionCommand)
	if !strings.Contains(out.String(), "session.command") {
		t.Errorf("no debug line at level debug")
	}
}

func TestNilLoggerIsSilent(t *testing.T) {
	t.Parallel()
	var log *Logger
	log.Session(ident.ID{1}).Message(ident.ID{2}).With(slog.Int("a", 1)).Log(ServerPanic, Err(errors.New("x")))
	if log.Enabled(ServerPanic) {
		t.Error("a nil logger is enabled")
	}
}

func TestDisabledEventsCostNoAllocation(t *testing.T) {
	log := New(Handler(&bytes.Buffer{}, Options{})).Session(ident.ID{1})
	if n := testing.AllocsPerRun(100, func() { log.Log(SessionCommand, slog.String("verb", "NOOP"), slog.Int("code", 250)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTextHandlerKeepsTheContract(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newTextHandler(&out, slog.LevelDebug)
	line := regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} )?(debug|info|warn|error) +(\S+)(.*)$`)
	err := slogtest.TestHandler(h, func() []map[string]any {
		var all []map[string]any
		for _, l := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("odd line %q", l)
			}
			got := map[string]any{slog.LevelKey: m[2], slog.MessageKey: m[3]}
			if m[1] != "" {
				got[slog.TimeKey] = m[1]
			}
			for _, field := range strings.Fields(m[4]) {
				key, value, _ := strings.Cut(field, "=")
				put(got, strings.Split(key, "."), value)
			}
			all = append(all, got)
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

func put(m map[string]any, path []string, value string) {
	if len(path) == 1 {
		m[path[0]] = value
		return
	}
	inner, ok := m[path[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[path[0]] = inner
	}
	put(inner, path[1:], value)
}

func TestJSONNamesTheEvent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	New(Handler(&out, Options{Format: JSON})).Log(ServerReady)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["event"] != "server.ready" || got["level"] != "INFO" || got["time"] == nil {
		t.Errorf("got %v", got)
	}
}

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		if got, err := ParseLevel(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "INFO+2", "loud"} {
		if _, err := ParseLevel(in); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}
