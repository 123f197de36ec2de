package imapd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// folder is one name LIST can show.
type folder struct {
	name       string
	mailbox    *store.Mailbox // nil: only a level above others, or subscribed without being there
	subscribed bool
	children   bool // a mailbox lies below it
	// below: a subscribed name lies below it (RFC 5258 §4).
	below bool
}

// folders lists all names of the account, sorted: mailboxes, subscriptions
// and the levels above them.
func (c *conn) folders(ctx context.Context) ([]folder, error) {
	mailboxes, err := c.session.account.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	subscriptions, err := c.session.account.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	tree := make(map[string]*folder, len(mailboxes))
	at := func(name string) *folder {
		f := tree[name]
		if f == nil {
			f = &folder{name: name}
			tree[name] = f
		}
		return f
	}
	for i := range mailboxes {
		at(mailboxes[i].Name).mailbox = &mailboxes[i]
		for p := range parents(mailboxes[i].Name) {
			at(p).children = true
		}
	}
	for _, name := range subscriptions {
		at(name).subscribed = true
		for p := range parents(name) {
			at(p).below = true
		}
	}
	out := make([]folder, 0, len(tree))
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		out = append(out, *tree[name])
	}
	return out, nil
}

// parents yields the levels above a name.
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(name, imap.Delimiter); i > 0; i = strings.LastIndexByte(name[:i], imap.Delimiter) {
			if !yield(name[:i]) {
				return
			}
		}
	}
}

// runList is LIST (RFC 3501 §6.3.8, RFC 9051 §6.3.9, RFC 5258, RFC 6154,
// RFC 5819).
func runList(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.List()
	if err != nil {
		return failed(err)
	}
	if !arg.Extended && arg.Patterns[0] == "" { // asks for the delimiter
		c.listLine("LIST", []string{`\Noselect`}, "", nil)
		return completed("LIST")
	}
	all, err := c.folders(ctx)
	if err != nil {
		return failed(err)
	}
	l := lister{List: arg, patterns: patterns(arg), nonExistent: arg.Extended || c.session.rev2, left: c.set.SearchTime}
	for i := range all {
		f := &all[i]
		attrs, child, ok := l.show(f)
		if err := l.over(ctx); err != nil {
			return failed(err)
		}
		if !ok {
			continue
		}
		c.listLine("LIST", attrs, f.name, c.childInfo(child))
		if l.Return&imap.ReturnStatus != 0 && f.mailbox != nil {
			if err := c.statusLine(ctx, f.mailbox, l.Status); err != nil {
				return failed(err)
			}
		}
	}
	return completed("LIST")
}

// patterns are what the patterns of a LIST ask for, as they were written and
// in the form in which names are kept.
func patterns(l imap.List) []imap.Pattern {
	var out []imap.Pattern
	reference := canonical(l.Reference)
	for _, p := range l.Patterns {
		out = append(out, imap.NewPattern(l.Reference, p))
		if kept := canonical(p); reference != l.Reference || kept != p {
			out = append(out, imap.NewPattern(reference, kept))
		}
	}
	return out
}

// lister decides which names a LIST shows and how.
type lister struct {
	imap.List
	patterns []imap.Pattern
	// nonExistent: the client knows the word for a level that is no mailbox.
	nonExistent bool
	// left is how long it may still compare many patterns with many names; what
	// a slow client takes to read the answer is its own time.
	left time.Duration
}

func (l *lister) matches(name string) bool {
	began := time.Now()
	defer func() { l.left -= time.Since(began) }()
	return slices.ContainsFunc(l.patterns, func(p imap.Pattern) bool { return p.Match(name) })
}

// over reports that comparing took too long, or the client is gone.
func (l *lister) over(ctx context.Context) error {
	if l.left < 0 {
		return fmt.Errorf("list: %w", context.DeadlineExceeded)
	}
	return searchTime(ctx)
}

// show returns the attributes of a name and, for RECURSIVEMATCH, what made it
// appear.
func (l *lister) show(f *folder) (attrs []string, child, ok bool) {
	if !l.matches(f.name) {
		return nil, false, false
	}
	switch {
	case l.Select&imap.SelectSubscribed != 0:
		ok = f.subscribed
		if !ok && f.below && l.Select&imap.SelectRecursiveMatch != 0 {
			ok, child = true, true
		}
	default:
		ok = f.mailbox != nil || f.children
	}
	if l.Select&imap.SelectSpecialUse != 0 && (f.mailbox == nil || f.mailbox.Role.Attribute() == "") {
		ok = false
	}
	return l.attributes(f), child, ok
}

func (l *lister) attributes(f *folder) []string {
	var attrs []string
	switch {
	case f.mailbox != nil:
	case l.nonExistent:
		attrs = append(attrs, `\NonExistent`)
	default:
		attrs = append(attrs, `\Noselect`)
	}
	if f.children {
		attrs = append(attrs, `\HasChildren`)
	} else {
		attrs = append(attrs, `\HasNoChildren`)
	}
	if f.subscribed && (l.Select&imap.SelectSubscribed != 0 || l.Return&imap.ReturnSubscribed != 0) {
		attrs = append(attrs, `\Subscribed`)
	}
	if f.mailbox != nil {
		if use := f.mailbox.Role.Attribute(); use != "" {
			attrs = append(attrs, use)
		}
	}
	return attrs
}

// childInfo writes why RECURSIVEMATCH shows a name (RFC 5258 §3.5).
func (c *conn) childInfo(wanted bool) func() {
	if !wanted {
		return nil
	}
	return func() { c.enc.Atom(`("CHILDINFO" ("SUBSCRIBED"))`) }
}

// listLine writes one line of LIST or LSUB; extended, if there is one, writes
// what follows the name.
func (c *conn) listLine(verb string, attrs []string, name string, extended func()) {
	c.enc.Untagged()
	c.enc.Atom(verb)
	c.enc.Flags(attrs)
	c.enc.Text(string(imap.Delimiter))
	if name == "" {
		c.enc.Text("")
	} else {
		c.enc.Mailbox(name)
	}
	if extended != nil {
		extended()
	}
	c.enc.End()
}
