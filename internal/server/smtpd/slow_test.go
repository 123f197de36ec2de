package smtpd

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"posthorn/internal/policy"
	"posthorn/internal/server/listen"
	"posthorn/internal/testkit/transcript"
)

// hung is a policy whose checks of the content wait for something that does not come.
type hung struct{ Policy }

func (h hung) Judge(ctx context.Context, stage policy.Stage, f *policy.Facts) policy.Decision {
	if stage == policy.Content {
		<-ctx.Done()
		return policy.Decision{} // as a check does that lets mail pass when nobody answers
	}
	return h.Policy.Judge(ctx, stage, f)
}

// A client waits ten minutes and then sends again: what was checked for longer
// must not be taken.
func TestMailIsNotTakenAfterTheClientGaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := benchServer(nil)
		s.Policy = hung{s.Policy}
		err := transcript.Run(`
connect 192.0.2.1 smtp
S: 220 …
C: HELO client.example
S: 250 …
C: MAIL FROM:<a@remote.example>
S: 250 …
C: RCPT TO:<bob@example.test>
S: 250 …
C: DATA
S: 354 …
C: Subject: x
C: .
S: 451 4.3.0 …
took 6m0s`, transcript.Options{Serve: func(listener string, c net.Conn) {
			client := netip.MustParseAddrPort(c.RemoteAddr().String())
			s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: listener, Client: client}))
		}})
		if err != nil {
			t.Error(err)
		}
	})
}
