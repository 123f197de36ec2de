package directory

import (
	"context"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// isSystemLocal reports postmaster and mailer-daemon, also with a detail.
func isSystemLocal(local, separator string) bool {
	if base, _, ok := cutDetail(local, separator); ok && isSystemLocal(base, "") {
		return true
	}
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "mailer-daemon")
}

// isSystem reports an address that must always be accepted (ORD-04, RFC 5321
// §4.5.1) and that nobody takes: the bare postmaster, both names at hosted
// domains and at the host's own name.
func (d *Directory) isSystem(ctx context.Context, generation uint64, addr mail.Address, r *Resolution) (bool, error) {
	if len(addr.Local) < len("postmaster") || r.Kind == Local {
		return false, nil
	}
	domain, hosted, err := d.domain(ctx, generation, addr.Domain)
	switch {
	case err != nil || !isSystemLocal(addr.Local, domain.Separator):
		return false, err
	case hosted || addr.Domain == "" && strings.EqualFold(addr.Local, "postmaster"):
		return true, nil
	}
	return addr.Domain != "" && d.o.HostName != nil && strings.EqualFold(addr.Domain, d.o.HostName()), nil
}

// system tells who gets the server's own mail: the address in the settings, or
// the oldest administrator.
func (d *Directory) system(ctx context.Context, generation uint64) (Resolution, error) {
	set := d.o.Settings()
	out := Resolution{Kind: Local, System: true, Copies: set.ExternalPostmaster}
	if !set.Postmaster.IsNull() {
		r, err := d.resolve(ctx, generation, set.Postmaster)
		if err != nil {
			return Resolution{}, err
		}
		switch r.Kind {
		case Local:
			out.Account, out.Deliveries, out.Forwards, out.Away = r.Account, r.Deliveries, r.Forwards, r.Away
			return out, nil
		case Elsewhere, Relay:
			out.Forwards = []mail.Address{set.Postmaster}
			return out, nil
		}
	}
	admin, err := d.administrator(ctx, generation)
	if err != nil {
		return Resolution{}, err
	}
	out.Account, out.Deliveries = admin.Account, []Delivery{admin}
	return out, nil
}

// administrator is the oldest account that is one and enabled.
func (d *Directory) administrator(ctx context.Context, generation uint64) (Delivery, error) {
	const key = "@" // no address and no domain has it
	if e, ok := d.cache.get(key); ok {
		return e.resolution.Deliveries[0], nil
	}
	ids, err := d.store.Administrators(ctx)
	if err != nil {
		return Delivery{}, err
	}
	if len(ids) == 0 {
		return Delivery{}, ErrNoPostmaster
	}
	row, err := d.store.GetAccount(ctx, ids[0])
	if err != nil {
		return Delivery{}, err
	}
	to := Delivery{Account: row.ID, Address: primary(row)}
	d.cache.put(generation, key, entry{resolution: &Resolution{Kind: Local, Deliveries: []Delivery{to}}, cost: 1})
	return to, nil
}

// primary is the account's first address.
func primary(row store.AccountRow) mail.Address {
	if len(row.Addresses) == 0 {
		return mail.Address{}
	}
	return row.Addresses[0]
}
