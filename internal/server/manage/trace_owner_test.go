package manage

import (
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// A group leads to several mailboxes, so an answer says whose each is.
func TestTraceSaysWhoseMailboxItIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if err := o.o.Directory.AddDomain(t.Context(), store.DomainRow{Name: "ours.test"}); err != nil {
		t.Fatal(err)
	}
	bob, err := o.o.Directory.AddAccount(t.Context(), directory.NewAccount{AccountRow: store.AccountRow{Addresses: []mail.Address{{Local: "bob", Domain: "ours.test"}}}})
	if err != nil {
		t.Fatal(err)
	}
	id := o.ids.New()
	o.o.Records.Event(record.Event{ID: id, Kind: record.Filed, Recipient: "team@ours.test", Place: "INBOX", Account: int64(bob)})
	o.o.Records.Event(record.Event{ID: id, Kind: record.Filed, Recipient: "team@ours.test", Place: "INBOX", Account: 4711})
	p, err := do[Traced](o, "trace", TraceInput{ID: id.String()})
	if err != nil || len(p.Items) != 1 || len(p.Items[0].Events) != 2 {
		t.Fatal(p, err)
	}
	if e := p.Items[0].Events; e[0].Owner != "bob@ours.test" || e[1].Owner != "account 4711, which was removed" {
		t.Errorf("%+v", e)
	}
}
