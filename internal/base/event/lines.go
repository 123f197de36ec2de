package event

import (
	"errors"
	"log"
	"log/slog"
	"strings"
)

// Lines returns a logger for libraries that write lines of text: each is one
// event, with what it is about.
func (l *Logger) Lines(e Event, what string) *log.Logger {
	return log.New(lines{l, e, what}, "", 0)
}

type lines struct {
	to   *Logger
	e    Event
	what string
}

// Write implements io.Writer; the log package calls it once a line.
func (w lines) Write(line []byte) (int, error) {
	w.to.Log(w.e, slog.String("what", w.what), Err(errors.New(strings.TrimSpace(string(line)))))
	return len(line), nil
}
