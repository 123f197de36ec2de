package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/state/ban"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// Ban is a client host that is not let in.
type Ban struct {
	Host     string     `json:"host" doc:"An address or a network; of IPv6 a /64 counts as one host"`
	Kind     string     `json:"kind" enum:"failures,day,manual" doc:"failures: too many in a short time; day: too many accounts that do not exist; manual: set by an administrator"`
	Reason   string     `json:"reason"`
	First    time.Time  `json:"first" doc:"First attempt that counted"`
	Last     time.Time  `json:"last" doc:"Last attempt that counted"`
	Failures int64      `json:"failures"`
	Until    *time.Time `json:"until,omitempty" doc:"When it ends; absent: when it is lifted"`
	InForce  bool       `json:"in_force" doc:"It has not ended"`
	Author   string     `json:"author,omitempty" doc:"Who set it; absent: the server"`
}

// The inputs of the operations on bans.
type (
	// NewBan is a ban by hand.
	NewBan struct {
		Host   string     `json:"host" doc:"An address or a network; an IPv6 address means its /64" example:"192.0.2.7"`
		Reason string     `json:"reason,omitempty" doc:"Why, for the list"`
		Until  *time.Time `json:"until,omitempty" doc:"When it ends (RFC 3339); without it when it is lifted"`
		Author string     `json:"author,omitempty" doc:"Who sets it; over the API it is who asks"`
	}
	BanAddInput  struct{ Body NewBan }
	BanListInput struct {
		Search string `json:"search" query:"search" doc:"Part of host, reason or author"`
		Kind   string `json:"kind" query:"kind" enum:",failures,day,manual" doc:"Only bans of this kind"`
		Ended  bool   `json:"ended" query:"ended" doc:"Bans that have ended, too; they are kept for a week"`
		Paging
	}
	BanInput struct {
		Host string `json:"host" path:"host" doc:"An address or a network"`
	}
	BanLiftAllInput struct {
		Kind    string `json:"kind" query:"kind" enum:",failures,day,manual" doc:"Only bans of this kind"`
		Confirm bool   `json:"confirm" query:"confirm" doc:"Needed to lift bans of every kind, those set by hand too"`
	}
)

// BanLifted says whose own bans were lifted, and which still keep it out.
type BanLifted struct {
	Host   string `json:"host"`
	Others []Ban  `json:"others" doc:"Bans still in force that the host is under, of networks around it: it stays out until they are lifted"`
}

// BansLifted says how many bans were lifted.
type BansLifted struct {
	Lifted int `json:"lifted"`
}

func banOperations() []Operation {
	return []Operation{
		declare("ban-list", get, "/bans", reader, "List the client hosts that are not let in", (*Service).bans),
		declare("ban-add", post, "/bans", operator, "Ban a client host or network by hand", (*Service).addBan),
		declare("ban-show", get, "/bans/{host}", reader, "Show the bans that an address or network is under", (*Service).showBans),
		declare("ban-lift", remove, "/bans/{host}", operator, "Lift all bans of a host", (*Service).liftBan),
		declare("ban-lift-all", remove, "/bans", operator, "Lift all bans, or those of one kind", (*Service).liftBans),
	}
}

func banView(b store.BanRow) Ban {
	return Ban{Host: hostText(b.Host), Kind: b.Kind.String(), Reason: b.Reason, First: b.First, Last: b.Last, Failures: b.Failures,
		Until: given(b.Until), InForce: ban.InForce(b, time.Now()), Author: b.Author}
}

