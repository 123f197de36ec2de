package storetest

import (
	"slices"
	"time"

	"posthorn/internal/state/store"
)

var retireTests = []test{
	{name: "RetiredMailIsMarkedAndGoesInTime", run: retireGoes},
	{name: "OnlyRetiredMailGoes", run: retireOnly},
	{name: "ARestoredMessageStays", run: retireRestored},
	{name: "WithoutATrashOneIsMade", run: retireWithoutTrash},
	{name: "WithoutRoomForTheKeywordTheMailStays", run: retireUnmarked},
	{name: "MailboxesAndAccountsThatWentAreNoObstacle", run: retireGone},
	{name: "PurgeTakesManyAccounts", run: retireMany},
	{name: "SaveDatesSayWhenAMessageCame", run: saveDates},
}

// purge runs until nothing is left to purge, and counts.
func (e *env) purge() int {
	e.t.Helper()
	n := 0
	for {
		removed, more, err := e.s.Purge(e.ctx)
		e.must(err)
		if n += removed; !more {
			return n
		}
	}
}

// retire retires messages of INBOX for the time of a lease.
func (e *env) retire(a store.Account, uids ...store.UID) store.CopyResult {
	e.t.Helper()
	r, err := a.Retire(e.ctx, e.box(a, "INBOX").ID, only(uids...), time.Now().Add(e.lease()))
	e.must(err)
	return r
}

func (e *env) outwait() { e.pass(e.lease() + 50*time.Millisecond) }

func retireGoes(e *env) {
	a := e.account()
	from := e.marked(a, 4)
	r := e.retire(a, 2, 4)
	trash := e.index(a, e.box(a, "Trash").ID)
	if !slices.Equal(r.From, []store.UID{2, 4}) || !slices.Equal(r.To, uidsOf(trash.Entries)) || r.UIDValidity != trash.Mailbox.UIDValidity {
		e.t.Fatalf("retired %+v, the trash is %+v", r, trash)
	}
	for i, x := range trash.Entries {
		want := append(flagNames(from.Entries[1+2*i].Flags, from.Mailbox.Keywords), store.KeywordRetired)
		got := flagNames(x.Flags, trash.Mailbox.Keywords)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			e.t.Errorf("UID %d has flags %q, want %q", x.UID, got, want)
		}
	}
	if n := e.purge(); n != 0 {
		e.t.Errorf("%d messages went before their time", n)
	}
	e.verify(a)
	m := mirrorOf(trash)
	e.outwait()
	if n := e.purge(); n != 2 {
		e.t.Errorf("%d messages went in time, want 2", n)
	}
	if !m.follow(e, a, trash.Mailbox.ID) || len(e.index(a, trash.Mailbox.ID).Entries) != 0 {
		e.t.Error("who follows the trash does not see them go")
	}
	if n := e.purge(); n != 0 {
		e.t.Errorf("%d messages went twice", n)
	}
	e.verify(a)
}

func retireOnly(e *env) {
	a := e.account()
	e.fileMany(a, e.box(a, "INBOX").ID, 6)
	trash := e.box(a, "Trash").ID
	e.retire(a, 1)
	_, err := a.Move(e.ctx, e.box(a, "INBOX").ID, only(2), trash) // UID 2
	e.must(err)
	e.retire(a, 3)
	_, err = a.Retire(e.ctx, e.box(a, "INBOX").ID, only(4), time.Now().Add(24*time.Hour)) // UID 4
	e.must(err)
	e.outwait()
	if n := e.purge(); n != 2 {
		e.t.Errorf("%d messages went, want 2", n)
	}
	if got := uidsOf(e.index(a, trash).Entries); !slices.Equal(got, []store.UID{2, 4}) {
		e.t.Errorf("UIDs %v are left", got)
	}
	if n := len(e.index(a, e.box(a, "INBOX").ID).Entries); n != 2 {
		e.t.Errorf("%d messages in INBOX", n)
	}
	e.verify(a)
}

func retireRestored(e *env) {
	a := e.account()
	e.fileMany(a, e.box(a, "INBOX").ID, 3)
	e.retire(a, 1, 2, 3)
	trash := e.box(a, "Trash").ID
	e.set(a, trash, store.FlagUpdate{UIDs: only(1), Op: store.FlagsRemove, Keywords: []string{store.KeywordRetired}})
	_, err := a.Move(e.ctx, trash, only(2), e.box(a, "INBOX").ID)
	e.must(err)
	e.outwait()
	if n := e.purge(); n != 1 {
		e.t.Errorf("%d messages went, want 1", n)
	}
	if got := uidsOf(e.index(a, trash).Entries); !slices.Equal(got, []store.UID{1}) {
		e.t.Errorf("UIDs %v are left in the trash", got)
	}
	if n := len(e.index(a, e.box(a, "INBOX").ID).Entries); n != 1 {
		e.t.Errorf("%d messages in INBOX", n)
	}
	e.verify(a)
}

