package imapd

import (
	"cmp"
	"context"

	"posthorn/internal/wire/imap"
)

// node is a message in a thread, or the place of one that is not there.
type node struct {
	letter   *letter // nil: a place only
	parent   *node
	adopted  bool // has, or had, children
	children []*node
}

// runThread is THREAD and UID THREAD (RFC 5256).
func runThread(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Thread()
	if err != nil {
		return failed(err)
	}
	arrange := map[string]func(*timer, []*letter) []*node{"REFERENCES": byReferences, "ORDEREDSUBJECT": bySubject}[arg.Algorithm]
	if arrange == nil {
		return imap.Response{Status: imap.BAD, Text: "Threading algorithm is not offered"}
	}
	v := c.session.view
	ctx, cancel := context.WithTimeout(ctx, c.set.SearchTime)
	defer cancel()
	found, err := v.search(ctx, &arg.Key)
	if err != nil {
		return failed(err)
	}
	letters, err := v.letters(ctx, found, true)
	if err != nil {
		return failed(err)
	}
	t := timer{ctx: ctx}
	roots := arrange(&t, letters)
	if t.err != nil {
		return failed(t.err)
	}
	enc := c.enc
	enc.Untagged()
	enc.Atom("THREAD")
	if len(roots) > 0 {
		enc.Appended(func(b []byte) []byte { return b }) // the space before the first
		enc.Join()
	}
	writeThreads(enc, roots, cmd.UID)
	enc.End()
	return completed("THREAD")
}

// bySubject makes a thread of all messages with one subject: the oldest, and
// the others below it (RFC 5256 §3, ORDEREDSUBJECT).
func bySubject(t *timer, letters []*letter) []*node {
	sortTimed(t, letters, func(a, b *letter) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.index, b.index)) })
	var roots []*node
	first := map[string]*node{}
	for _, l := range letters {
		n := &node{letter: l}
		if root := first[l.subject]; root != nil {
			root.children = append(root.children, n)
			continue
		}
		first[l.subject] = n
		roots = append(roots, n)
	}
	return roots
}

// writeThreads writes "(1 2 (3)(4 5))" for each. It keeps a stack of its own,
// because how deep threads are is up to whoever writes messages.
func writeThreads(enc *imap.Encoder, roots []*node, uid bool) {
	type level struct{ rest []*node }
	stack := []level{{roots}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.rest) == 0 {
			stack = stack[:len(stack)-1]
			if len(stack) > 0 {
				enc.Close()
				enc.Join()
			}
			continue
		}
		n := top.rest[0]
		top.rest = top.rest[1:]
		enc.Open()
		for {
			if n.letter != nil {
				enc.Number(uint64(n.letter.number(uid)))
			}
			if len(n.children) != 1 {
				break
			}
			n = n.children[0]
		}
		if n.letter != nil && len(n.children) > 0 {
			enc.Appended(func(b []byte) []byte { return b })
			enc.Join()
		}
		stack = append(stack, level{n.children})
	}
}
