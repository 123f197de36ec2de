package storetest

import (
	"maps"
	"slices"
	"strings"

	"posthorn/internal/state/store"
)

// modelAccount is an account as the contract describes it, in the simplest
// form there is.
type modelAccount struct {
	handle                    store.Account
	boxes                     []*modelBox
	subscribed                map[string]bool
	limitBytes, limitMessages int64
}

type modelBox struct {
	id       store.MailboxID
	name     string
	role     store.Role
	validity uint32
	next     store.UID
	recent   store.UID
	modSeq   store.ModSeq // when it was looked at last
	changed  bool         // since then
	messages []modelMessage
	// old is what somebody knows who has not looked for a while.
	old *mirror
}

type modelMessage struct {
	uid      store.UID
	modSeq   store.ModSeq    // when it was looked at last
	flags    map[string]bool // keywords in lower case
	internal int64
	body     string
	id       store.MessageID
	changed  bool // since it was looked at last
}

// flagSet is the form in which the model keeps flags.
func flagSet(f store.Flags, keywords []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range flagNames(f&store.SystemFlags, nil) {
		set[name] = true
	}
	for _, name := range keywords {
		set[strings.ToLower(name)] = true
	}
	return set
}

func (a *modelAccount) usage() (bytes, messages int64) {
	for _, b := range a.boxes {
		for _, m := range b.messages {
			bytes += int64(len(m.body))
			messages++
		}
	}
	return bytes, messages
}

// fits says what adding so much leads to.
func (a *modelAccount) fits(bytes, messages int64) error {
	haveBytes, have := a.usage()
	if a.limitBytes > 0 && haveBytes+bytes > a.limitBytes || a.limitMessages > 0 && have+messages > a.limitMessages {
		return store.ErrOverQuota
	}
	return nil
}

func (a *modelAccount) named(name string) *modelBox {
	for _, b := range a.boxes {
		if b.name == name {
			return b
		}
	}
	return nil
}

func (a *modelAccount) withRole(role store.Role) *modelBox {
	for _, b := range a.boxes {
		if b.role == role {
			return b
		}
	}
	return nil
}

// file adds a message under the next UID.
func (b *modelBox) file(m modelMessage) store.UID {
	m.uid, m.changed, m.modSeq = b.next, true, 0
	b.next++
	b.changed = true
	b.messages = append(b.messages, m)
	return m.uid
}

// pick returns the positions of messages in the ranges.
func (b *modelBox) pick(uids []store.UIDRange) []int {
	var list []int
	for i, m := range b.messages {
		if slices.ContainsFunc(uids, func(r store.UIDRange) bool { return r.First <= m.uid && m.uid <= r.Last }) {
			list = append(list, i)
		}
	}
	return list
}

// take removes messages and returns them.
func (b *modelBox) take(positions []int) []modelMessage {
	var taken []modelMessage
	for _, i := range positions {
		taken = append(taken, b.messages[i])
	}
	b.messages = slices.DeleteFunc(b.messages, func(m modelMessage) bool {
		return slices.ContainsFunc(taken, func(t modelMessage) bool { return t.uid == m.uid })
	})
	b.changed = b.changed || len(taken) > 0
	return taken
}

// update changes flags and returns the UIDs changed and skipped.
func (b *modelBox) update(u store.FlagUpdate) (changed, modified []store.UID) {
	asked := flagSet(u.Flags, u.Keywords)
	for _, i := range b.pick(u.UIDs) {
		m := &b.messages[i]
		if u.HasUnchangedSince && m.modSeq > u.UnchangedSince {
			modified = append(modified, m.uid)
			continue
		}
		flags := maps.Clone(m.flags)
		switch u.Op {
		case store.FlagsReplace:
			flags = maps.Clone(asked)
		case store.FlagsAdd:
			maps.Copy(flags, asked)
		case store.FlagsRemove:
			maps.DeleteFunc(flags, func(name string, _ bool) bool { return asked[name] })
		}
		if maps.Equal(flags, m.flags) {
			continue
		}
		m.flags, m.changed, b.changed = flags, true, true
		changed = append(changed, m.uid)
	}
	return changed, modified
}

// transfer copies or moves and returns old and new UIDs.
func (a *modelAccount) transfer(from *modelBox, uids []store.UIDRange, to *modelBox, move bool) (old, new []store.UID, err error) {
	positions := from.pick(uids)
	var list []modelMessage
	var bytes int64
	for _, i := range positions {
		m := from.messages[i]
		m.flags = maps.Clone(m.flags)
		list = append(list, m)
		bytes += int64(len(m.body))
	}
	if !move {
		if err := a.fits(bytes, int64(len(list))); err != nil && len(list) > 0 {
			return nil, nil, err
		}
	} else {
		from.take(positions)
	}
	for _, m := range list {
		old = append(old, m.uid)
		new = append(new, to.file(m))
	}
	return old, new, nil
}

// rename gives a mailbox and its children new names, or INBOX's messages a new
// mailbox; made are the mailboxes that come into being by it.
func (a *modelAccount) rename(b *modelBox, name string) (made []string, err error) {
	inbox := b.name == "INBOX"
	if !inbox && (name == b.name || strings.HasPrefix(name, b.name+"/")) {
		return nil, store.ErrInvalid
	}
	if a.named(name) != nil {
		return nil, store.ErrExists
	}
	made = a.missingParents(name)
	if inbox {
		return append(made, name), nil
	}
	old := b.name
	for _, c := range a.boxes {
		if c == b || strings.HasPrefix(c.name, old+"/") {
			c.name = name + strings.TrimPrefix(c.name, old)
		}
	}
	return made, nil
}

func (a *modelAccount) missingParents(name string) []string {
	var list []string
	for i, c := range name {
		if c == '/' && a.named(name[:i]) == nil {
			list = append(list, name[:i])
		}
	}
	return list
}
