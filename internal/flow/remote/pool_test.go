package remote

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/flow/route"
)

func TestAConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		once := rcpts("250 ok", "250 ok") + data + "S: 250 ok\n"
		w.one(pipe+once+"C: NOOP\nS: 250 ok\n"+once+bye, hello+send+bye)
		w.want(job(text), false, "delivered 250 2.0.0")
		time.Sleep(29 * time.Second)
		w.want(job(text), false, "delivered 250 2.0.0")
		w.wantDialled("1")
		time.Sleep(31 * time.Second) // QUIT was said meanwhile: the dialogue wants it
		w.want(job(text), false, "delivered 250 2.0.0")
		w.wantDialled("1 1")
	})
}

func TestAConnectionCarriesABoundedNumberOfMessages(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.set.Reuse.Messages = 3
		w.one(hello+send+send+send+bye, hello+send+bye)
		for i := range 4 {
			w.want(job(text), false, "delivered 250 2.0.0")
			if n := len(w.d.pool.idle); (n == 0) != (i == 2) {
				t.Errorf("%d connections kept after message %d", n, i)
			}
		}
		w.wantDialled("1 1")
	})
}

// TestADeadConnectionIsReplacedWithoutHarm: whatever the host did to it while
// it was kept, the message does not notice.
func TestADeadConnectionIsReplacedWithoutHarm(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{
		"closed at once":      "",
		"closed later":        "wait 5s",
		"421 and closed":      "wait 5s\nS: 421 4.4.2 idle",
		"421 to MAIL":         "C: *\nS: 421 4.4.2 idle",
		"closed at MAIL":      "C: *",
		"silent":              "stall",
		"nonsense":            "wait 5s\nS: what",
		"one reply too many":  "wait 1ms\nS: 250 ok\nstall",
		"two replies at once": "wait 1ms\nraw 250 ok\\n250 ok\\n\nstall",
		"two replies to NOOP": "C: NOOP\nraw 250 ok\\n250 ok\\n\nstall",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				first := "wait 1s\n" + pipe + rcpts("250 ok", "250 ok") + data + "S: 250 first\n" + end
				w.one(first, first, pipe+rcpts("250 ok", "250 ok")+data+"S: 250 second\n"+bye)
				var all sync.WaitGroup // two connections are kept, both dead
				for range 2 {
					all.Go(func() { w.want(job(text), false, "delivered 250 2.0.0") })
				}
				all.Wait()
				time.Sleep(10 * time.Second)
				start := time.Now()
				results, err := w.d.Deliver(w.t.Context(), job(text))
				if took := time.Since(start); took > 3*sign { // both were asked
					t.Errorf("took %v", took)
				}
				if err != nil || results[0].Reply.String() != "250 second" {
					t.Errorf("%+v %v", results, err)
				}
				w.wantDialled("1 1 1")
			})
		})
	}
}

// A reply to nothing is seen in a connection that is used again at once, and so
// is not asked for a sign of life.
func TestAHostOutOfStepIsFoundOutBeforeItsConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{
		"with the last reply": "raw 250 first\\n250 ok\\n\nstall",
		"after it":            "S: 250 first\nwait 1ms\nS: 250 ok\nstall",
		"half of it":          "S: 250 first\nwait 1ms\nraw 2\nstall",
		"hung up":             "S: 250 first",
	} {
		inWorld(t, func(w *world) {
			once := pipe + rcpts("250 ok", "250 ok") + data
			w.one(once+end, once+"S: 250 second\n"+bye)
			w.want(job(text), false, "delivered 250 2.0.0")
			time.Sleep(trusted / 2)
			start := time.Now()
			results, err := w.d.Deliver(w.t.Context(), job(text))
			if err != nil || results[0].Reply.String() != "250 second" || time.Since(start) != 0 {
				t.Errorf("%s: %+v %v after %v", name, results, err, time.Since(start))
			}
			w.wantDialled("1 1")
		})
	}
}

func TestAConnectionThatIsToEndIsNotKept(t *testing.T) {
	t.Parallel()
	for _, dialogue := range []string{
		rcpts("421 bye", "503 x"), rcpts("250 ok", "421 bye") + "C: RSET", rcpts("250 ok", "250 ok") + data + "S: 421 bye",
	} {
		inWorld(t, func(w *world) {
			w.one(pipe + dialogue)
			if got, _ := w.deliver(w.t.Context(), job(text)); got[0] != "deferred 421 4.3.2" || len(w.d.pool.idle) > 0 {
				t.Errorf("%q: %q, %d kept", dialogue, got, len(w.d.pool.idle))
			}
		})
	}
}

