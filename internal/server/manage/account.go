package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
)

// Account is an account as administrators see it.
type Account struct {
	ID            store.AccountID `json:"id"`
	Address       string          `json:"address" doc:"Primary address, the name to log in with"`
	Addresses     []string        `json:"addresses" doc:"All addresses; each receives, sends and logs in"`
	FullName      string          `json:"full_name"`
	Admin         bool            `json:"admin"`
	Disabled      bool            `json:"disabled"`
	QuotaBytes    Octets          `json:"quota_bytes" doc:"0: no limit"`
	QuotaMessages int64           `json:"quota_messages" doc:"0: no limit"`
	Forward       []string        `json:"forward" doc:"Addresses its mail goes on to"`
	KeepCopy      bool            `json:"keep_copy" doc:"A copy of forwarded mail stays here"`
	Forwarding    string          `json:"forwarding" doc:"Whether it may forward mail: yes, no or inherit, as the domain of its primary address says"`
	MayForward    bool            `json:"may_forward" doc:"What that comes to; without it the addresses of forward stay and are not used, and mail stays in the mailbox"`
	UsedBytes     Octets          `json:"used_bytes"`
	UsedMessages  int64           `json:"used_messages"`
	Created       time.Time       `json:"created"`
	Version       int64           `json:"version" doc:"Grows with every change"`
}

// AccountChange sets the fields that are given.
type AccountChange struct {
	Addresses     []string  `json:"addresses,omitempty" doc:"All addresses, the primary one first"`
	Password      *string   `json:"password,omitempty" writeOnly:"true"`
	FullName      *string   `json:"full_name,omitempty"`
	Admin         *bool     `json:"admin,omitempty"`
	Disabled      *bool     `json:"disabled,omitempty"`
	QuotaBytes    *Size     `json:"quota_bytes,omitempty" doc:"0: no limit"`
	QuotaMessages *int64    `json:"quota_messages,omitempty" minimum:"0" doc:"0: no limit"`
	Forward       *[]string `json:"forward,omitempty" doc:"Addresses its mail goes on to, at most 10; an empty list ends forwarding"`
	KeepCopy      *bool     `json:"keep_copy,omitempty" doc:"Keep a copy of forwarded mail here; so it is unless said otherwise"`
	Forwarding    *string   `json:"forwarding,omitempty" enum:"yes,no,inherit" doc:"Whether it may forward mail; inherit: as the domain of its primary address says"`
	Version       int64     `json:"version,omitempty" doc:"Version the change was made from; when the account has another by now, nothing is changed (409)"`
}

// The inputs of the account operations.
type (
	AccountAddInput struct{ Body AccountChange }
	AccountInput    struct {
		Address string `json:"address" path:"address"`
	}
	AccountSetInput struct {
		Address string `json:"address" path:"address"`
		Body    AccountChange
	}
	AccountListInput struct {
		Domain string `json:"domain" query:"domain" doc:"Only accounts of this domain"`
		Paging
	}
)

func accountOperations() []Operation {
	return []Operation{
		declare("account-list", get, "/accounts", reader, "List accounts by primary address", (*Service).accounts),
		declare("account-add", post, "/accounts", administrator, "Add an account with its special mailboxes", (*Service).addAccount),
		declare("account-show", get, "/accounts/{address}", reader, "Show an account", (*Service).account),
		declare("account-set", patch, "/accounts/{address}", administrator, "Change an account", (*Service).setAccount),
		declare("account-remove", remove, "/accounts/{address}", administrator, "Remove an account and its mail", (*Service).removeAccount),
	}
}

func (s *Service) accountView(ctx context.Context, a store.AccountRow) (Account, error) {
	v := Account{ID: a.ID, FullName: a.FullName, Admin: a.Admin, Disabled: a.Disabled,
		QuotaBytes: Octets(a.QuotaBytes), QuotaMessages: a.QuotaMessages, Created: a.Created, Version: a.Version,
		Forward: []string{}, KeepCopy: !a.ForwardOnly, Forwarding: choiceWord(a.Forwarding)}
	for _, addr := range a.Forward {
		v.Forward = append(v.Forward, addr.String())
	}
	for _, addr := range a.Addresses {
		v.Addresses = append(v.Addresses, addr.String())
	}
	if len(v.Addresses) > 0 {
		v.Address = v.Addresses[0]
	}
	var err error
	if v.MayForward, err = s.o.Directory.MayForward(ctx, a); err != nil {
		return v, err
	}
	u, err := s.o.Store.Account(a.ID).Usage(ctx)
	v.UsedBytes, v.UsedMessages = Octets(u.Bytes), u.Messages
	return v, err
}

func (s *Service) accounts(ctx context.Context, in *AccountListInput) (Page[Account], error) {
	limit := in.limit()
	rows, err := s.o.Store.Directory().ListAccounts(ctx, in.Domain, in.After, limit)
	if err != nil {
		return Page[Account]{}, err
	}
	p := Page[Account]{Items: make([]Account, 0, len(rows))}
	for _, a := range rows {
		v, err := s.accountView(ctx, a)
		if err != nil {
			return p, err
		}
		p.Items = append(p.Items, v)
	}
	if len(rows) == limit {
		p.Next = p.Items[limit-1].Address
	}
	return p, nil
}

