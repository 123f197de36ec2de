package policy

import (
	"context"
	"encoding"
	"slices"
	"strings"
	"sync"

	"posthorn/internal/base/mail"
)

// Recorded is what an earlier attempt found out, for Replay.
type Recorded interface {
	// Find returns the text of an answer as the record of the step, or of an
	// earlier one, has it.
	Find(name string) (text string, ok bool)
}

// learn returns an answer: one that was found before in the session, one that
// a record has, or the source's. It goes into the record of the running check.
// With a record the source is never asked; an answer that is not there makes
// the check unable to say (Result.Missing).
func learn[T any, P interface {
	*T
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}](f *Facts, name string, ask func() T) T {
	l := &f.ledger
	if v, ok := l.known[name]; ok {
		v := v.(*answer[T])
		f.Saw(name, v.text)
		return v.value
	}
	a := &answer[T]{}
	switch {
	case f.Recorded == nil:
		a.value = ask()
		if text, err := P(&a.value).MarshalText(); err == nil {
			a.text = string(text)
		}
	default:
		text, ok := f.Recorded.Find(name)
		if !ok || P(&a.value).UnmarshalText([]byte(text)) != nil {
			l.missing, _, _ = strings.Cut(name, rulesMark)
			return a.value
		}
		a.text = text
	}
	f.remember(name, a)
	f.Saw(name, a.text)
	return a.value
}

func (f *Facts) remember(name string, a any) {
	l := &f.ledger
	if l.known == nil {
		l.known = map[string]any{}
	}
	if len(l.known) < maxKnown {
		l.known[name] = a
	}
}

// maxKnown bounds what a session remembers.
const maxKnown = 1000

// lasting reports that an answer holds until the next HELO: it is about the
// client, its name or a domain, and not about one message.
func lasting(name string) bool {
	return strings.HasPrefix(name, "list ") || name == "reverse name" || name == "well known" || name == "ban"
}

type answer[T any] struct {
	value T
	text  string
}

// Reverse is the client's name as DNS has it.
func (f *Facts) Reverse(ctx context.Context) Reverse {
	r := learn(f, "reverse name", func() Reverse {
		if f.Names == nil {
			return Reverse{}
		}
		return f.Names.Reverse(ctx, f.Client.Unmap())
	})
	f.Hostname = r.Verified()
	return r
}

// Exists looks a mail domain up.
func (f *Facts) Exists(ctx context.Context, domain string) Existence {
	domain = strings.ToLower(domain)
	return learn(f, "domain "+domain, func() Existence {
		if f.Names == nil {
			return Existence{}
		}
		return f.Names.Domain(ctx, domain)
	})
}

// Listed asks one DNS list about the client.
func (f *Facts) Listed(ctx context.Context, zone string) Listing {
	return learn(f, "list "+zone, func() Listing {
		if f.Names == nil {
			return Listing{}
		}
		return f.Names.Listed(ctx, zone, f.Client.Unmap())
	})
}

// ListedBy asks several DNS lists at once; the answers are in their order.
func (f *Facts) ListedBy(ctx context.Context, zones []string) []Listing {
	if f.Recorded == nil && f.Names != nil && len(zones) > 1 {
		f.fetch(ctx, zones)
	}
	all := make([]Listing, len(zones))
	for i, z := range zones {
		all[i] = f.Listed(ctx, z)
	}
	return all
}

// fetch asks the lists that have not been asked yet, side by side as far as
// there are helpers; ListedBy asks the others.
func (f *Facts) fetch(ctx context.Context, zones []string) {
	client := f.Client.Unmap()
	found := make([]*answer[Listing], len(zones))
	var all sync.WaitGroup
	for i, z := range zones {
		if _, ok := f.ledger.known["list "+z]; !ok && slices.Index(zones, z) == i {
			all.Add(1)
			if !f.Help(func() {
				defer all.Done()
				a := &answer[Listing]{value: f.Names.Listed(ctx, z, client)}
				text, _ := a.value.MarshalText() // never fails
				a.text = string(text)
				found[i] = a
			}) {
				all.Done()
			}
		}
	}
	all.Wait()
	for i, a := range found {
		if a != nil {
			f.remember("list "+zones[i], a)
		}
	}
}

