package imapd

import (
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

var (
	randomFlags = []string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, "$a", "$b", "kw"}
	storeForms  = []string{"FLAGS", "+FLAGS", "-FLAGS", "FLAGS.SILENT", "+FLAGS.SILENT", "-FLAGS.SILENT"}
)

// crowded is from how many messages on a client rather moves them away.
const crowded = 40

func (a *actor) flag() string { return randomFlags[a.r.IntN(len(randomFlags))] }

// command makes a random command; kept says that EXPUNGE must not answer it.
func (a *actor) command() (text string, kept bool) {
	if len(a.box) == 0 || a.r.IntN(6) == 0 {
		return a.appends(), false
	}
	uid := a.r.IntN(2) == 0
	prefix := ""
	if uid {
		prefix = "UID "
	}
	set, target := a.set(uid), places[a.r.IntN(len(places))]
	if len(a.box) > crowded && a.r.IntN(2) == 0 {
		return fmt.Sprintf("%sMOVE %s Trash", prefix, set), false
	}
	switch a.r.IntN(16) {
	case 0:
		return "NOOP", false
	case 1, 2, 3, 4:
		return a.stores(prefix, set, uid), !uid
	case 5:
		return "EXPUNGE", false
	case 6:
		return "UID EXPUNGE " + a.set(true), false
	case 7:
		return fmt.Sprintf("%sFETCH %s (UID FLAGS)", prefix, set), !uid
	case 8:
		return fmt.Sprintf("%sFETCH %s (UID BODY[])", prefix, set), !uid
	case 9:
		return fmt.Sprintf("%sSEARCH OR SUBJECT 1 UNSEEN", prefix), !uid
	case 10:
		if len(a.box) <= crowded { // copies would soon outnumber all else
			return fmt.Sprintf("%sCOPY %s %s", prefix, set, target), false
		}
		return "UID STORE 1:* +FLAGS (\\Deleted)", false
	case 11:
		return fmt.Sprintf("%sMOVE %d %s", prefix, map[bool]int{true: int(a.box[a.pick()-1].uid), false: a.pick()}[uid], target), false
	case 12:
		if a.condStore {
			return a.since(), false
		}
	case 13:
		return fmt.Sprintf("%sTHREAD REFERENCES UTF-8 ALL", prefix), !uid
	case 14:
		return fmt.Sprintf("STATUS %s (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)", target), false
	}
	return "CHECK", false
}

// appends stores one or two messages.
func (a *actor) appends() string {
	text := "APPEND " + places[a.r.IntN(len(places))]
	for range 1 + a.r.IntN(2) {
		subject := fmt.Sprintf("Subject: %d\r\n\r\nx", a.r.IntN(100))
		text += fmt.Sprintf(" (%s) {%d+}\r\n%s", a.flag(), len(subject), subject)
	}
	return text
}

// stores changes flags; a silent one leaves the client to work out the rest.
func (a *actor) stores(prefix, set string, uid bool) string {
	flags := []string{a.flag(), a.flag()}
	form := storeForms[a.r.IntN(len(storeForms))]
	if strings.HasSuffix(form, ".SILENT") {
		parsed, err := imap.ParseSeqSet(set)
		if err != nil {
			panic(err)
		}
		a.silent = &silentStore{uid: uid, set: parsed, form: form[0], flags: flags}
	}
	condition := ""
	if a.r.IntN(4) == 0 {
		a.condStore = true // the command turns it on
		condition = fmt.Sprintf("(UNCHANGEDSINCE %d) ", a.box[a.pick()-1].modSeq)
	}
	return fmt.Sprintf("%sSTORE %s %s%s (%s)", prefix, set, condition, form, strings.Join(flags, " "))
}

// since asks what changed after a mod-sequence the client knows.
func (a *actor) since() string {
	vanished := ""
	if a.qresync {
		vanished = " VANISHED"
	}
	return fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%s)", max(a.box[a.pick()-1].modSeq, 1), vanished)
}

// onlyGone reports whether a result differs only in messages that are expunged,
// whose last change may have gone untold.
func (a *actor) onlyGone(got string, want imap.SeqSet) bool {
	found, _ := imap.ParseSeqSet(got)
	x, err := a.store.FindMailbox(a.ctx, a.place)
	if err != nil {
		return false
	}
	index, err := a.store.Index(a.ctx, x.ID)
	if err != nil {
		return false
	}
	for i, t := range a.box {
		n := uint32(i + 1)
		there := slices.ContainsFunc(index.Entries, func(e store.Entry) bool { return e.UID == t.uid })
		if there && (!found.IsEmpty() && found.Contains(n, n)) != want.Contains(n, n) {
			return false
		}
	}
	return true
}

// searches looks for a flag and compares with what the client was told: a
// search knows no more than that.
func (a *actor) searches() error {
	flag := a.flag()
	word, key := strings.TrimPrefix(flag, `\`), flag
	if word == flag {
		key = "KEYWORD " + flag
	} else {
		key = strings.ToUpper(word)
	}
	a.kept = true
	var want imap.SeqSet
	for i, t := range a.box {
		if slices.Contains(strings.Fields(t.flags), flag) {
			want.Add(uint32(i + 1))
		}
	}
	r, lines, err := a.do("SEARCH RETURN (ALL SAVE) %s", key)
	a.kept = false
	a.log = append(a.log, a.name+": SEARCH "+key+" -> "+r)
	if err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("SEARCH %s: %s %v", key, r, err)
	}
	got := ""
	for _, line := range lines {
		if _, all, ok := strings.Cut(line, " ALL "); ok && strings.HasPrefix(line, "* ESEARCH") {
			got, _, _ = strings.Cut(all, " ")
		}
	}
	if got != string(want.Append(nil)) && !(got == "" && want.IsEmpty()) && !a.onlyGone(got, want) {
		return fmt.Errorf("client %s: SEARCH %s found %q, it was told %q", a.name, key, got, want.Append(nil))
	}
	if err := a.learn(); err != nil || want.IsEmpty() {
		return err
	}
	if r, _, err = a.do("UID FETCH $ (FLAGS)"); err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("UID FETCH $: %s %v", r, err)
	}
	return a.learn()
}
