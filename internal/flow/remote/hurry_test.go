package remote

import (
	"testing"
	"time"

	"posthorn/internal/base/mail"
)

// TestAHostGetsLittleOfTheTimeOfAHurry: it is given up after two minutes, and
// nothing is concluded about the host or the destination.
func TestAHostGetsLittleOfTheTimeOfAHurry(t *testing.T) {
	t.Parallel()
	const mail1 = hello + "C: MAIL FROM:*\nS: 250 ok\n"
	for name, dialogue := range map[string]string{
		"no greeting":      "stall",
		"drips":            "raw 220 x\nwait 1m\nraw y\nwait 1m\nstall",
		"no reply to EHLO": "S: 220 mx\nwait 1m\nstall",
		"no reply to RCPT": mail1 + "wait 110s\nC: RCPT TO:*\nstall",
		"no reply to DATA": mail1 + "wait 1m\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nstall",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.one(dialogue, "stall", "stall")
				w.mx["far.test"], w.addr["b.far.test"] = "10 mx.far.test,20 b.far.test", "192.0.2.2"
				w.hosts["192.0.2.2:25"] = []string{"stall"}
				j := job(text)
				j.Hurry = true
				start := time.Now()
				got, outage := w.deliver(w.t.Context(), j)
				if got[0] != "deferred 451 4.4.2" || outage || w.d.dead.Len() > 0 {
					t.Errorf("%q, outage %v, %d suspects", got, outage, w.d.dead.Len())
				}
				if d := time.Since(start); d != maxHurry {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

// What a host has in full it may take its time over, for else it comes twice;
// with a notice that does no harm.
func TestNoHurryAfterTheContent(t *testing.T) {
	t.Parallel()
	for sender, c := range map[string]struct {
		fate string
		took time.Duration
	}{"a": {"delivered 250 2.0.0", 9 * time.Minute}, "": {"deferred 451 4.4.2", maxNotice}} {
		inWorld(t, func(w *world) {
			w.one(hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nD\nwait 9m\nS: 250 ok\nstall")
			j := job(text)
			j.Hurry = true
			if sender == "" {
				j.Claim.Message.Sender = mail.Address{}
			}
			start := time.Now()
			if got, _ := w.deliver(w.t.Context(), j); got[0] != c.fate {
				t.Errorf("%q: %q", sender, got)
			}
			if d := time.Since(start); d != c.took {
				t.Errorf("%q: took %v", sender, d)
			}
		})
	}
}
