package storetest

import (
	"fmt"
	"slices"

	"posthorn/internal/state/store"
)

var mailboxTests = []test{
	{name: "ANewAccountHasOneForEachRole", run: newAccountMailboxes},
	{name: "CreateMakesParents", run: createParents},
	{name: "RenameTakesChildrenAlong", run: renameChildren},
	{name: "RenameIsAllOrNothing", run: renameRefused},
	{name: "RenameOfInboxMovesItsMessages", run: renameInbox},
	{name: "DeleteRemovesMessagesAndKeepsChildren", run: deleteMailbox},
	{name: "SubscriptionsOutliveMailboxes", run: subscriptions},
	{name: "CountsEqualARecount", run: countsAfterEverything},
	{name: "ManyAreMadeTogether", run: mailboxesTogether},
}

func names(list []store.Mailbox) []string {
	var out []string
	for _, b := range list {
		out = append(out, b.Name)
	}
	return out
}

// names lists the mailboxes of an account but those of roles.
func (e *env) names(a store.Account) []string {
	e.t.Helper()
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	return names(slices.DeleteFunc(list, func(b store.Mailbox) bool { return b.Role != store.RoleNone }))
}

func newAccountMailboxes(e *env) {
	a := e.account()
	list, err := a.Mailboxes(e.ctx)
	e.must(err)
	if got := fmt.Sprint(names(list)); got != "[Archive Drafts INBOX Junk Sent Trash]" {
		e.t.Errorf("mailboxes %s", got)
	}
	for _, b := range list {
		if b.Role.Name() != b.Name || b.UIDNext != 1 || b.UIDValidity == 0 || b.HighestModSeq == 0 || !b.Subscribed {
			e.t.Errorf("new mailbox %+v", b)
		}
		one, err := a.Mailbox(e.ctx, b.ID)
		if err != nil || fmt.Sprint(trim(one)) != fmt.Sprint(trim(b)) {
			e.t.Errorf("Mailbox says %+v (%v), Mailboxes %+v", one, err, b)
		}
	}
	for _, name := range []string{"INBOX", "inbox", "iNbOx"} {
		if b := e.box(a, name); b.Name != "INBOX" || b.Role != store.RoleInbox {
			e.t.Errorf("%s finds %+v", name, b)
		}
	}
	_, err = a.FindMailbox(e.ctx, "archive")
	e.wants(err, store.ErrNotFound, "other names know case")
	_, err = a.Mailbox(e.ctx, 1_000_000)
	e.wants(err, store.ErrNotFound, "Mailbox of no id")
	e.verify(a)
}

func createParents(e *env) {
	a := e.account()
	b := e.create(a, "Work/2024/März")
	if b.Name != "Work/2024/März" || b.UIDNext != 1 || b.Messages != 0 || b.ID == 0 {
		e.t.Errorf("created %+v", b)
	}
	e.create(a, "Work/2025")
	if got := fmt.Sprint(e.names(a)); got != "[Work Work/2024 Work/2024/März Work/2025]" {
		e.t.Errorf("mailboxes %s", got)
	}
	for _, name := range []string{"Work", "Work/2024/März", "inbox", "Archive"} {
		before := e.state(a)
		_, err := a.CreateMailbox(e.ctx, name, store.RoleNone)
		e.wants(err, store.ErrExists, "create %s again", name)
		e.unchanged(a, before)
	}
	if c := e.create(a, "inbox/Sub"); c.Name != "INBOX/Sub" {
		e.t.Errorf("below INBOX: %+v", c)
	}
	e.verify(a)
}

func renameChildren(e *env) {
	a := e.account()
	list := map[string]store.Mailbox{}
	for _, name := range []string{"A", "A/B", "A/B/C", "A B", "A.B", "A0", "Ab", "X/A/B"} {
		if b, err := a.FindMailbox(e.ctx, name); err == nil {
			list[name] = b
			continue
		}
		list[name] = e.create(a, name)
	}
	f := e.file(a, "text", into(list["A/B"].ID))
	e.must(a.RenameMailbox(e.ctx, list["A"].ID, "Neu/Ä"))
	if got := fmt.Sprintf("%q", e.names(a)); got != `["A B" "A.B" "A0" "Ab" "Neu" "Neu/Ä" "Neu/Ä/B" "Neu/Ä/B/C" "X" "X/A" "X/A/B"]` {
		e.t.Errorf("mailboxes %s", got)
	}
	for old, name := range map[string]string{"A": "Neu/Ä", "A/B": "Neu/Ä/B", "A/B/C": "Neu/Ä/B/C", "A0": "A0"} {
		b := e.box(a, name)
		if b.ID != list[old].ID || b.UIDValidity != list[old].UIDValidity {
			e.t.Errorf("%s was %+v, is %+v", old, list[old], b)
		}
	}
	x := e.index(a, list["A/B"].ID)
	if len(x.Entries) != 1 || x.Entries[0].UID != f.UID || e.octets(a, x.Entries[0].Message) != "text" {
		e.t.Errorf("index after renaming %+v", x)
	}
	// The name is free again, also for a mailbox that is not the same.
	if again := e.create(a, "A/B"); again.ID == list["A/B"].ID || again.UIDValidity == list["A/B"].UIDValidity {
		e.t.Errorf("made again %+v, was %+v", again, list["A/B"])
	}
	e.verify(a)
}

