package imap

import (
	"strings"
	"testing"
	"time"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reference, name string
		match, miss     []string
	}{
		{"", "*", []string{"a", "a/b", "INBOX"}, nil},
		{"", "%", []string{"a", "INBOX"}, []string{"a/b"}},
		{"", "a/%", []string{"a/b", "a/"}, []string{"a", "a/b/c", "b/b"}},
		{"a/", "%", []string{"a/b"}, []string{"b", "a/b/c"}},
		{"a/", "/b*", []string{"b", "b/c"}, []string{"a/b"}},
		{"", "a", []string{"a"}, []string{"A", "ab", ""}},
		{"", "", []string{""}, []string{"a"}},
		{"", "inbox", []string{"INBOX"}, []string{"INBOX/a", "inboxes"}},
		{"", "inb*", []string{"INBOX", "INBOX/a", "inbx"}, []string{"INB"}},
		{"", "INBOX/A", []string{"INBOX/A"}, []string{"INBOX/a"}},
		{"", "%box/%", []string{"INBOX/a"}, []string{"INBOX", "INBOX/a/b"}},
		{"", "a*b%c", []string{"abc", "axxbyyc", "a/b/bxc", "abcbc"}, []string{"ab/c", "a", "abcd"}},
		{"", "%/%", []string{"a/b", "/"}, []string{"a", "a/b/c"}},
		{"", "*/b", []string{"a/b", "x/y/b"}, []string{"b", "a/bc"}},
		{"", "a%%b", []string{"ab", "axxb"}, []string{"a/b"}},
		{"", "a%*%b", []string{"ab", "a/b"}, []string{"a"}},
		{"", "%ü", []string{"ü", "über/ü"[:3] + "ü"}, []string{"u"}},
	} {
		p := NewPattern(c.reference, c.name)
		for _, n := range c.match {
			if !p.Match(n) {
				t.Errorf("%q does not match %q", p, n)
			}
		}
		for _, n := range c.miss {
			if p.Match(n) {
				t.Errorf("%q matches %q", p, n)
			}
		}
	}
	if NewPattern("", "a").HasWildcard() || !NewPattern("*", "a").HasWildcard() {
		t.Error("HasWildcard is wrong")
	}
}

func TestPatternsTakeNoExponentialTime(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a", maxName)
	for _, p := range []string{strings.Repeat("*a", 400) + "b", strings.Repeat("%a", 400) + "b", strings.Repeat("a%*", 300) + "/", strings.Repeat("*%", 500)} {
		start := time.Now()
		NewPattern("", p).Match(name)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%.10s…: %v", p, d)
		}
	}
}

// matchSlowly is the definition of the wildcards.
func matchSlowly(p, name string) bool {
	if p == "" {
		return name == ""
	}
	if p[0] != '*' && p[0] != '%' {
		return name != "" && name[0] == p[0] && matchSlowly(p[1:], name[1:])
	}
	if matchSlowly(p[1:], name) {
		return true
	}
	return name != "" && (p[0] == '*' || name[0] != Delimiter) && matchSlowly(p, name[1:])
}

func FuzzPattern(f *testing.F) {
	f.Add("a*b%c", "a/b/bxc")
	f.Add("%*%a", "aa/a")
	f.Fuzz(func(t *testing.T, p, name string) {
		if len(p) > 12 || len(name) > 16 || underInbox(name) || strings.HasPrefix(p, "/") {
			return
		}
		if got := NewPattern("", p).Match(name); got != matchSlowly(p, name) {
			t.Fatalf("%q %q: %v", p, name, got)
		}
	})
}
