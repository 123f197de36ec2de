package policy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/access"
)

// Tests is a set of kinds of checks: what an allow rule can lift.
type Tests uint16

// The kinds of checks that allow rules know.
const (
	TestDNSBL Tests = 1 << iota
	TestSPF
	TestVirus
	TestDKIM
	TestDMARC
	TestGreylist
	// TestClient are the policies about names and behaviour of clients:
	// M-SEC-SP, M-SEC-CON-01..04, M-SEC-ADV-01..04, B1G-GEN-06, B1G-LIM-01,
	// class "reject" by DNSBL and automatic bans (M-SEC-BW-10).
	TestClient
	TestBlock // block rules: allow wins (M-SEC-BW-11)
	TestSpam  // refusal as spam and filing in Junk
)

// Skips is the skip table: what an allow rule of a kind lifts
// (requirements.md 1.4; its five columns are the first five tests).
func Skips(k access.Kind) Tests {
	switch k {
	case access.IP:
		return TestDNSBL | TestSPF | TestVirus | TestDKIM | TestDMARC | TestGreylist | TestClient | TestBlock | TestSpam
	case access.Network:
		return TestDNSBL | TestSPF | TestDKIM | TestDMARC | TestGreylist | TestClient | TestBlock | TestSpam
	case access.Sender, access.Recipient:
		return TestSPF | TestVirus | TestBlock
	case access.Domain:
		return TestSPF | TestVirus | TestDKIM | TestDMARC | TestBlock
	}
	return 0
}

// Access says which rules of the allow and block lists match; *access.Lists
// does. The rules returned must not be changed.
type Access interface {
	Client(ip netip.Addr) []*access.Rule
	// Sender returns the rules by sender and by the sender's domain.
	Sender(a mail.Address) []*access.Rule
	Recipient(a mail.Address) []*access.Rule
	// Hit counts that a rule took part in a decision.
	Hit(r *access.Rule)
}

// matches are the rules that concern an attempt. Each lives as long as what it
// was found by.
type matches struct {
	client, sender, recipient []*access.Rule
	// author are the rules by sender that ask to look at the From field too.
	author []*access.Rule
	// shared are the tests that rules lift for every recipient accepted so
	// far, because of whom; counted says that there is one (M-SEC-BW-05).
	shared  Tests
	because *access.Rule
	counted bool
	// failed is why the lists could not be read, since stage when.
	failed error
	when   Stage
}

// find looks the rules of a stage up. When that panics, failed says so until
// the rules of that stage are looked up anew.
func (m *matches) find(stage Stage, f *Facts) {
	if f.Access == nil {
		return
	}
	if stage <= m.when {
		m.failed = nil
	}
	defer func() {
		if x := recover(); x != nil {
			m.failed, m.when = fmt.Errorf("the allow and block lists panicked: %v", x), stage
		}
	}()
	switch stage {
	case Connect:
		*m = matches{client: f.Access.Client(f.Client.Unmap())}
	case Mail:
		m.sender, m.recipient, m.author = nil, nil, nil
		m.shared, m.because, m.counted = 0, nil, false
		if !f.Sender.IsNull() {
			m.sender = f.Access.Sender(f.Sender)
		}
	case Rcpt:
		m.recipient = f.Access.Recipient(f.Recipient)
	case Data:
		m.recipient = nil // from here on all of them count together
	case Content:
		m.recipient, m.author = nil, nil
		for _, a := range f.From {
			for _, r := range f.Access.Sender(a) {
				if r.FromField && !slices.Contains(m.author, r) {
					m.author = append(m.author, r)
				}
			}
		}
	}
}

// take notes what the rules of an accepted recipient lift for it.
func (m *matches) take(ctx context.Context, f *Facts) {
	var tests Tests
	for _, r := range m.recipient {
		if !r.Block && counts(ctx, r, f) {
			tests |= Skips(r.Kind)
			m.because = r
		}
	}
	if m.counted {
		tests &= m.shared
	}
	m.shared, m.counted = tests, true
}

// counts reports whether an allow rule may lift anything: one that asks for it
// only when the sender's domain is authenticated (M-SEC-BW-12).
func counts(ctx context.Context, r *access.Rule, f *Facts) bool {
	return r.Live(f.Time) && (!r.Authenticated || f.SenderAuthenticated(ctx))
}

// lifted returns the rule that lifts a test for the attempt at this stage, nil
// if none does. A test of the whole message is lifted for a recipient's sake
// only if it is for every recipient.
func (m *matches) lifted(ctx context.Context, stage Stage, t Tests, f *Facts) *access.Rule {
	for _, list := range [...][]*access.Rule{m.client, m.sender, m.recipient} {
		for _, r := range list {
			if !r.Block && Skips(r.Kind)&t != 0 && counts(ctx, r, f) {
				return r
			}
		}
	}
	for _, r := range m.author {
		// The sender's domain proves nothing about who the From field names.
		if allows := !r.Block && r.Live(f.Time); allows && Skips(r.Kind)&t != 0 && (!r.Authenticated || f.AuthorAuthenticated(ctx)) {
			return r
		}
	}
	if stage > Rcpt && m.counted && m.shared&t != 0 {
		return m.because
	}
	return nil
}
