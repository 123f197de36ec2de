package check

import (
	"context"
	"errors"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// The world of the transcripts: alice, bob, full and broken live in
// example.test, bob in second.test too; gone is switched off, off.test is a
// domain switched off and relay.test a relay domain. bob may use
// sales@example.test.
var people = map[string]*store.AccountRow{
	"alice@example.test":  {ID: 1, Addresses: []mail.Address{{Local: "alice", Domain: "example.test"}}},
	"bob@example.test":    {ID: 2, Addresses: []mail.Address{{Local: "bob", Domain: "example.test"}}},
	"full@example.test":   {ID: 3},
	"crowd@example.test":  {ID: 4},
	"broken@example.test": {ID: 5},
	"gone@example.test":   {ID: 6, Disabled: true},
}

var owners = map[string][]store.AccountID{
	"alice@example.test": {1}, "bob@example.test": {2}, "bob@second.test": {2}, "sales@example.test": {2},
}

type world struct{}

func (world) OwnsSender(_ context.Context, id store.AccountID, a mail.Address) (bool, error) {
	if a.Local == "broken" {
		return false, errors.New("database is away")
	}
	local, _, _ := strings.Cut(a.Local, "+")
	for _, o := range owners[strings.ToLower(local)+"@"+a.Domain] {
		if o == id {
			return true, nil
		}
	}
	return false, nil
}

func (world) IsLocalSender(_ context.Context, a mail.Address) (bool, error) {
	if a.Local == "broken" {
		return false, errors.New("database is away")
	}
	return len(owners[a.Key()]) > 0, nil
}

func (world) Usage(_ context.Context, id store.AccountID) (store.Usage, error) {
	switch id {
	case 3:
		return store.Usage{Bytes: 900, LimitBytes: 1000}, nil
	case 4:
		return store.Usage{Messages: 10, LimitMessages: 10, LimitBytes: 0}, nil
	case 5:
		return store.Usage{}, errors.New("database is away")
	}
	return store.Usage{Bytes: 1 << 40}, nil
}

func resolve(a mail.Address) directory.Resolution {
	switch a.Domain {
	case "off.test":
		return directory.Resolution{Kind: directory.DomainDisabled}
	case "relay.test":
		return directory.Resolution{Kind: directory.Relay}
	case "example.test", "second.test", "":
	default:
		return directory.Resolution{Kind: directory.Elsewhere}
	}
	who := people[a.Key()]
	switch {
	case a.Key() == "bob@second.test":
		return local(2)
	case a.Key() == "sales@example.test": // an alias for somebody elsewhere
		return directory.Resolution{Kind: directory.Local, Forwards: []mail.Address{{Local: "sales", Domain: "far.test"}}}
	case who == nil:
		return directory.Resolution{Kind: directory.Unknown}
	case who.Disabled:
		return directory.Resolution{Kind: directory.Disabled, Account: who.ID}
	}
	return local(who.ID)
}

func local(id store.AccountID) directory.Resolution {
	return directory.Resolution{Kind: directory.Local, Account: id, Deliveries: []directory.Delivery{{Account: id}}}
}
