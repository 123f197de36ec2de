package manage

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
)

// AccessQuestion is a mail that nobody has sent.
type AccessQuestion struct {
	Client string   `json:"client,omitempty" doc:"Address of the client" example:"192.0.2.1"`
	From   string   `json:"from,omitempty" doc:"Envelope sender; the null sender matches no rule"`
	To     []string `json:"to,omitempty" doc:"Recipients as given"`
}

// AccessTryInput is the input of list-try.
type AccessTryInput struct{ Body AccessQuestion }

// AccessMatch is a rule that matches, and what it does.
type AccessMatch struct {
	Rule AccessRule `json:"rule"`
	By   string     `json:"by" doc:"What it matches: client 192.0.2.1"`
	// Lifts and Effect are for people; what a rule lifts is policy.Skips.
	Lifts  []string `json:"lifts" doc:"Allow rules: the checks that do not refuse because of it"`
	Effect string   `json:"effect" doc:"What happens because of the rule, in words"`
}

// AccessAnswer is the rules that match a mail.
type AccessAnswer struct {
	Matches []AccessMatch `json:"matches"`
	Summary string        `json:"summary"`
	Unread  string        `json:"unread,omitempty" doc:"Stored rules that could not be read and are not in force"`
}

// liftable are the tests that allow rules lift, in words.
var liftable = []struct {
	test  policy.Tests
	words string
}{
	{policy.TestDNSBL, "DNS lists"},
	{policy.TestSPF, "SPF"},
	{policy.TestVirus, "virus scan"},
	{policy.TestDKIM, "DKIM"},
	{policy.TestDMARC, "DMARC"},
	{policy.TestGreylist, "greylisting"},
	{policy.TestClient, "checks of names, behaviour and rates; bans by the server"},
	{policy.TestSpam, "spam refusal and filing in Junk"},
	{policy.TestBlock, "block rules"},
}

func (s *Service) tryAccess(ctx context.Context, in *AccessTryInput) (AccessAnswer, error) {
	b := in.Body
	if b.Client == "" && b.From == "" && len(b.To) == 0 {
		return AccessAnswer{}, said{"nothing to look for; give a client, a sender or recipients", ErrMissing}
	}
	t, err := access.Load(ctx, s.o.Store.Access(), time.Now())
	if err != nil {
		return AccessAnswer{}, err
	}
	a := AccessAnswer{Matches: []AccessMatch{}}
	if b.Client != "" {
		ip, err := netip.ParseAddr(b.Client)
		if err != nil {
			return a, inField("client", fmt.Errorf("%q is no IP address", b.Client))
		}
		a.add("client "+b.Client, t.Client(ip))
	}
	if b.From != "" && b.From != "<>" {
		from, err := mail.ParseAddress(b.From)
		if err != nil {
			return a, inField("from", err)
		}
		a.add("sender "+from.String(), t.Sender(from))
	}
	for _, text := range b.To {
		to, err := mail.ParseAddress(text)
		if err != nil {
			return a, inField("to", err)
		}
		a.add("recipient "+to.String(), t.Recipient(to))
	}
	if err := t.Unread(); err != nil {
		a.Unread = err.Error()
	}
	a.sum()
	return a, nil
}

func (a *AccessAnswer) add(by string, rules []*access.Rule) {
	for _, r := range rules {
		m := AccessMatch{Rule: accessView(r.AccessRow), By: by, Lifts: []string{}}
		if !r.Block {
			for _, l := range liftable {
				if policy.Skips(r.Kind)&l.test != 0 {
					m.Lifts = append(m.Lifts, l.words)
				}
			}
		}
		m.Effect = effect(r)
		a.Matches = append(a.Matches, m)
	}
}

// effect says what a rule does.
func effect(r *access.Rule) string {
	switch {
	case !r.Block && r.Authenticated:
		return "allows, if SPF or DKIM proves the sender's domain"
	case !r.Block && r.Kind == access.Recipient:
		return "allows for this recipient; checks of the whole message are lifted only if every recipient has such a rule"
	case !r.Block:
		return "allows"
	case r.Discard && r.Kind == access.Recipient:
		return "is answered as accepted for this recipient, and thrown away"
	case r.Discard:
		return "is answered as accepted, and thrown away"
	case r.Kind == access.IP || r.Kind == access.Network:
		return "is refused at RCPT (554 5.7.1)"
	}
	return "is refused at RCPT (550 5.7.1)"
}

// sum says what comes of all together (M-SEC-BW-11).
func (a *AccessAnswer) sum() {
	var allow, some, perhaps, block bool
	for _, m := range a.Matches {
		switch {
		case m.Rule.List == "block":
			block = true
		case m.Rule.Kind == string(access.Recipient):
			some = true
		case m.Rule.Authenticated:
			perhaps = true
		default:
			allow = true
		}
	}
	switch {
	case len(a.Matches) == 0:
		a.Summary = "No rule matches: all checks apply."
	case block && allow:
		a.Summary = "Both lists match: the allow rule wins, the block rule does nothing."
	case block && some:
		a.Summary = "Both lists match: for the recipients that are allowed the block rule does nothing, for others it holds."
	case block && perhaps:
		a.Summary = "Both lists match: the allow rule wins if the sender's domain is authenticated; otherwise the block rule holds."
	case block:
		a.Summary = "The block list decides."
	default:
		a.Summary = "The allow list lifts what is named; all other checks apply."
	}
}
