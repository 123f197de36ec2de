package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/state/store"
)

// GreylistKeeper changes the greylist: the one that sessions ask, so that it
// forgets at once (*greylist.List), or that of the store.
type GreylistKeeper interface {
	Confirm(ctx context.Context, key string, now time.Time) error
	Remove(ctx context.Context, key string) error
	Reset(ctx context.Context) (int, error)
}

// GreylistClient is a client that the greylist knows.
type GreylistClient struct {
	Client    string     `json:"client" doc:"An address or a network"`
	Confirmed bool       `json:"confirmed" doc:"It came back in time and is let through"`
	First     time.Time  `json:"first" doc:"When waiting began"`
	Since     *time.Time `json:"since,omitempty" doc:"When it was confirmed"`
	Last      *time.Time `json:"last,omitempty" doc:"Last attempt to deliver; absent: none yet. May be two minutes old"`
	Deferred  int64      `json:"deferred" doc:"Attempts that were put off"`
	Passed    int64      `json:"passed" doc:"Attempts that went through"`
	Sender    string     `json:"sender" doc:"Of the last attempt, like the two after it; none are kept while there are very many clients"`
	Recipient string     `json:"recipient"`
	Helo      string     `json:"helo"`
}

// GreylistPage is a page of clients, and how many there are of all.
type GreylistPage struct {
	Page[GreylistClient]
	Total     int64 `json:"total" doc:"Clients the greylist knows, those whose time is over among them until they are swept"`
	Confirmed int64 `json:"confirmed" doc:"How many of them are confirmed"`
}

// The inputs of the operations on the greylist.
type (
	GreylistListInput struct {
		Search    string `json:"search" query:"search" doc:"Part of client, sender, recipient or helo"`
		Confirmed string `json:"confirmed" query:"confirmed" enum:",yes,no" doc:"Only confirmed clients, or only others"`
		Sort      string `json:"sort" query:"sort" enum:",key,last,first" doc:"By client (default), or newest first by last or first attempt"`
		Paging
	}
	GreylistInput struct {
		Client string `json:"client" path:"client" doc:"An address or a network"`
	}
	GreylistResetInput struct {
		Confirm bool `json:"confirm" query:"confirm" doc:"Needed: every client has to wait again"`
	}
	GreylistExceptInput struct {
		Client string `json:"client" path:"client" doc:"An address or a network"`
		Author string `json:"author" query:"author" doc:"Who wants it; over the API it is who asks"`
	}
)

// GreylistForgotten says how many clients were forgotten.
type GreylistForgotten struct {
	Forgotten int `json:"forgotten"`
}

func greylistOperations() []Operation {
	return []Operation{
		declare("greylist-list", get, "/greylist", reader, "List the clients that the greylist knows", (*Service).greylisted),
		declare("greylist-show", get, "/greylist/{client}", reader, "Show a client", (*Service).greylistClient),
		declare("greylist-confirm", post, "/greylist/{client}/confirm", operator, "Let a client in now, known or not", (*Service).confirmClient),
		declare("greylist-except", post, "/greylist/{client}/except", administrator, "Never greylist a client: a subnet rule of class no-greylisting", (*Service).exceptClient),
		declare("greylist-remove", remove, "/greylist/{client}", operator, "Forget a client: it has to wait again", (*Service).forgetClient),
		declare("greylist-reset", remove, "/greylist", operator, "Forget all clients", (*Service).resetGreylist),
	}
}

func greylistView(g store.GreylistRow) GreylistClient {
	return GreylistClient{Client: g.Key, Confirmed: !g.Confirmed.IsZero(), First: g.First, Since: given(g.Confirmed), Last: given(g.Last),
		Deferred: g.Deferred, Passed: g.Passed, Sender: g.Sender, Recipient: g.Recipient, Helo: g.Helo}
}

func (s *Service) keeper() GreylistKeeper {
	if s.o.Greylist != nil {
		return s.o.Greylist
	}
	return s.o.Store.Greylist()
}

