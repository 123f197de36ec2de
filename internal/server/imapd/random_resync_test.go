package imapd

import (
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// memory is what a client keeps of a mailbox it has left.
type memory struct {
	validity, modSeq uint64
	messages         map[store.UID]told
}

// move leaves the mailbox for another and comes back to it as its kind of
// client does: by asking for everything, or only for what it missed.
func (a *actor) move(place string) error {
	if err := a.leave(); err != nil {
		return err
	}
	a.place, a.earlier = place, nil
	m := a.memory[place]
	switch {
	case m != nil && a.qresync && m.modSeq > 0 && len(m.messages) > 0:
		return a.resync(m)
	case m != nil && a.condStore && m.modSeq > 0:
		return a.catchUp(m)
	}
	if err := a.selects(""); err != nil {
		return err
	}
	return a.learn()
}

// leave remembers the mailbox. After NOOP everything up to the greatest
// mod-sequence that was told has been told; after FETCH it need not be, for
// expunges wait there (RFC 9051 §7.5.1).
func (a *actor) leave() error {
	for {
		if err := a.learn(); err != nil {
			return err
		}
		if r, _, err := a.do("NOOP"); err != nil || !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("NOOP: %s %v", r, err)
		}
		if !slices.ContainsFunc(a.box, func(t told) bool { return t.uid == 0 || !t.known }) {
			break
		}
	}
	m := &memory{validity: a.validity, modSeq: a.highest, messages: map[store.UID]told{}}
	for _, t := range a.box {
		m.messages[t.uid] = t
		m.modSeq = max(m.modSeq, t.modSeq)
	}
	a.memory[a.place] = m
	switch a.r.IntN(3) {
	case 0:
		return nil // SELECT will close it
	case 1:
		if r, _, err := a.do("UNSELECT"); err != nil || !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("UNSELECT: %s %v", r, err)
		}
	default: // CLOSE expunges what is \Deleted, which a resync tells then
		if r, _, err := a.do("CLOSE"); err != nil || !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("CLOSE: %s %v", r, err)
		}
	}
	a.box = nil
	return nil
}

func (a *actor) selects(parameters string) error {
	verb := "SELECT"
	r, _, err := a.do("%s %s%s", verb, a.place, parameters)
	a.log = append(a.log, fmt.Sprintf("%s: %s %s%s -> %s", a.name, verb, a.place, parameters, r))
	if err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("%s %s%s: %s %v", verb, a.place, parameters, r, err)
	}
	return nil
}

// resync is SELECT with QRESYNC (RFC 7162 §3.2.5): afterwards the client
// knows all flags though it was told only those that changed.
func (a *actor) resync(m *memory) error {
	var known imap.SeqSet
	for _, uid := range sortedUIDs(m) {
		known.Add(uint32(uid))
	}
	set := ""
	if a.r.IntN(2) == 0 {
		set = " " + string(known.Append(nil))
	}
	if err := a.selects(fmt.Sprintf(" (QRESYNC (%d %d%s))", m.validity, m.modSeq, set)); err != nil {
		return err
	}
	there := len(a.box)
	if set != "" {
		there = 0 // of UIDs that were not named nothing is told; those are asked for
	}
	if err := a.remember(m, there); err != nil {
		return err
	}
	return a.vanishedAreAll(m)
}

// catchUp is the same with CONDSTORE alone (RFC 7162 §6): the flags that
// changed, and the UIDs of what is there.
func (a *actor) catchUp(m *memory) error {
	if err := a.selects(" (CONDSTORE)"); err != nil {
		return err
	}
	there := len(a.box)
	a.kept = true
	r, _, err := a.do("FETCH 1:* (UID FLAGS) (CHANGEDSINCE %d)", m.modSeq)
	a.kept = false
	if there == 0 && strings.HasPrefix(r, "BAD") {
		return a.learn() // there was no message 1
	}
	if err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("FETCH CHANGEDSINCE: %s %v", r, err)
	}
	return a.remember(m, there)
}

// remember fills in what the client was not told because it knows it. Of the
// first messages, as many as there were, it should have been told otherwise.
func (a *actor) remember(m *memory, there int) error {
	if len(a.box) > 0 {
		a.kept = true
		r, _, err := a.do("FETCH 1:* (UID)")
		a.kept = false
		if err != nil || !strings.HasPrefix(r, "OK") {
			return fmt.Errorf("FETCH UID: %s %v", r, err)
		}
	}
	for i := range a.box {
		t := &a.box[i]
		if t.uid == 0 || t.known {
			continue
		}
		old, ok := m.messages[t.uid]
		switch {
		case !ok && i >= there:
			continue
		case !ok:
			return fmt.Errorf("client %s was not told of the new message %d", a.name, t.uid)
		}
		t.flags, t.modSeq, t.known = old.flags, max(old.modSeq, t.modSeq), true
	}
	return a.learn()
}

// vanishedAreAll: whatever the client knew is there, or was told to be gone.
func (a *actor) vanishedAreAll(m *memory) error {
	for _, uid := range sortedUIDs(m) {
		there := slices.ContainsFunc(a.box, func(t told) bool { return t.uid == uid })
		told := slices.ContainsFunc(a.earlier, func(s imap.SeqSet) bool { return s.Contains(uint32(uid), 1<<31) })
		if !there && !told {
			return fmt.Errorf("client %s was not told that %d vanished", a.name, uid)
		}
	}
	return nil
}

func sortedUIDs(m *memory) []store.UID {
	uids := make([]store.UID, 0, len(m.messages))
	for uid := range m.messages {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids
}
