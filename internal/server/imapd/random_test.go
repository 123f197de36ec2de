package imapd

import (
	"context"
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
	r       *rand.Rand
	log     []string
	qresync bool
	ctx     context.Context
	store   store.Account
	memory  map[string]*memory // of mailboxes left
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

// places are the mailboxes the clients go about in.
var places = []string{"INBOX", "Archive", "Drafts"}

// step does one random thing.
func (a *actor) step() error {
	if err := a.awake(); err != nil {
		return fmt.Errorf("IDLE: %w", err)
	}
	switch a.r.IntN(40) {
	case 0, 1, 2, 3:
		a.log = append(a.log, a.name+": IDLE")
		return a.idle()
	case 4, 5:
		return a.move(places[a.r.IntN(len(places))])
	case 6, 7:
		return a.searches()
	}
	a.silent = nil
	text, kept := a.command()
	if a.silent != nil {
		a.assume()
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

// kinds of clients: some know nothing of changes, some take what they missed
// by CONDSTORE or QRESYNC, some speak IMAP4rev2.
var actorKinds = []string{"", "CONDSTORE", "QRESYNC", "IMAP4rev2", "IMAP4rev2 QRESYNC", "UTF8=ACCEPT", "IMAP4rev2 CONDSTORE", "QRESYNC UTF8=ACCEPT"}

// actors makes a client of each kind, with the inbox selected; some compress.
func actors(t *testing.T, w *world, seed uint64) []*actor {
	var out []*actor
	for i, kind := range actorKinds {
		a := &actor{client: w.client(string(rune('A'+i)), uint16(40000+i)), r: rand.New(rand.NewPCG(seed, uint64(i))), memory: map[string]*memory{},
			ctx: w.ctx, store: w.store.Account(w.accounts["alice"])}
		if err := a.enter("INBOX"); err != nil {
			t.Fatal(err)
		}
		a.condStore = strings.Contains(kind, "CONDSTORE") || strings.Contains(kind, "QRESYNC")
		a.qresync, a.rev2 = strings.Contains(kind, "QRESYNC"), strings.Contains(kind, "IMAP4rev2")
		if kind != "" {
			if r, _, err := a.do("ENABLE %s", kind); err != nil || !strings.HasPrefix(r, "OK") {
				t.Fatal(r, err)
			}
		}
		if a.condStore { // the mod-sequences of what it has heard of already
			if _, _, err := a.do("FETCH 1:* (UID FLAGS) (CHANGEDSINCE 1)"); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 > 0 {
			if err := a.compress([]func() func([]byte) []byte{syncFlush, partialFlush}[i%3-1]()); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, a)
	}
	return out
}

// checkRecent: a message is \Recent in one session at most (RFC 3501 §2.3.2).
func checkRecent(actors []*actor) error {
	owner := map[string]string{}
	for _, a := range actors {
		for message := range a.recent {
			if other := owner[message]; other != "" {
				return fmt.Errorf("message %s is recent for %s and %s", message, other, a.name)
			}
			owner[message] = a.name
		}
	}
	return nil
}

// TestMirrorsAgreeWithTheStore lets several clients do random things in turn.
// Whatever the order, each client's own picture, made of responses alone, is
// the truth after a NOOP.
func TestMirrorsAgreeWithTheStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	done := 0
	for end := time.Now().Add(soak(t)); ; {
		seed := uint64(time.Now().UnixNano())
		ok := runInTurn(t, seed)
		done += steps
		if !ok || !time.Now().Before(end) {
			t.Log(done, "operations")
			return
		}
	}
}

func runInTurn(t *testing.T, seed uint64) (ok bool) {
	w := newWorld(t)
	defer w.close()
	all := actors(t, w, seed)
	defer hangUp(all)
	r := rand.New(rand.NewPCG(seed, 99))
	var log []string
	for i := range steps {
		a := all[r.IntN(len(all))]
		err := a.step()
		log = append(log, a.log...)
		a.log = nil
		if err == nil && i%7 == 0 {
			err = a.agrees(w)
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
		if err := a.agrees(w); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return false
		}
	}
	return true
}

// TestMirrorsAgreeUnderConcurrency is the same with all clients at once.
func TestMirrorsAgreeUnderConcurrency(t *testing.T) {
	defer goleak.VerifyNone(t)
	done := 0
	for end := time.Now().Add(soak(t)); ; {
		seed := uint64(time.Now().UnixNano())
		ok := runAtOnce(t, seed)
		done += steps
		if !ok || !time.Now().Before(end) {
			t.Log(done, "operations")
			return
		}
	}
}

func runAtOnce(t *testing.T, seed uint64) bool {
	w := newWorld(t)
	defer w.close()
	all := actors(t, w, seed)
	defer hangUp(all)
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, a := range all {
		group.Go(func() {
			for range steps / len(all) {
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
			err = a.agrees(w)
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