func retireWithoutTrash(e *env) {
	a := e.account()
	e.fileMany(a, e.box(a, "INBOX").ID, 2)
	e.must(a.DeleteMailbox(e.ctx, e.box(a, "Trash").ID))
	e.retire(a, 1)
	made := e.box(a, "Trash")
	if made.Role != store.RoleTrash || made.Messages != 1 {
		e.t.Errorf("made %+v", made)
	}
	// An ordinary mailbox of that name serves, too.
	e.must(a.DeleteMailbox(e.ctx, made.ID))
	plain := e.create(a, "Trash")
	e.retire(a, 2)
	if b := e.box(a, "Trash"); b.ID != plain.ID || b.Role != store.RoleTrash || b.Messages != 1 {
		e.t.Errorf("taken into service: %+v", b)
	}
	e.verify(a)
}

func retireUnmarked(e *env) {
	a := e.account()
	inbox, trash := e.box(a, "INBOX").ID, e.box(a, "Trash").ID
	e.fileMany(a, inbox, 1)
	e.fileMany(a, trash, 1)
	var keywords []string
	for i := range store.MaxKeywords {
		keywords = append(keywords, string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	e.set(a, trash, store.FlagUpdate{UIDs: only(1), Op: store.FlagsAdd, Keywords: keywords})
	e.retire(a, 1)
	e.outwait()
	if n := e.purge(); n != 0 || len(e.index(a, trash).Entries) != 2 {
		e.t.Errorf("%d messages went", n)
	}
	e.verify(a)
}

func retireGone(e *env) {
	lost, closed, a := e.account(), e.account(), e.account()
	for _, x := range []store.Account{lost, closed, a} {
		e.fileMany(x, e.box(x, "INBOX").ID, 1)
		e.retire(x, 1)
	}
	e.must(lost.DeleteMailbox(e.ctx, e.box(lost, "Trash").ID))
	e.must(e.s.Directory().RemoveAccount(e.ctx, closed.ID()))
	e.outwait()
	if n := e.purge(); n != 1 {
		e.t.Errorf("%d messages went, want 1", n)
	}
	e.verify(lost)
	e.verify(a)
}

func retireMany(e *env) {
	var accounts []store.Account
	for range e.o.size(70, 150, 150) {
		a := e.account()
		accounts = append(accounts, a)
		e.file(a, "m", inbox())
	}
	until := time.Now().Add(e.lease())
	for _, a := range accounts {
		_, err := a.Retire(e.ctx, e.box(a, "INBOX").ID, all(), until)
		e.must(err)
	}
	e.outwait()
	if n := e.purge(); n != len(accounts) {
		e.t.Errorf("%d messages went, want %d", n, len(accounts))
	}
}

func saveDates(e *env) {
	a := e.account()
	inbox, to := e.box(a, "INBOX").ID, e.create(a, "To").ID
	start := time.Now().Truncate(time.Microsecond)
	e.file(a, "old", store.Filing{Role: store.RoleInbox, Internal: time.UnixMicro(1000)})
	e.fileMany(a, inbox, 1)
	e.pass(20 * time.Millisecond)
	middle := time.Now()
	_, err := a.Copy(e.ctx, inbox, only(1), to)
	e.must(err)
	_, err = a.Move(e.ctx, inbox, only(2), to)
	e.must(err)
	check := func(box store.MailboxID, after, before time.Time, uids ...store.UID) {
		e.t.Helper()
		list, err := a.SaveDates(e.ctx, box, all())
		e.must(err)
		var got []store.UID
		for _, x := range list {
			got = append(got, x.UID)
			if x.Saved.Before(after.Truncate(time.Microsecond)) || x.Saved.After(before) {
				e.t.Errorf("UID %d came at %v, want %v to %v", x.UID, x.Saved, after, before)
			}
		}
		if !slices.Equal(got, uids) {
			e.t.Errorf("dates of %v, want %v", got, uids)
		}
	}
	check(inbox, start, middle, 1)
	check(to, middle, time.Now(), 1, 2)
	_, err = a.SaveDates(e.ctx, to+99, all())
	e.wants(err, store.ErrNotFound, "dates of an unknown mailbox")
}
