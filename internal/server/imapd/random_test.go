package imapd

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// steps is how many random commands a run takes; POSTHORN_SOAK=10m makes it
// run that long.
const steps = 400

func soak(t *testing.T) time.Duration {
	text := os.Getenv("POSTHORN_SOAK")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("POSTHORN_SOAK:", err)
	}
	return d
}

// actor is a client that does random things.
type actor struct {
	*client
	r   *rand.Rand
	log []string
	// silent is the silent STORE being sent, nil otherwise.
	silent *silentStore
}

// silentStore is what a client has to work out for itself (RFC 3501 §6.4.6).
type silentStore struct {
	uid   bool
	set   imap.SeqSet
	form  byte // '+', '-' or 'F'
	flags []string
	old   map[store.UID]string
}

// assume changes the mirror as if the command had succeeded.
func (a *actor) assume() {
	s := a.silent
	s.old = map[store.UID]string{}
	for i := range a.box {
		t := &a.box[i]
		n, greatest := uint32(i+1), uint32(len(a.box))
		if s.uid {
			n, greatest = uint32(t.uid), uint32(a.box[len(a.box)-1].uid)
		}
		if !s.set.Contains(n, greatest) {
			continue
		}
		s.old[t.uid] = t.flags
		t.flags, t.fresh = changeFlags(t.flags, s.form, s.flags), false
	}
}

func changeFlags(text string, form byte, flags []string) string {
	have := map[string]bool{}
	for _, f := range strings.Fields(text) {
		have[f] = form != 'F'
	}
	for _, f := range flags {
		have[f] = form != '-'
	}
	maps.DeleteFunc(have, func(_ string, on bool) bool { return !on })
	return strings.Join(slices.Sorted(maps.Keys(have)), " ")
}

var modified = regexp.MustCompile(`\[MODIFIED ([0-9:,]+)\]`)

// revise takes back what the response says was left alone.
func (a *actor) revise(response string) {
	m := modified.FindStringSubmatch(response)
	if m == nil {
		return
	}
	set, err := imap.ParseSeqSet(m[1])
	if err != nil {
		panic(err)
	}
	for i := range a.box {
		t := &a.box[i]
		n := uint32(i + 1)
		if a.silent.uid {
			n = uint32(t.uid)
		}
		if old, ok := a.silent.old[t.uid]; ok && !t.fresh && set.Contains(n, 1<<31) {
			t.flags = old
		}
	}
}

func (a *actor) pick() int { return a.r.IntN(len(a.box)) + 1 }

// set is a random set of sequence numbers or UIDs.
func (a *actor) set(uid bool) string {
	var parts []string
	for range 1 + a.r.IntN(3) {
		x, y := a.pick(), a.pick()
		if uid {
			x, y = int(a.box[x-1].uid), int(a.box[y-1].uid)
		}
		switch a.r.IntN(4) {
		case 0:
			parts = append(parts, fmt.Sprintf("%d:%d", x, y))
		case 1:
			parts = append(parts, fmt.Sprintf("%d:*", x))
		default:
			parts = append(parts, fmt.Sprint(x))
		}
	}
	return strings.Join(parts, ",")
}

var (
	randomFlags = []string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, "$a", "$b", "kw"}
	storeForms  = []string{"FLAGS", "+FLAGS", "-FLAGS", "FLAGS.SILENT", "+FLAGS.SILENT", "-FLAGS.SILENT"}
)

// command makes a random command; kept says that EXPUNGE must not answer it.
func (a *actor) command() (text string, kept bool) {
	if len(a.box) == 0 || a.r.IntN(5) == 0 {
		subject := fmt.Sprintf("Subject: %d\r\n\r\nx", a.r.IntN(100))
		return fmt.Sprintf("APPEND INBOX (%s) {%d+}\r\n%s", randomFlags[a.r.IntN(len(randomFlags))], len(subject), subject), false
	}
	uid := a.r.IntN(2) == 0
	prefix := ""
	if uid {
		prefix = "UID "
	}
	set := a.set(uid)
	switch a.r.IntN(14) {
	case 0:
		return "NOOP", false
	case 1, 2, 3, 4:
		flags := []string{randomFlags[a.r.IntN(len(randomFlags))], randomFlags[a.r.IntN(len(randomFlags))]}
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
		return fmt.Sprintf("%sSTORE %s %s%s (%s)", prefix, set, condition, form, strings.Join(flags, " ")), !uid
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
		if len(a.box) > 30 { // copies would soon outnumber all else
			return fmt.Sprintf("%sMOVE %s Archive", prefix, set), false
		}
		return fmt.Sprintf("%sCOPY %s INBOX", prefix, set), false
	case 11:
		return fmt.Sprintf("%sMOVE %d Archive", prefix, map[bool]int{true: int(a.box[a.pick()-1].uid), false: a.pick()}[uid]), false
	case 12:
		return "UNSELECT", false
	}
	return "CHECK", false
}

