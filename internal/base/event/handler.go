package event

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Format is the form of log lines.
type Format string

// The formats. Text is for people, JSON (one object a line) for programs.
const (
	Text Format = "text"
	JSON Format = "json"
)

// Options say how lines are written.
type Options struct {
	Format Format
	// Level is the lowest level written; a *slog.LevelVar can be changed
	// while the server runs. Nil means info.
	Level slog.Leveler
}

// Handler returns the handler for New. Each line is one Write. Attributes
// whose name says that they hold a secret are written as [redacted].
func Handler(w io.Writer, o Options) slog.Handler {
	level := o.Level
	if level == nil {
		level = slog.LevelInfo
	}
	if o.Format == JSON {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: jsonAttr})
	}
	return newTextHandler(w, level)
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	var l slog.Level
	switch s {
	case "debug", "info", "warn", "error":
		return l, l.UnmarshalText([]byte(s))
	}
	return l, fmt.Errorf("%q is not a log level; use debug, info, warn or error", s)
}

const redacted = "[redacted]"

// secretKeys are names of attributes that must never be written, whoever
// logs them by mistake.
var secretKeys = [...]string{"password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential", "private_key", "content", "body"}

// secret reports whether the key, or its last word, is one of secretKeys.
func secret(key string) bool {
	key = strings.ToLower(key)
	for _, s := range secretKeys {
		if rest, ok := strings.CutSuffix(key, s); ok && (rest == "" || strings.HasSuffix(rest, "_") || strings.HasSuffix(rest, "-")) {
			return true
		}
	}
	return false
}

// jsonAttr names the message "event" and redacts.
func jsonAttr(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) == 0 && a.Key == slog.MessageKey:
		a.Key = "event"
	case secret(a.Key):
		a.Value = slog.StringValue(redacted)
	}
	return a
}