func TestConnectionsAreKeptApart(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.certify("smart.test")
		w.addr["smart.test"] = "192.0.2.1"
		const login = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH PLAIN\nC: AUTH PLAIN *\nS: 235 ok\n"
		w.hosts["192.0.2.1:25"] = []string{hello + send + bye, login + send + bye, login + send + bye, secured + send + bye, hello + send + bye}
		for _, r := range []route.Relay{{}, {User: "a", Password: "b", ClearLogin: true}, {User: "a", Password: "c", ClearLogin: true}, {Secure: true}, {Hosts: []string{"192.0.2.1"}}} {
			w.want(viaRelay(r), false, "delivered 250 2.0.0")
		}
		w.wantDialled("1 1 1 1 1")
	})
}

func TestOpenConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.set.Connections, w.set.Reuse.Connections = 3, 3
		for i := range 8 {
			w.hosts[fmt.Sprintf("192.0.2.%d:25", i)] = []string{hello + "wait 1m\n" + send + "C: QUIT\nwait 1s\nS: 221 bye"}
		}
		var all sync.WaitGroup
		most := 0
		for i := range 8 {
			all.Go(func() {
				j := job(text)
				j.To = route.Destination{Key: "x", Domain: fmt.Sprintf("[192.0.2.%d]", i)}
				w.want(j, false, "delivered 250 2.0.0")
			})
		}
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(100 * time.Millisecond):
					w.mu.Lock()
					most = max(most, w.open)
					w.mu.Unlock()
				}
			}
		}()
		all.Wait()
		close(done)
		synctest.Wait()
		if most != 3 {
			t.Errorf("%d connections open at once", most)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.set.Connections = 0 // nothing is ever free
		j := job(text)
		j.To.Domain = "[192.0.2.99]"
		if got, _ := w.deliver(ctx, j); got[0] != "untried" {
			t.Errorf("%q", got)
		}
	})
}

func TestTheOldestKeptConnectionGoesFirst(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.set.Reuse.Connections = 2
		script := hello + send + send + bye
		for i := range 3 {
			w.hosts[fmt.Sprintf("192.0.2.%d:25", i)] = []string{script, script}
		}
		w.hosts["192.0.2.0:25"] = []string{hello + send + bye, hello + send + bye}
		for _, i := range []int{0, 1, 2, 1, 2, 0} {
			j := job(text)
			j.To = route.Destination{Key: "x", Domain: fmt.Sprintf("[192.0.2.%d]", i)}
			w.want(j, false, "delivered 250 2.0.0")
			time.Sleep(trusted / 5)
		}
		w.wantDialled("0 1 2 0")
		if n := len(w.d.pool.idle); n != 2 {
			t.Errorf("%d kept", n)
		}
	})
}

func TestCloseDoesNotWaitForAHostThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(hello + send + "stall")
		w.want(job(text), false, "delivered 250 2.0.0")
		start := time.Now()
		w.d.Close()
		if d := time.Since(start); d > lastFarewell {
			t.Errorf("took %v", d)
		}
	})
}

func TestSettingsNameTheFieldAndTheRemedy(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Settings){
		"":                   func(*Settings) {},
		"source_ipv4: ":      func(s *Settings) { s.SourceIPv4 = "2001:db8::1" },
		"source_ipv6: ":      func(s *Settings) { s.SourceIPv6 = "nonsense" },
		"reuse.connections:": func(s *Settings) { s.Reuse.Connections = 300 },
	} {
		s := defaults()
		change(s)
		err := s.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	s := defaults()
	s.SourceIPv4, s.SourceIPv6 = "192.0.2.8", "2001:db8::8"
	for to, want := range map[string]string{"192.0.2.1": "192.0.2.8", "2001:db8::1": "2001:db8::8"} {
		if got := s.sourceFor(netip.MustParseAddr(to)); s.Validate() != nil || got.String() != want {
			t.Errorf("%s from %s", to, got)
		}
	}
}

// Who waits for room hears of a connection that is kept, and takes it where it
// leads to the same host.
func TestWhoWaitsForAConnectionGetsOneThatIsNotInUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other   string // the host of the second message
		dialled string
		most    time.Duration
	}{
		"another host":  {"192.0.2.2", "1 2", farewell},
		"the same host": {"192.0.2.1", "1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.set.Connections, w.set.Reuse.Connections, w.set.Reuse.Idle = 1, 1, 4*time.Minute
				first := hello + "wait 1m\n" + send
				if c.dialled == "1" {
					first += send
				}
				w.hosts["192.0.2.1:25"] = []string{first + "C: QUIT\nwait 1s\nS: 221 bye"}
				w.hosts["192.0.2.2:25"] = []string{hello + send + bye}
				var all sync.WaitGroup
				start := time.Now()
				for i, host := range []string{"192.0.2.1", c.other} {
					j := job(text)
					j.To = route.Destination{Key: "x", Domain: "[" + host + "]"}
					time.Sleep(time.Duration(i) * time.Second)
					all.Go(func() { w.want(j, false, "delivered 250 2.0.0") })
				}
				all.Wait()
				if took := time.Since(start) - time.Minute; took > c.most {
					t.Errorf("a message waited %v beside a connection that nobody used", took)
				}
				w.wantDialled(c.dialled)
			})
		})
	}
}