// step does one random thing.
func (a *actor) step() error {
	if err := a.awake(); err != nil {
		return fmt.Errorf("IDLE: %w", err)
	}
	if a.r.IntN(8) == 0 {
		a.log = append(a.log, a.name+": IDLE")
		return a.idle()
	}
	a.silent = nil
	text, kept := a.command()
	if a.silent != nil {
		a.assume()
	}
	if text == "UNSELECT" {
		if _, _, err := a.do("UNSELECT"); err != nil {
			return err
		}
		a.box = nil
		text = "SELECT INBOX"
	}
	a.kept = kept
	r, _, err := a.do("%s", text)
	a.kept = false
	if a.silent != nil {
		a.revise(r)
	}
	a.log = append(a.log, a.name+": "+text+" -> "+r)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", text, err)
	case strings.HasPrefix(r, "BAD"), strings.HasPrefix(r, "NO") && !strings.Contains(r, "expunged"):
		return fmt.Errorf("client %s: %s was answered %s", a.name, text, r)
	}
	return a.learn()
}

// actors makes clients that have the inbox selected; every second one uses CONDSTORE.
func actors(t *testing.T, w *world, seed uint64, n int) []*actor {
	var out []*actor
	for i := range n {
		a := &actor{client: w.client(string(rune('A'+i)), uint16(40000+i)), r: rand.New(rand.NewPCG(seed, uint64(i)))}
		if err := a.enter("INBOX"); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			a.condStore = true
			if _, _, err := a.do("FETCH 1:* (UID FLAGS) (CHANGEDSINCE 1)"); err != nil {
				t.Fatal(err)
			}
			if _, _, err := a.do("ENABLE %s", []string{"CONDSTORE", "QRESYNC"}[i/2%2]); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, a)
	}
	return out
}

// checkRecent: a message is \Recent in one session at most (RFC 3501 §2.3.2).
func checkRecent(actors []*actor) error {
	owner := map[store.UID]string{}
	for _, a := range actors {
		for uid := range a.recent {
			if other := owner[uid]; other != "" {
				return fmt.Errorf("message %d is recent for %s and %s", uid, other, a.name)
			}
			owner[uid] = a.name
		}
	}
	return nil
}

// TestMirrorsAgreeWithTheStore lets several clients do random things in turn.
// Whatever the order, each client's own picture, made of responses alone, is
// the truth after a NOOP.
func TestMirrorsAgreeWithTheStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	for end := time.Now().Add(soak(t)); ; {
		seed := uint64(time.Now().UnixNano())
		if !runInTurn(t, seed) || !time.Now().Before(end) {
			return
		}
	}
}

func runInTurn(t *testing.T, seed uint64) (ok bool) {
	w := newWorld(t)
	defer w.close()
	inbox, err := w.store.Account(w.accounts["alice"]).FindMailbox(w.ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	all := actors(t, w, seed, 4)
	defer hangUp(all)
	r := rand.New(rand.NewPCG(seed, 99))
	var log []string
	for i := range steps {
		a := all[r.IntN(len(all))]
		err := a.step()
		log = append(log, a.log...)
		a.log = nil
		if err == nil && i%7 == 0 {
			err = a.agrees(w, inbox.ID)
		}
		if err == nil {
			err = checkRecent(all)
		}
		if err != nil {
			t.Errorf("seed %d, step %d: %v\n%s", seed, i, err, strings.Join(log[max(0, len(log)-25):], "\n"))
			return false
		}
	}
	for _, a := range all {
		if err := a.agrees(w, inbox.ID); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return false
		}
	}
	return true
}

// TestMirrorsAgreeUnderConcurrency is the same with all clients at once.
func TestMirrorsAgreeUnderConcurrency(t *testing.T) {
	defer goleak.VerifyNone(t)
	for end := time.Now().Add(soak(t)); ; {
		seed := uint64(time.Now().UnixNano())
		if !runAtOnce(t, seed) || !time.Now().Before(end) {
			return
		}
	}
}

func runAtOnce(t *testing.T, seed uint64) bool {
	w := newWorld(t)
	defer w.close()
	inbox, err := w.store.Account(w.accounts["alice"]).FindMailbox(w.ctx, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	all := actors(t, w, seed, 5)
	defer hangUp(all)
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, a := range all {
		group.Go(func() {
			for range steps / 4 {
				if errs[i] = a.step(); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	for i, a := range all {
		err := errs[i]
		if err == nil {
			err = a.agrees(w, inbox.ID)
		}
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, strings.Join(a.log[max(0, len(a.log)-10):], "\n"))
			return false
		}
	}
	if err := checkRecent(all); err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return false
	}
	return true
}

func hangUp(all []*actor) {
	for _, a := range slices.Backward(all) {
		_ = a.awake()
		_, _, _ = a.do("LOGOUT")
		_ = a.conn.Close()
	}
}
