package directory

import (
	"context"
	"errors"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// maxForward is how many addresses an account may forward to.
const maxForward = 10

// checkForward checks where an account forwards its mail to; own are the keys
// of its addresses. Addresses here need not exist yet.
func checkForward(row store.AccountRow, own map[string]bool) error {
	if len(row.Forward) > maxForward {
		return invalid("an account forwards to at most %d addresses; an alias or a group takes more", maxForward)
	}
	seen := map[string]bool{}
	for _, a := range row.Forward {
		if err := checkTarget(a); err != nil {
			return err
		}
		switch key := a.Key(); {
		case own[key]:
			return invalid("%s is the account's own address: its mail would come back", a)
		case seen[key]:
			return invalid("forward address %s is there twice", a)
		default:
			seen[key] = true
		}
	}
	return nil
}

// MayForward reports whether mail for the account may go on to the addresses
// it forwards to (M-GEN-05): as the account says, else the domain of its
// primary address, else the server.
func (d *Directory) MayForward(ctx context.Context, row store.AccountRow) (bool, error) {
	generation, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	return d.mayForward(ctx, generation, row)
}

func (d *Directory) mayForward(ctx context.Context, generation uint64, row store.AccountRow) (bool, error) {
	domain, _, err := d.domain(ctx, generation, primary(row).Domain)
	return row.Forwarding.Of(domain.Forwarding.Of(d.o.Settings().Forwarding)), err
}

// account adds an account once; disabled ones get nothing.
func (x *expansion) account(f found, depth int) error {
	id := f.owner.Account
	if x.accounts[id] {
		x.own(id)
		return nil
	}
	x.accounts[id] = true
	if f.owner.Disabled {
		x.disabled = append(x.disabled, id)
		return nil
	}
	to := Delivery{Account: id, Address: f.base, Detail: f.detail, Unlimited: f.owner.Unlimited, Forwarded: x.onward}
	if !f.owner.Forwards {
		x.r.Deliveries = append(x.r.Deliveries, to)
		return nil
	}
	return x.forward(to, depth)
}

// own notes that an account which another forwards to is also meant itself.
func (x *expansion) own(id store.AccountID) {
	if x.onward {
		return
	}
	for _, all := range [][]Delivery{x.r.Deliveries, x.r.Away} {
		for i := range all {
			if all[i].Account == id {
				all[i].Forwarded = false
			}
		}
	}
}

// forward follows what an account forwards to. The copy here is kept where
// nothing else would get the message.
func (x *expansion) forward(to Delivery, depth int) error {
	row, err := x.d.store.GetAccount(x.ctx, to.Account)
	if errors.Is(err, store.ErrNotFound) {
		x.r.Dangling = append(x.r.Dangling, to.Address)
		return nil
	}
	if err != nil {
		return err
	}
	may, err := x.d.mayForward(x.ctx, x.generation, row)
	if err != nil {
		return err
	}
	if !may || depth >= MaxNesting || !row.ForwardOnly {
		x.r.Deliveries = append(x.r.Deliveries, to)
	}
	if !may || depth >= MaxNesting { // senders are not to suffer from a chain of our users' making
		return nil
	}
	before, outer := len(x.r.Deliveries)+len(x.r.Forwards), x.onward
	x.onward = true
	for _, a := range row.Forward {
		if err := x.target(a, "", depth+1); err != nil {
			return err
		}
	}
	x.onward = outer
	switch {
	case !row.ForwardOnly:
	case before == len(x.r.Deliveries)+len(x.r.Forwards):
		x.r.Deliveries = append(x.r.Deliveries, to)
	default:
		x.r.Away = append(x.r.Away, to)
	}
	return nil
}

// Returns gives the sender behind a reverse-path that we wrote into forwarded
// mail, or an error for one that we did not write, or too long ago.
type Returns func(mail.Address) (mail.Address, error)

// TakeReturns makes such addresses lead to the senders. It is called once,
// before mail comes in.
func (d *Directory) TakeReturns(r Returns) { d.returns.Store(&r) }

// mayReturn reports an address that nobody here has and that looks like a
// reverse-path of ours, at a hosted domain or the host's own name.
func (d *Directory) mayReturn(addr mail.Address, r *Resolution) bool {
	if len(addr.Local) < 5 || !strings.EqualFold(addr.Local[:3], "SRS") || d.returns.Load() == nil {
		return false
	}
	return r.Kind == Unknown || r.Kind == Local && r.CatchAll ||
		r.Kind == Elsewhere && addr.Domain != "" && d.o.HostName != nil && strings.EqualFold(addr.Domain, d.o.HostName())
}

// returned resolves such an address. It is never kept: it ages. What we did not
// write is nobody's, whatever a catch-all says; other names keep their meaning.
func (d *Directory) returned(ctx context.Context, generation uint64, addr mail.Address, r *Resolution) (Resolution, error) {
	sender, err := (*d.returns.Load())(addr)
	if errors.Is(err, ErrNotReturn) {
		return *r, nil
	}
	if err != nil {
		return Resolution{Kind: Unknown}, nil
	}
	x := d.expand(ctx, generation)
	x.r = Resolution{Kind: Local, Return: true}
	if err := x.target(sender, "", 1); err != nil {
		return Resolution{}, err
	}
	x.r.settle(x.disabled)
	return x.r, nil
}

// ErrNotReturn says that an address has not the form of one that we write.
var ErrNotReturn = errors.New("not the reverse-path of forwarded mail")