// hostText leaves out the length of a single address.
func hostText(p netip.Prefix) string {
	if p.Addr().Is4() && p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// banKind reads a kind; "" is none.
func banKind(text string) (*store.BanKind, error) {
	if text == "" {
		return nil, nil
	}
	for _, k := range []store.BanKind{store.BanFailures, store.BanDay, store.BanManual} {
		if k.String() == text {
			return &k, nil
		}
	}
	return nil, inField("kind", fmt.Errorf("%q is no kind of ban; take failures, day or manual", text))
}

func (s *Service) bans(ctx context.Context, in *BanListInput) (Page[Ban], error) {
	limit, p := in.limit(), Page[Ban]{Items: []Ban{}}
	kind, err := banKind(in.Kind)
	if err != nil {
		return p, err
	}
	rows, err := s.o.Store.Bans().List(ctx, in.Search, in.After, limit)
	if err != nil {
		return p, err
	}
	hosts, last := 0, netip.Prefix{}
	for _, b := range rows {
		if b.Host != last {
			hosts, last = hosts+1, b.Host
		}
		if (kind == nil || b.Kind == *kind) && (in.Ended || ban.InForce(b, time.Now())) {
			p.Items = append(p.Items, banView(b))
		}
	}
	if hosts == limit {
		p.Next = last.String()
	}
	return p, nil
}

func (s *Service) addBan(ctx context.Context, in *BanAddInput) (Ban, error) {
	host, err := ban.ParseHost(in.Body.Host)
	if err == nil {
		err = ban.CheckManual(host)
	}
	if err != nil {
		return Ban{}, inField("host", err)
	}
	if len(in.Body.Reason) > maxReason || strings.ContainsAny(in.Body.Reason, "\r\n") {
		return Ban{}, inField("reason", fmt.Errorf("one line of at most %d octets, please", maxReason))
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	row := store.BanRow{Host: host, Kind: store.BanManual, Reason: in.Body.Reason, First: now, Last: now, Author: cmp.Or(author(ctx, in.Body.Author), nobody)}
	if in.Body.Until != nil {
		if row.Until = in.Body.Until.UTC().Truncate(time.Microsecond); !row.Until.After(now) {
			return Ban{}, inField("until", fmt.Errorf("%s is over; name a time to come, or none", row.Until.Format(time.RFC3339)))
		}
	}
	return banView(row), s.o.Store.Bans().Put(ctx, row, s.banSettings().Most)
}

// maxReason bounds what people write about a ban.
const maxReason = 300

// banSettings are those in force.
func (s *Service) banSettings() ban.Settings {
	if s.o.Bans == nil {
		return setting.Defaults[ban.Settings](setting.Recommended)
	}
	return *s.o.Bans()
}

// covering returns the bans in force that a host is under.
func (s *Service) covering(ctx context.Context, text string) (host netip.Prefix, found []store.BanRow, err error) {
	if host, err = ban.ParseHost(text); err != nil {
		return host, nil, inField("host", err)
	}
	rows, _, err := s.o.Store.Bans().All(ctx, time.Now())
	for _, b := range rows {
		if b.Host.Bits() <= host.Bits() && b.Host.Contains(host.Addr()) {
			found = append(found, b)
		}
	}
	return host, found, err
}

func (s *Service) showBans(ctx context.Context, in *BanInput) (Page[Ban], error) {
	host, found, err := s.covering(ctx, in.Host)
	if err != nil {
		return Page[Ban]{}, err
	}
	if len(found) == 0 {
		return Page[Ban]{}, said{fmt.Sprintf("%s is not banned (posthorn ban list)", hostText(host)), store.ErrNotFound}
	}
	p := Page[Ban]{Items: []Ban{}}
	for _, b := range found {
		p.Items = append(p.Items, banView(b))
	}
	return p, nil
}

func (s *Service) liftBan(ctx context.Context, in *BanInput) (BanLifted, error) {
	host, err := ban.ParseHost(in.Host)
	if err != nil {
		return BanLifted{}, inField("host", err)
	}
	done := BanLifted{Host: hostText(host), Others: []Ban{}}
	lifting := s.o.Store.Bans().Lift(ctx, host)
	if lifting != nil && !errors.Is(lifting, store.ErrNotFound) {
		return done, lifting
	}
	_, found, err := s.covering(ctx, in.Host)
	if err != nil {
		return done, err
	}
	switch {
	case lifting == nil:
		for _, b := range found {
			done.Others = append(done.Others, banView(b))
		}
		return done, nil
	case len(found) > 0:
		return done, said{fmt.Sprintf("%s is not banned by itself; the network %s is, around it (posthorn ban lift %s)", hostText(host), found[0].Host, found[0].Host), store.ErrNotFound}
	}
	return done, said{hostText(host) + " is not banned (posthorn ban list)", store.ErrNotFound}
}

func (s *Service) liftBans(ctx context.Context, in *BanLiftAllInput) (BansLifted, error) {
	kind, err := banKind(in.Kind)
	if err != nil {
		return BansLifted{}, err
	}
	if kind == nil && !in.Confirm {
		return BansLifted{}, inField("confirm", errors.New("this lifts every ban, those set by hand too; say confirm=true, or name a kind"))
	}
	n, err := s.o.Store.Bans().LiftAll(ctx, kind)
	return BansLifted{n}, err
}