func (s *Service) greylisted(ctx context.Context, in *GreylistListInput) (p GreylistPage, err error) {
	f := store.GreylistFilter{Search: in.Search, Sort: cmp.Or(in.Sort, "key"), After: in.After, Limit: in.limit()}
	switch in.Confirmed {
	case "":
	case "yes", "no":
		yes := in.Confirmed == "yes"
		f.Confirmed = &yes
	default:
		return p, inField("confirmed", fmt.Errorf("%q; take yes or no", in.Confirmed))
	}
	p.Items = []GreylistClient{}
	page, err := s.o.Store.Greylist().List(ctx, f)
	if err != nil {
		return p, err
	}
	for _, g := range page.Rows {
		p.Items = append(p.Items, greylistView(g))
	}
	p.Next = page.Next
	p.Total, p.Confirmed, err = s.o.Store.Greylist().Count(ctx)
	return p, err
}

// entry finds a client in the greylist: by its address, or by the network that
// stands for it. known is false when it is in there by neither; the key is then
// the one under which it would be.
func (s *Service) entry(ctx context.Context, text string) (row store.GreylistRow, known bool, err error) {
	keys, err := s.greylistKeys(text)
	if err != nil {
		return row, false, inField("client", err)
	}
	for _, key := range keys {
		row, err = s.o.Store.Greylist().Get(ctx, key)
		if !errors.Is(err, store.ErrNotFound) {
			return row, err == nil, err
		}
	}
	return store.GreylistRow{Key: keys[0]}, false, nil
}

// greylistKeys are the keys a client may have, that of the setting in force first.
func (s *Service) greylistKeys(text string) ([]string, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return []string{p.Masked().String()}, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return nil, fmt.Errorf("%q is no address and no network; write 192.0.2.7 or 192.0.2.0/24", text[:min(len(text), 80)])
	}
	ip = ip.Unmap()
	near := netip.PrefixFrom(ip, 24)
	if ip.Is6() {
		near = limit.Host(ip)
	}
	keys := []string{ip.String(), near.Masked().String()}
	if s.o.GreylistKey != nil {
		keys = append([]string{s.o.GreylistKey(ip)}, keys...)
	}
	return keys, nil
}

// stranger is the error about a client that is not there.
func stranger(key string) error {
	return said{fmt.Sprintf("the greylist does not know %s; whom it knows: posthorn greylist list", key), store.ErrNotFound}
}

func (s *Service) greylistClient(ctx context.Context, in *GreylistInput) (GreylistClient, error) {
	row, known, err := s.entry(ctx, in.Client)
	if err == nil && !known {
		err = stranger(row.Key)
	}
	return greylistView(row), err
}

func (s *Service) confirmClient(ctx context.Context, in *GreylistInput) (GreylistClient, error) {
	row, _, err := s.entry(ctx, in.Client)
	if err == nil {
		err = s.keeper().Confirm(ctx, row.Key, time.Now().UTC())
	}
	if err != nil {
		return GreylistClient{}, err
	}
	row, err = s.o.Store.Greylist().Get(ctx, row.Key)
	return greylistView(row), err
}

func (s *Service) forgetClient(ctx context.Context, in *GreylistInput) (None, error) {
	row, known, err := s.entry(ctx, in.Client)
	switch {
	case err != nil:
		return None{}, err
	case !known:
		return None{}, stranger(row.Key)
	}
	return None{}, s.keeper().Remove(ctx, row.Key)
}

func (s *Service) resetGreylist(ctx context.Context, in *GreylistResetInput) (GreylistForgotten, error) {
	if !in.Confirm {
		return GreylistForgotten{}, inField("confirm", errors.New("every client would have to wait again, proper servers too; say confirm=true"))
	}
	n, err := s.keeper().Reset(ctx)
	return GreylistForgotten{n}, err
}
