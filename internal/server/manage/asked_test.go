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

func TestPagesGoOnWhereTheyEndedOrSayThatTheyCannot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.must("relay-add", `{"Body":{"name":"a","targets":["a.test"]}}`)
	o.must("relay-add", `{"Body":{"name":"b","targets":["b.test"]}}`)
	if out := o.must("relay-list", `{"after":"a"}`); !strings.Contains(out, `"b"`) || strings.Contains(out, `"name":"a"`) {
		t.Errorf("%s", out)
	}
	o.must("relay-remove", `{"name":"a"}`)
	if _, err := o.does("relay-list", `{"after":"a"}`); err == nil || !strings.Contains(err.Error(), "after") {
		t.Errorf("a page after a rule that is gone: %v", err)
	}
	for _, limit := range []string{"1001", "-1"} {
		if _, err := o.does("relay-list", `{"limit":`+limit+`}`); err == nil || !strings.Contains(err.Error(), limit) {
			t.Errorf("limit %s: %v", limit, err)
		}
	}
	o.must("relay-list", `{"limit":1000}`)
}
