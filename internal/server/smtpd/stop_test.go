package smtpd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/wire/smtp"
)

// slowly is a policy whose checks of the content take their time, as a scanner does.
type slowly struct {
	Policy
	takes time.Duration
	deaf  bool // they do not hear that nobody waits any more
}

func (p slowly) Judge(ctx context.Context, stage policy.Stage, f *policy.Facts) policy.Decision {
	if stage == policy.Content {
		end := ctx.Done()
		if p.deaf {
			end = nil
		}
		select {
		case <-time.After(p.takes):
		case <-end:
		}
	}
	return p.Policy.Judge(ctx, stage, f)
}

// sending is one message to bob on its way, and what came of it.
type sending struct {
	reply int // 0: the link was closed without one
	took  time.Duration
}

// begin lets a client send; what it returns is filled in when it is answered.
func (w *world) begin(listener string) *sending {
	c := w.dial(listener)
	if err := c.Greet("client.example"); err != nil {
		w.t.Fatal(err)
	}
	var s sending
	go func() {
		begin := time.Now()
		sent, err := c.Send(smtp.Simple(mail.Address{}, strings.NewReader("x"), addresses("bob")...))
		var no *smtp.RefusedError
		switch {
		case errors.As(err, &no):
			s.reply = no.Reply.Code
		case len(sent.Final) > 0: // LMTP
			s.reply = sent.Final[0].Code
		default:
			s.reply = sent.Data.Code
		}
		s.took = time.Since(begin)
	}()
	synctest.Wait()
	return &s
}

// The time that is left after a stop counts from the stop, not from the end of
// the checks: nobody hears of what is committed after the link was closed.
func TestNothingIsTakenAfterAStopHasClosedTheConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		checks slowly
		filed  string
		want   sending
	}{
		"checks that end in time": {slowly{takes: 4 * time.Second}, "bob 1", sending{250, 4 * time.Second}},
		"checks that hear of it":  {slowly{takes: 11 * time.Second}, "bob 0", sending{451, stopTime}},
		"checks that do not":      {slowly{takes: 11 * time.Second, deaf: true}, "bob 0", sending{0, 7 * time.Second}},
	} {
		for _, listener := range []string{"smtp", "lmtp"} {
			t.Run(name+" by "+listener, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(t *testing.T, w *world) {
					c.checks.Policy = w.server.Policy
					w.server.Policy = c.checks
					got := w.begin(listener)
					if err := w.stop("7s"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if err := w.filed(c.filed); err != nil || *got != c.want {
						t.Errorf("%+v, want %+v; %v", *got, c.want, err)
					}
				})
			})
		}
	}
}