// Lifted returns why a test is lifted for the client, sender and recipient
// known so far, "" when it is not.
func (f *Facts) Lifted(ctx context.Context, t Tests) string {
	if r := f.ledger.rulesOf.lifted(ctx, f.judging, t, f); r != nil {
		return r.Describe()
	}
	return ""
}

// SPF judges the client by the sender's domain.
func (f *Facts) SPF(ctx context.Context) SPF {
	return learn(f, "spf "+f.Sender.Path(), func() SPF {
		if f.Authenticity == nil {
			return SPF{}
		}
		return f.Authenticity.SPF(ctx, f)
	})
}

// Authentication verifies the content. It is known from stage Content on.
func (f *Facts) Authentication(ctx context.Context) Authentication {
	return learn(f, "authentication", func() Authentication {
		if f.Authenticity == nil || f.Content == nil {
			return Authentication{}
		}
		return f.Authenticity.Message(ctx, f)
	})
}

// Authenticated returns what the rules asked about the message's origin. It asks
// nobody: ok is false where the content was not authenticated.
func (f *Facts) Authenticated() (s SPF, a Authentication, ok bool) {
	if known, found := f.ledger.known["spf "+f.Sender.Path()].(*answer[SPF]); found {
		s = known.value
	}
	known, ok := f.ledger.known["authentication"].(*answer[Authentication])
	if ok {
		a = known.value
	}
	return s, a, ok
}

// SenderAuthenticated reports that SPF, or a signature seen by now, proves the
// envelope sender's domain (M-SEC-BW-12).
func (f *Facts) SenderAuthenticated(ctx context.Context) bool {
	if f.Sender.IsNull() {
		return false
	}
	if s := f.SPF(ctx); s.Result == "pass" && s.Identity == "mailfrom" {
		return true
	}
	if f.Content == nil && f.Recorded == nil || f.judging < Content {
		return false
	}
	for _, s := range f.Authentication(ctx).Signatures {
		if s.Result == "pass" && within(f.Sender.Domain, s.Domain) {
			return true
		}
	}
	return false
}

// AuthorAuthenticated reports that DMARC proves the domain of the From field.
func (f *Facts) AuthorAuthenticated(ctx context.Context) bool {
	return f.judging >= Content && f.Authentication(ctx).DMARC.Result == "pass"
}

// within reports that a domain is the other or below it.
func within(domain, of string) bool {
	return domain == of || strings.HasSuffix(domain, "."+of)
}

// yes is an answer of yes or no, which may fail.
type yes struct {
	value bool
	err   string
}

// MarshalText implements encoding.TextMarshaler.
func (y *yes) MarshalText() ([]byte, error) {
	switch {
	case y.err != "":
		return []byte("failed " + y.err), nil
	case y.value:
		return []byte("yes"), nil
	}
	return []byte("no"), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (y *yes) UnmarshalText(b []byte) error {
	y.value = string(b) == "yes"
	y.err, _ = strings.CutPrefix(string(b), "failed ")
	if y.err == string(b) {
		y.err = ""
	}
	return nil
}

func (y *yes) answer() (bool, error) {
	if y.err != "" {
		return false, sourceError(y.err)
	}
	return y.value, nil
}

// sourceError is the error of a source, as the record keeps it.
type sourceError string

// Error implements error.
func (e sourceError) Error() string { return string(e) }

func said(v bool, err error) yes {
	if err != nil {
		return yes{err: err.Error()}
	}
	return yes{value: v}
}

// OwnsSender reports whether the login may send as the address.
func (f *Facts) OwnsSender(ctx context.Context, a mail.Address) (bool, error) {
	y := learn(f, "owns "+a.Path(), func() yes { return said(f.Senders.OwnsSender(ctx, f.Login.ID, a)) })
	return y.answer()
}

// LocalSender reports whether some local account owns the sender.
func (f *Facts) LocalSender(ctx context.Context) (bool, error) {
	y := learn(f, "local "+f.Sender.Path(), func() yes { return said(f.Senders.IsLocalSender(ctx, f.Sender)) })
	return y.answer()
}