func renameRefused(e *env) {
	a := e.account()
	one, two := e.create(a, "One/Sub"), e.create(a, "Two/Sub")
	parent := e.box(a, "One")
	before := e.state(a)
	for _, c := range []struct {
		id   store.MailboxID
		name string
		want error
	}{
		{one.ID, "Two/Sub", store.ErrExists},
		{one.ID, "inbox", store.ErrExists},
		{parent.ID, "Two", store.ErrExists},
		{parent.ID, "One/Sub/Below", store.ErrInvalid},
		{two.ID, "", store.ErrInvalid},
		{two.ID, "Two//Sub", store.ErrInvalid},
		{1_000_000, "Free", store.ErrNotFound},
	} {
		e.wants(a.RenameMailbox(e.ctx, c.id, c.name), c.want, "rename %d to %q", c.id, c.name)
		e.unchanged(a, before)
	}
}

func renameInbox(e *env) {
	a := e.account()
	old := e.box(a, "INBOX")
	e.create(a, "INBOX/Child")
	for i := range 5 {
		f := inbox()
		f.Keywords = []string{fmt.Sprint("$k", i%2)}
		e.file(a, fmt.Sprint("text ", i), f)
	}
	was := e.index(a, old.ID)
	e.must(a.RenameMailbox(e.ctx, old.ID, "Old/Mail"))
	now, to := e.index(a, old.ID), e.index(a, e.box(a, "Old/Mail").ID)
	if now.Mailbox.Name != "INBOX" || now.Mailbox.Role != store.RoleInbox || len(now.Entries) != 0 || now.Mailbox.UIDNext != was.Mailbox.UIDNext ||
		now.Mailbox.UIDValidity != old.UIDValidity {
		e.t.Errorf("INBOX is %+v", now)
	}
	if len(to.Entries) != 5 || to.Mailbox.Role != store.RoleNone {
		e.t.Fatalf("moved to %+v", to)
	}
	for i, m := range to.Entries {
		if m.Message != was.Entries[i].Message || m.Internal != was.Entries[i].Internal ||
			fmt.Sprint(flagNames(m.Flags, to.Mailbox.Keywords)) != fmt.Sprintf("[$k%d]", i%2) {
			e.t.Errorf("message %d: %+v, was %+v", i, m, was.Entries[i])
		}
	}
	if got := fmt.Sprint(e.names(a)); got != "[INBOX/Child Old Old/Mail]" {
		e.t.Errorf("mailboxes %s", got)
	}
	if f := e.file(a, "new", inbox()); f.Mailbox != old.ID || f.UID != was.Mailbox.UIDNext {
		e.t.Errorf("a new message went to %+v", f)
	}
	before := e.state(a)
	e.wants(a.RenameMailbox(e.ctx, old.ID, "Old/Mail"), store.ErrExists, "rename INBOX to what is there")
	e.unchanged(a, before)
}

