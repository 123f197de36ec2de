// Package event is the log's vocabulary: every line the server logs is one
// row of the table in table.go, with a fixed name, level and meaning, so that
// operators can search for names and docs/events.md can list them all.
//
// A Logger carries the session id, and the message id once there is one, so
// that one identifier shows a message's whole life. Lines never hold content,
// passwords or tokens. The package knows nothing about files, rotation or
// where lines end up; it writes to the io.Writer it is given.
package event

import (
	"context"
	"log/slog"
	"time"

	"posthorn/internal/base/ident"
)

// Event is one row of the table. Use the constants of this package.
type Event uint16

// Row is what the table says about one event.
type Row struct {
	Name    string     // "session.opened": area, dot, what happened
	Level   slog.Level // how urgent it is
	Meaning string     // one sentence for the operator
}

// Row returns the table's row.
func (e Event) Row() Row {
	if int(e) >= len(table) {
		e = 0
	}
	return table[e]
}

// String returns the event's name.
func (e Event) String() string { return e.Row().Name }

// All returns every row in the table's order.
func All() []Row { return append([]Row(nil), table[1:]...) }

// Logger writes events. It may be used by many goroutines at once. A nil
// Logger is silent, so tests need none. Use New.
type Logger struct {
	handler          slog.Handler
	session, message ident.ID
}

// New returns a Logger writing to the handler, usually one made by Handler.
func New(h slog.Handler) *Logger { return &Logger{handler: h} }

// Session returns a Logger whose lines carry the session id.
func (l *Logger) Session(id ident.ID) *Logger {
	if l == nil {
		return nil
	}
	return &Logger{handler: l.handler, session: id, message: l.message}
}

// Message returns a Logger whose lines carry the message id, which is the
// accept key and the queue id in one.
func (l *Logger) Message(id ident.ID) *Logger {
	if l == nil {
		return nil
	}
	return &Logger{handler: l.handler, session: l.session, message: id}
}

// With returns a Logger whose lines carry the attributes as well.
func (l *Logger) With(attrs ...slog.Attr) *Logger {
	if l == nil {
		return nil
	}
	return &Logger{handler: l.handler.WithAttrs(attrs), session: l.session, message: l.message}
}

// Enabled reports whether the event would be written; ask it before building
// costly attributes.
func (l *Logger) Enabled(e Event) bool {
	return l != nil && l.handler.Enabled(context.Background(), e.Row().Level)
}

// Log writes one event. It allocates nothing when the level is off. Logging
// never fails visibly: a server goes on when its log cannot be written.
func (l *Logger) Log(e Event, attrs ...slog.Attr) {
	if !l.Enabled(e) {
		return
	}
	row := e.Row()
	r := slog.NewRecord(time.Now(), row.Level, row.Name, 0)
	if !l.session.IsZero() {
		r.AddAttrs(slog.String(keySession, l.session.String()))
	}
	if !l.message.IsZero() {
		r.AddAttrs(slog.String(keyMessage, l.message.String()))
	}
	r.AddAttrs(attrs...)
	_ = l.handler.Handle(context.Background(), r)
}

// Err is the attribute of an error; nil gives an empty one, which is left out.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String("error", err.Error())
}

const (
	keySession = "session"
	keyMessage = "message"
)
