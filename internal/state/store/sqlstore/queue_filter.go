package sqlstore

import (
	"net/netip"
	"strings"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/store"
)

// condition is a part of a WHERE and its parameters. Only what a filter asks
// for stands in the text, so that an engine plans for that and nothing else;
// there are few such texts.
type condition struct {
	text string
	args []any
}

func (c condition) and(text string, args ...any) condition {
	return condition{c.text + ` AND ` + text, append(c.args[:len(c.args):len(c.args)], args...)}
}

// within puts the condition into a statement; the parameters come after its own.
func (c condition) within(before, after string, args ...any) condition {
	return condition{before + c.text + after, append(c.args[:len(c.args):len(c.args)], args...)}
}

// of is a statement about one message's recipients that match; the parameters
// given come first.
func (c condition) of(id ident.ID, statement string, args ...any) condition {
	return condition{statement + ` WHERE queue_id = ? AND ` + c.text, append(append(args, id[:]), c.args...)}
}

// recipientsOf is what a filter asks of a recipient.
func recipientsOf(f *store.QueueFilter) condition {
	c := condition{text: stateOf(f)}
	if f.Recipient != "" {
		to := strings.ToLower(f.Recipient)
		c = c.and(`(address_key = ? OR domain = ?)`, to, to)
	}
	if f.Destination != "" {
		c = c.goes(f.Destination)
	}
	return c
}

// goes asks for the recipients that last went a way: their route with and
// without the rule that chose it, a host of it with and without its port, or who
// answered there. What the rule is called does not count.
func (c condition) goes(destination string) condition {
	const way, who = `' ' || REPLACE(LOWER(route), ',', ' ') || ' '`, `' ' || LOWER(last_host) || ' '`
	name := strings.ReplaceAll(likely(destination), ",", " ")
	host, answered := name, name
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		host, answered = addr.String(), "["+addr.String()+"]"
		if addr.Is6() {
			host = answered
		}
	}
	return c.and(`(`+way+` LIKE ? ESCAPE '!' AND `+way+` NOT LIKE ? ESCAPE '!' OR `+way+` LIKE ? ESCAPE '!' AND `+way+` NOT LIKE ? ESCAPE '!' OR `+who+` LIKE ? ESCAPE '!')`,
		"% "+name+" %", "% (% "+name+" %", "% "+host+":%", "% (% "+host+":%", "% "+answered+" %")
}

// stateOf is a text without parameters, so that the partial indexes of the few
// on hold and in quarantine serve it. The one of those that are queued must not:
// it is in another order.
func stateOf(f *store.QueueFilter) string {
	switch {
	case f.State == nil:
		return `state < 2`
	case *f.State == store.Queued:
		return `state < 1`
	case *f.State == store.Held:
		return `state = 1`
	}
	return `state = 2`
}

// senderOf is what a filter asks of a message.
func senderOf(f *store.QueueFilter) condition {
	from := strings.ToLower(f.Sender)
	if at := strings.LastIndexByte(from, '@'); at >= 0 {
		return condition{`q.sender_domain = ? AND q.sender_key = ?`, []any{from[at+1:], from}}
	}
	if !strings.ContainsAny(from, ".:") { // may be the bare postmaster
		return condition{`(q.sender_domain = ? OR q.sender_domain = '' AND q.sender_key = ?)`, []any{from, from}}
	}
	return condition{`q.sender_domain = ?`, []any{from}}
}

// manyOf is from how many messages of a sender on other conditions lead to the
// messages faster.
const manyOf = 1000

// found reads the ids of the next messages that match.
func found(t tx, f *store.QueueFilter, most int) (ids []ident.ID, err error) {
	bySender := f.Sender != "" && (f.State == nil || *f.State == store.Queued)
	if bySender && (f.Recipient != "" || f.Destination != "") {
		c, n := senderOf(f).within(`SELECT COUNT(*) FROM (SELECT 1 FROM queue q WHERE `, ` LIMIT ?) counted`, manyOf), int64(0)
		if _, err := one(t, c.text, c.args, func(r row) error { n = r.int(0); return nil }); err != nil {
			return nil, err
		}
		bySender = n < manyOf
	}
	c := finding(f, bySender, most)
	err = walk(t, c.text, c.args, func(r row) error { ids = append(ids, ident.ID(r.bytes(0))); return nil })
	return ids, err
}

// finding is the query for the next messages that match: a walk in the order of
// ids, which ends once there are enough. It goes along the index of the sender,
// or of all recipients, or of the few that do not simply wait. The other table is
// asked row by row; EXISTS would let PostgreSQL join the two first.
func finding(f *store.QueueFilter, bySender bool, most int) condition {
	at, id := `>`, f.After
	if !f.ID.IsZero() {
		at, id = `=`, f.ID
	}
	match := recipientsOf(f)
	if bySender {
		return senderOf(f).and(`q.id `+at+` ?`, id[:]).
			and(`(SELECT 1 FROM queue_recipient WHERE queue_id = q.id AND `+match.text+` LIMIT 1) = 1`, match.args...).
			within(`SELECT q.id FROM queue q WHERE `, ` ORDER BY q.id LIMIT ?`, most)
	}
	match = match.and(`queue_id `+at+` ?`, id[:])
	if f.Sender != "" {
		from := senderOf(f)
		match = match.and(`(SELECT 1 FROM queue q WHERE q.id = queue_id AND `+from.text+`) = 1`, from.args...)
	}
	return match.within(`SELECT DISTINCT queue_id FROM queue_recipient WHERE `, ` ORDER BY queue_id LIMIT ?`, most)
}
