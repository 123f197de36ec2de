package event

import (
	"fmt"
	"strings"
)

// Document returns docs/events.md, made from the table.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Log events

Every line of the log is one of these events. It carries the time, the level, the event's name, the
session id and, once there is one, the message id, which also stands in the Received field, in the reply
"queued as" and in the queue. Content, passwords and tokens are never logged.

This page is made from internal/base/event/table.go; do not edit it.

| Event | Level | Meaning |
|---|---|---|
`)
	for _, r := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, strings.TrimSpace(levelName(r.Level)), r.Meaning)
	}
	return b.String()
}
