package imapd

import (
	"cmp"
	"slices"
)

// byReferences threads messages by their References and In-Reply-To fields
// (RFC 5256 §3, REFERENCES). The steps are numbered as there.
func byReferences(t *timer, letters []*letter) []*node {
	roots := sortNodes(t, prune(t, link(t, letters)))
	return sortNodes(t, gather(roots))
}

// link is steps 1 and 2: the tree that the identifiers make. Children are
// listed when all parents are known, since a parent may change.
func link(t *timer, letters []*letter) []*node {
	byID := make(map[uint64]*node, len(letters))
	all := make([]*node, 0, len(letters))
	var room []node // for new ones
	fresh := func() *node {
		if len(room) == 0 {
			room = make([]node, 256)
		}
		n := &room[0]
		room = room[1:]
		all = append(all, n)
		return n
	}
	place := func(id uint64) *node {
		n := byID[id]
		if n == nil {
			n = fresh()
			byID[id] = n
		}
		return n
	}
	for _, l := range letters {
		var n *node
		if l.id != 0 {
			n = place(l.id)
		}
		if n == nil || n.letter != nil { // no identifier, or one that is taken
			n = fresh()
		}
		n.letter = l
		var above *node
		for _, id := range l.refs {
			if t.over() {
				return nil
			}
			next := place(id)
			if above != nil && next.parent == nil {
				above.adopt(t, next)
			}
			above = next
		}
		if above != nil && above != n.parent {
			n.parent = nil
			above.adopt(t, n)
		}
	}
	for _, n := range all {
		if n.parent != nil {
			n.parent.children = append(n.parent.children, n)
		}
	}
	return slices.DeleteFunc(all, func(n *node) bool { return n.parent != nil })
}

// adopt makes n the parent of child unless that would close a circle. Long
// chains make the way to the top long, so it is timed.
func (n *node) adopt(t *timer, child *node) {
	if n == child {
		return
	}
	if child.adopted {
		for up := n; up != nil; up = up.parent {
			if up == child || t.over() {
				return
			}
		}
	}
	child.parent, n.adopted = n, true
}

// prune is step 3: places without a message go, their children take their
// place, except that a place at the top keeps several children together.
func prune(t *timer, roots []*node) []*node {
	for _, n := range below(roots) {
		if n.letter != nil {
			n.children = nearest(t, n.children)
		}
	}
	var out []*node
	for _, n := range roots {
		if n.letter == nil {
			if n.children = nearest(t, n.children); len(n.children) < 2 {
				out = append(out, n.children...)
				continue
			}
		}
		out = append(out, n)
	}
	return out
}

// nearest returns the messages of a list, and those that only places keep from
// being in it. Each place is passed once, however many lie between two messages.
func nearest(t *timer, list []*node) []*node {
	var out []*node
	for rest := slices.Clone(list); len(rest) > 0 && !t.over(); {
		n := rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		if n.letter != nil {
			out = append(out, n)
		} else {
			rest = append(rest, n.children...)
		}
	}
	return out
}

// below returns all nodes of the trees, children before their parents.
func below(roots []*node) []*node {
	order := slices.Clone(roots)
	for i := 0; i < len(order); i++ {
		order = append(order, order[i].children...)
	}
	slices.Reverse(order)
	return order
}

// sortNodes is steps 4 and 6: siblings in the order they were sent; a place
// counts as its first child.
func sortNodes(t *timer, roots []*node) []*node {
	for _, n := range below(roots) {
		sortSiblings(t, n.children)
	}
	sortSiblings(t, roots)
	return roots
}

func sortSiblings(t *timer, list []*node) {
	sortTimed(t, list, func(a, b *node) int {
		x, y := a.first(), b.first()
		return cmp.Or(cmp.Compare(x.sent, y.sent), cmp.Compare(x.index, y.index))
	})
}

// first is the message of a node, or of the first below it. No place is
// without one after prune.
func (n *node) first() *letter {
	for n.letter == nil {
		n = n.children[0]
	}
	return n.letter
}

// gather is step 5: threads with the same subject become one.
func gather(roots []*node) []*node {
	table := map[string]*node{}
	for _, n := range roots {
		subject := n.first().subject
		if subject == "" {
			continue
		}
		have := table[subject]
		if have == nil || have.letter != nil && n.letter == nil ||
			have.letter != nil && n.letter != nil && have.letter.reply && !n.letter.reply {
			table[subject] = n
		}
	}
	var out []*node
	moved := map[*node]bool{}
	for _, n := range roots {
		if have := table[n.first().subject]; have != nil && have != n {
			have.merge(n)
			moved[n] = true
		}
	}
	for _, n := range roots {
		if !moved[n] {
			out = append(out, n)
		}
	}
	return out
}

// merge puts the thread other under or beside n, which may become a place.
func (n *node) merge(other *node) {
	switch {
	case n.letter == nil && other.letter == nil:
		n.children = append(n.children, other.children...)
	case n.letter == nil:
		n.children = append(n.children, other)
	case other.letter != nil && other.letter.reply && !n.letter.reply:
		n.children = append(n.children, other)
	default: // both side by side in a new place, which is n
		old := *n
		*n = node{children: []*node{&old, other}}
	}
}
