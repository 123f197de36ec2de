package manage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/record"
)

// talks records one session that brings n messages.
func (o *office) talks(n int) {
	t := o.o.Records.Trace(record.Session{ID: o.ids.New(), Begin: time.Now(), Listener: "smtp"})
	for i := range n {
		t.Open(o.ids.New())
		t.Sender, t.HasSender = fmt.Sprintf("u%d@away.test", i), true
		t.Close(record.Accepted)
	}
	t.Done()
}

// The messages of one session began at the same time.
func TestPagesOfTracesGoOnInsideASession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	want := make([]string, 7)
	for i := range want {
		want[len(want)-1-i] = fmt.Sprintf("u%d@away.test", i)
	}
	o.talks(len(want))
	var got []string
	in := TraceInput{From: "away.test", Period: Period{Until: "2099-01-01"}, Paging: Paging{Limit: 2}}
	for range len(want) {
		p, err := do[Traced](o, "trace", in)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range p.Items {
			got = append(got, b.Attempt.Sender)
		}
		if in.After = p.Next; in.After == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTracesGoOnAfterAPageOfThisNodeOnly(t *testing.T) {
	t.Parallel()
	o, other := newOffice(t), newOffice(t)
	o.talks(3)
	other.talks(3)
	p, err := do[Traced](o, "trace", TraceInput{Paging: Paging{Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{p.Next, "2026-01-02T03:04:05Z", "1", "1.2.x"} {
		_, err := do[Traced](other, "trace", TraceInput{Paging: Paging{After: after}})
		if f := faultsOf(err); len(f) != 1 || f[0].Field != "after" || !strings.Contains(err.Error(), "page") {
			t.Errorf("after %s: %v", after, err)
		}
	}
}
