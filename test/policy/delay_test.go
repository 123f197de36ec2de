package policy_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// most is how many sessions may wait in a delay at once by default.
const most = 1000

// crowd connects as many hosts as may wait; each does what makes it wait.
func (w *world) crowd(wait func(c *client) error) []*client {
	w.t.Helper()
	all := make([]*client, most)
	for i := range all {
		all[i] = w.dial(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), "smtp")
		if err := wait(all[i]); err != nil {
			w.t.Fatal(i, err)
		}
	}
	synctest.Wait()
	return all
}

// served is a letter that waits for nothing; it must come through at once.
func (w *world) served(m letter) {
	w.t.Helper()
	began := time.Now()
	w.expect(m, 250)
	if took := time.Since(began); took > time.Second {
		w.t.Errorf("a newcomer was served after %v", took)
	}
}

// TestAThousandDelayedSessionsCostNobodyElse is reliability row 12: delays cost
// one timer each, their number is bounded, and whoever need not wait is served
// as if nobody did. It runs alone, to count goroutines.
func TestAThousandDelayedSessionsCostNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, honest, "policy.door.greeting_delay 60s", "policy.greylist.mode off")
		defer w.close()
		if err := w.manage("list-add", `{"body":{"list":"allow","kind":"ip","value":"192.0.2.1"}}`); err != nil {
			t.Fatal(err)
		}
		before := runtime.NumGoroutine()
		waiting := w.crowd(func(*client) error { return nil })
		if n := runtime.NumGoroutine() - before; n > 2*most+20 { // one of the server, one of ours
			t.Errorf("%d sessions that wait cost %d goroutines", most, n)
		}
		began := time.Now()
		late := w.dial("10.2.0.1", "smtp")
		if r, err := late.hear(); err != nil || r.String() != "421 4.3.2 Too busy, try again later" || time.Since(began) != 0 {
			t.Errorf("one too many heard %v after %v, %v", r, time.Since(began), err)
		}
		w.served(letter{from: "192.0.2.1", helo: "mx.client.example", sender: "<a@client.example>", to: []string{"bob@example.test"}, content: plain})
		w.served(letter{from: "198.51.100.7", listener: "submission", helo: "home", login: "bob@example.test", sender: "<bob@example.test>",
			to: []string{"alice@example.test"}, content: "From: bob@example.test\r\n\r\nHello.\r\n"})
		for i, c := range waiting {
			if r, err := c.hear(); err != nil || r.code != 220 {
				t.Fatal(i, r, err)
			}
			c.close()
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("they waited %v", took)
		}
		again := w.dial("10.2.0.1", "smtp")
		defer again.close()
		if r, err := again.hear(); err != nil || r.code != 220 {
			t.Errorf("later it heard %v, %v", r, err)
		}
	})
}

// TestErrorsWaitInTheSamePlaces: a session that finds no place to wait for its
// error ends instead.
func TestErrorsWaitInTheSamePlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, honest, "smtp.errors.delay 60s", "policy.greylist.mode off")
		defer w.close()
		waiting := w.crowd(func(c *client) error {
			_, err := c.hear()
			if err == nil {
				_, err = c.conn.Write([]byte("XNONSENSE\r\n"))
			}
			return err
		})
		w.served(letter{from: "192.0.2.1", helo: "mx.client.example", sender: "<a@client.example>", to: []string{"bob@example.test"}, content: plain})
		late := w.dial("10.2.0.1", "smtp")
		began := time.Now()
		if _, err := late.hear(); err != nil {
			t.Fatal(err)
		}
		if r, err := late.say("XNONSENSE"); err != nil || r.String() != "421 4.3.2 Too busy, try again later" || time.Since(began) != 0 {
			t.Errorf("one too many heard %v after %v, %v", r, time.Since(began), err)
		}
		for i, c := range waiting {
			if r, err := c.hear(); err != nil || r.code != 500 {
				t.Fatal(i, r, err)
			}
			c.close()
		}
	})
}