func deleteMailbox(e *env) {
	a := e.account()
	inboxID := e.box(a, "INBOX").ID
	parent, child := e.create(a, "P"), e.create(a, "P/C")
	body := string(fill(30_000, 1))
	kept := e.file(a, body, into(parent.ID))
	_, err := a.Copy(e.ctx, parent.ID, all(), inboxID)
	e.must(err)
	lost := e.file(a, body, into(parent.ID))
	e.must(a.DeleteMailbox(e.ctx, parent.ID))
	_, err = a.Mailbox(e.ctx, parent.ID)
	e.wants(err, store.ErrNotFound, "deleted mailbox")
	e.wants(a.DeleteMailbox(e.ctx, parent.ID), store.ErrNotFound, "delete it again")
	if c, err := a.ChangesSince(e.ctx, parent.ID, store.Cursor{UIDNext: 3, ModSeq: lost.ModSeq}); err != nil || !c.Gone {
		e.t.Errorf("changes of a deleted mailbox: %+v, %v", c, err)
	}
	if b := e.box(a, "P/C"); b.ID != child.ID {
		e.t.Errorf("the child is %+v", b)
	}
	if text := e.octets(a, kept.Message); text != body {
		e.t.Error("a copy elsewhere lost its body")
	}
	e.wants(a.DeleteMailbox(e.ctx, inboxID), store.ErrInvalid, "delete INBOX")
	if u, err := a.Usage(e.ctx); err != nil || u.Messages != 1 || u.Bytes != int64(len(body)) {
		e.t.Errorf("usage %+v, %v", u, err)
	}
	e.verify(a)
	e.eventually("the body of a message in a deleted mailbox goes", func() bool {
		_, err := a.OpenBody(e.ctx, lost.Message)
		return err != nil
	})
	if text := e.octets(a, kept.Message); text != body {
		e.t.Error("a copy elsewhere lost its body later")
	}
	e.verify(a)
}

func subscriptions(e *env) {
	a := e.account()
	b := e.create(a, "List")
	if b.Subscribed {
		e.t.Error("a new mailbox is subscribed")
	}
	e.must(a.SetSubscribed(e.ctx, "List", true))
	e.must(a.SetSubscribed(e.ctx, "List", true))
	e.must(a.SetSubscribed(e.ctx, "Nowhere/Land", true))
	e.must(a.SetSubscribed(e.ctx, "Archive", false))
	e.must(a.SetSubscribed(e.ctx, "Unknown", false))
	e.must(a.SetSubscribed(e.ctx, "inbox", true))
	e.must(a.DeleteMailbox(e.ctx, b.ID))
	got, err := a.Subscriptions(e.ctx)
	if want := "[Drafts INBOX Junk List Nowhere/Land Sent Trash]"; err != nil || fmt.Sprint(got) != want {
		e.t.Errorf("subscriptions %v %v, want %s", got, err, want)
	}
	if b := e.create(a, "List"); !b.Subscribed {
		e.t.Error("a mailbox made again is not subscribed")
	}
	if !e.box(a, "INBOX").Subscribed || e.box(a, "Archive").Subscribed {
		e.t.Error("Subscribed differs from Subscriptions")
	}
	e.verify(a)
}

func countsAfterEverything(e *env) {
	a := e.account()
	in, to := e.box(a, "INBOX").ID, e.create(a, "To").ID
	e.fileMany(a, in, 200)
	steps := []func() error{
		func() error {
			_, err := a.SetFlags(e.ctx, in, store.FlagUpdate{UIDs: []store.UIDRange{{First: 10, Last: 90}}, Op: store.FlagsAdd, Flags: store.FlagSeen | store.FlagDeleted})
			return err
		},
		func() error {
			_, err := a.Copy(e.ctx, in, []store.UIDRange{{First: 50, Last: 150}}, to)
			return err
		},
		func() error {
			_, err := a.Move(e.ctx, in, []store.UIDRange{{First: 80, Last: 100}}, to)
			return err
		},
		func() error { _, _, err := a.Expunge(e.ctx, in, all(), true); return err },
		func() error {
			_, err := a.SetFlags(e.ctx, to, store.FlagUpdate{UIDs: all(), Op: store.FlagsReplace, Flags: store.FlagAnswered})
			return err
		},
		func() error {
			_, _, err := a.Expunge(e.ctx, to, []store.UIDRange{{First: 5, Last: 100}}, false)
			return err
		},
	}
	for i, step := range steps {
		if err := step(); err != nil {
			e.t.Fatalf("step %d: %v", i, err)
		}
		e.verify(a)
	}
}

func mailboxesTogether(e *env) {
	a := e.account()
	each := e.o.size(2, 5, 50)
	made := make([]int, 8)
	e.must(together(len(made), func(i int) error {
		for n := range each {
			if _, err := a.CreateMailbox(e.ctx, fmt.Sprintf("Shared/%d/Own %d", n, i), store.RoleNone); err != nil {
				return err
			}
			if _, err := a.CreateMailbox(e.ctx, fmt.Sprintf("Race/%d", n), store.RoleNone); err == nil {
				made[i]++
			}
		}
		return nil
	}))
	sum := 0
	for _, n := range made {
		sum += n
	}
	if sum != each {
		e.t.Errorf("%d of %d contested mailboxes were made", sum, each)
	}
	e.verify(a)
}
