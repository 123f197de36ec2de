package manage

import (
	"bytes"
	"strings"
	"testing"

	"posthorn/internal/base/event"
)

// The log tells of changes that happened, not of questions.
func TestOnlyChangesAreLogged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var log bytes.Buffer
	o.o.Log = event.New(event.Handler(&log, event.Options{}))
	for _, c := range []struct {
		id, in string
		logged bool
	}{
		{"relay-add", `{"Body":{"name":"a","targets":["a.test"]}}`, true},
		{"relay-list", `{}`, false},
		{"list-import", `{"Body":{"file":"block ip 192.0.2.1","dry_run":true}}`, false},
		{"list-import", `{"Body":{"file":"block ip 192.0.2.1"}}`, true},
		{"list-try", `{"Body":{"client":"192.0.2.1"}}`, false},
		{"list-remove", `{"name":"192.0.2.1"}`, true},
	} {
		log.Reset()
		o.must(c.id, c.in)
		if got := strings.Contains(log.String(), "admin.action"); got != c.logged {
			t.Errorf("%s %s: logged %v: %s", c.id, c.in, got, log.String())
		}
	}
	for _, op := range Operations() {
		if op.Changes && (op.Role == reader || op.Method == get) {
			t.Errorf("%s: nobody changes something by %s, and no reader does", op.ID, op.Method)
		}
	}
}