// findAccount looks an account up by any of its addresses.
func (s *Service) findAccount(ctx context.Context, text string) (store.AccountRow, error) {
	addr, err := mail.ParseAddress(text)
	if err != nil {
		return store.AccountRow{}, inField("address", err)
	}
	return s.o.Directory.AccountOf(ctx, addr)
}

func (s *Service) account(ctx context.Context, in *AccountInput) (Account, error) {
	a, err := s.findAccount(ctx, in.Address)
	if err != nil {
		return Account{}, err
	}
	return s.accountView(ctx, a)
}

// empty reports that no field is given.
func (c AccountChange) empty() bool {
	return len(c.Addresses) == 0 && c.Password == nil && c.FullName == nil && c.Admin == nil && c.Disabled == nil && c.QuotaBytes == nil && c.QuotaMessages == nil &&
		c.Forward == nil && c.KeepCopy == nil && c.Forwarding == nil
}

// apply puts the given fields, but for the password, into the row.
func (c AccountChange) apply(a *store.AccountRow) error {
	if len(c.Addresses) > 0 {
		a.Addresses = nil
		for _, text := range c.Addresses {
			addr, err := mail.ParseAddress(text)
			if err != nil {
				return inField("addresses", err)
			}
			a.Addresses = append(a.Addresses, addr)
		}
	}
	if c.FullName != nil {
		a.FullName = *c.FullName
	}
	if c.Admin != nil {
		a.Admin = *c.Admin
	}
	if c.Disabled != nil {
		a.Disabled = *c.Disabled
	}
	if c.QuotaBytes != nil {
		a.QuotaBytes = int64(*c.QuotaBytes)
	}
	if c.QuotaMessages != nil {
		a.QuotaMessages = *c.QuotaMessages
	}
	return c.applyForward(a)
}

// applyForward puts in where the mail goes on to.
func (c AccountChange) applyForward(a *store.AccountRow) error {
	if c.Forward != nil {
		a.Forward = nil
		for _, text := range *c.Forward {
			addr, err := mail.ParseAddress(text)
			if err != nil {
				return inField("forward", err)
			}
			a.Forward = append(a.Forward, addr)
		}
	}
	if c.KeepCopy != nil {
		a.ForwardOnly = !*c.KeepCopy
	}
	if a.ForwardOnly && len(a.Forward) == 0 {
		if c.KeepCopy != nil && !*c.KeepCopy {
			return inField("keep_copy", errors.New("mail that is not forwarded stays here; name an address to forward to"))
		}
		a.ForwardOnly = false
	}
	return setChoice(&a.Forwarding, c.Forwarding)
}

func (s *Service) addAccount(ctx context.Context, in *AccountAddInput) (Account, error) {
	a := store.AccountRow{Created: time.Now()}
	if err := in.Body.apply(&a); err != nil {
		return Account{}, err
	}
	var secret string
	if in.Body.Password != nil {
		secret = *in.Body.Password
	}
	id, err := s.o.Directory.AddAccount(ctx, directory.NewAccount{AccountRow: a, Password: secret})
	if errors.Is(err, store.ErrExists) { // which address, not whose account
		_, text, _ := strings.Cut(err.Error(), "add account "+a.Addresses[0].String()+": ")
		return Account{}, said{text, err}
	}
	if err != nil {
		return Account{}, err
	}
	if a, err = s.o.Store.Directory().GetAccount(ctx, id); err != nil {
		return Account{}, err
	}
	return s.accountView(ctx, a)
}

func (s *Service) setAccount(ctx context.Context, in *AccountSetInput) (None, error) {
	a, err := s.findAccount(ctx, in.Address)
	if err != nil {
		return None{}, err
	}
	if in.Body.empty() {
		return None{}, ErrNothing
	}
	if v := in.Body.Version; v != 0 && v != a.Version {
		return None{}, said{fmt.Sprintf("account %s is at version %d, the change was made from %d; look again", in.Address, a.Version, v), store.ErrConflict}
	}
	if err := in.Body.apply(&a); err != nil {
		return None{}, err
	}
	if in.Body.Password != nil {
		if err := s.o.Directory.HashPassword(ctx, &a, *in.Body.Password); err != nil {
			return None{}, err
		}
	}
	return None{}, byAddress(a, s.o.Directory.SetAccount(ctx, a))
}

func (s *Service) removeAccount(ctx context.Context, in *AccountInput) (done Removed, err error) {
	a, err := s.findAccount(ctx, in.Address)
	if err != nil {
		return done, err
	}
	if err := s.o.Directory.RemoveAccount(ctx, a.ID); err != nil {
		return done, byAddress(a, err)
	}
	if s.o.Forget != nil {
		s.o.Forget(ctx, a.ID)
	}
	done.Warnings, err = s.pointing(ctx, a.Addresses)
	return done, err
}

// byAddress names an account in an error as people know it.
func byAddress(a store.AccountRow, err error) error {
	if err == nil || len(a.Addresses) == 0 {
		return err
	}
	text := strings.TrimPrefix(err.Error(), fmt.Sprintf("set account %d: ", a.ID))
	return said{strings.Replace(text, fmt.Sprintf("account %d ", a.ID), "account "+a.Addresses[0].String()+" ", 1), err}
}
