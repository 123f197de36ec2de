package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// filters are all combinations of what a filter may ask for.
func filters() []store.QueueFilter {
	var all []store.QueueFilter
	held, queued, quarantined := store.Held, store.Queued, store.Quarantined
	for _, sender := range []string{"", "one.test", "Ann@One.test", "postmaster", "none.test"} {
		for _, recipient := range []string{"", "far.test", "BOB@far.test", "postmaster", "none.test"} {
			for _, destination := range []string{"", "smart.test", "smart.test (rule)", "smart.tes", "none.test"} {
				for _, state := range []*store.QueueState{nil, &held, &queued, &quarantined} {
					all = append(all, store.QueueFilter{Sender: sender, Recipient: recipient, Destination: destination, State: state})
				}
			}
		}
	}
	return all
}

// passes says in plain words what a filter means.
func passes(f *store.QueueFilter, m *store.QueueMessage) bool {
	is := func(want string, a mail.Address) bool {
		want = strings.ToLower(want)
		return want == "" || want == a.Key() || want == a.Domain
	}
	to := f.Destination
	return is(f.Sender, m.Sender) && slices.ContainsFunc(m.Recipients, func(r store.QueueRecipient) bool {
		state := r.State != store.Quarantined
		if f.State != nil {
			state = r.State == *f.State
		}
		return state && is(f.Recipient, r.Address) && (to == "" || r.Route == to || strings.HasPrefix(r.Route, to+" ("))
	})
}

func TestEveryFilterFindsWhatItMeans(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		people := []mail.Address{{Local: "ann", Domain: "one.test"}, {Local: "Bob", Domain: "far.test"}, {Local: "eve", Domain: "two.test"}, {Local: "postmaster"}}
		routes := []string{"", "smart.test", "smart.test (rule)", "far.test"}
		var queue []*store.QueueMessage
		for i := range 4 * 4 * 4 {
			m := &store.QueueMessage{ID: ids.New(), Sender: people[i%4], Accepted: time.Now(), Expires: time.Now().Add(time.Hour)}
			for k := range 1 + i%2 {
				m.Recipients = append(m.Recipients, store.QueueRecipient{Address: people[(i/4+k)%4], Route: routes[(i/16+k)%4],
					NextTry: time.Now().Add(time.Hour), State: store.QueueState((i/2 + k) % 3)})
			}
			d := acceptance(t, s, 0, []byte("x"))
			d.Key, d.Filings, d.Queue = m.ID, nil, m
			if _, err := s.Accept(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			d.Body.Discard()
			queue = append(queue, m)
		}
		for _, f := range filters() {
			f.After = queue[3].ID
			var want []ident.ID
			for _, m := range queue[4:] {
				if passes(&f, m) {
					want = append(want, m.ID)
				}
			}
			list, err := s.Queue().List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			var got []ident.ID
			for _, e := range list {
				if got = append(got, e.ID); !passes(&f, &e.QueueMessage) {
					t.Errorf("%+v: %+v", f, e)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d messages, want %d", filterText(f), len(got), len(want))
			}
			for _, bySender := range []bool{false, true} { // whichever way found would take
				if ids := walkBy(t, s, &f, bySender); !slices.Equal(ids, want) {
					t.Errorf("%s, by sender %v: %d messages, want %d", filterText(f), bySender, len(ids), len(want))
				}
			}
		}
	})
}

func walkBy(t *testing.T, s *Store, f *store.QueueFilter, bySender bool) (ids []ident.ID) {
	t.Helper()
	c := finding(f, bySender && f.Sender != "", 100)
	err := s.read(t.Context(), func(t tx) error {
		ids = nil
		return walk(t, c.text, slices.Clone(c.args), func(r row) error { ids = append(ids, ident.ID(r.bytes(0))); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func filterText(f store.QueueFilter) string {
	state := "any"
	if f.State != nil {
		state = f.State.String()
	}
	return fmt.Sprintf("from %q to %q by %q, %s", f.Sender, f.Recipient, f.Destination, state)
}

// A page must not cost more the longer the queue is: it is read along an index
// that has the order of the page.
func TestFilteredListsSortNothing(t *testing.T) {
	plain := map[string]bool{"": true, "far.test": true, "smart.test": true} // others differ in parameters only
	onBoth(t, func(t *testing.T, s *Store) {
		for _, f := range filters() {
			// postmaster may be a domain or the bare one, which is a walk along all.
			if f.Sender == "postmaster" || !plain[f.Recipient] || !plain[f.Destination] {
				continue
			}
			for _, bySender := range []bool{false, true} {
				if bySender && f.Sender == "" {
					continue
				}
				c := finding(&f, bySender, 100)
				plan := explain(t, s, c)
				want := "queue_recipient_message"
				switch {
				case bySender:
					want = "queue_sender"
				case f.State != nil && *f.State == store.Held:
					want = "queue_recipient_held"
				case quarantined(&f):
					want = "queue_recipient_quarantine"
				}
				if !strings.Contains(plan, want) || strings.Contains(plan, "Sort") || strings.Contains(plan, "Hash") || strings.Contains(plan, "TEMP B-TREE") {
					t.Errorf("%s goes not along %s:\n%s\n%s", filterText(f), want, c.text, plan)
				}
			}
		}
	})
}

// explain is how the engine runs a query.
func explain(t *testing.T, s *Store, c condition) string {
	t.Helper()
	how, column := `EXPLAIN QUERY PLAN `, 3
	if _, ok := s.engine.(*pgEngine); ok {
		how, column = `EXPLAIN `, 0
	}
	var plan []string
	err := s.read(context.Background(), func(t tx) error {
		plan = nil
		return walk(t, how+c.text, slices.Clone(c.args), func(r row) error { plan = append(plan, r.text(column)); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
