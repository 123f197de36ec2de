package smtpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthorn/internal/server/listen"
	"posthorn/internal/state/setting"
	"posthorn/internal/testkit/transcript"
	"posthorn/internal/wire/smtp"
)

// TestTranscripts plays testdata/*.txtar: each part is a dialogue against a
// server with the real store, in virtual time. The first line of a file names
// the requirements it shows.
func TestTranscripts(t *testing.T) { transcript.Files(t, play) }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAStopTellsAThousandSessions is hostile row 50: 421 4.3.2 to all, and the
// server is gone long before 10 s.
func TestAStopTellsAThousandSessions(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		var clients []*smtp.Client
		for i := range 1000 {
			c := w.dial("smtp")
			if err := c.Greet("client.example"); err != nil {
				t.Fatal(i, err)
			}
			clients = append(clients, c)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if cut := w.group.Stop(ctx); cut > 0 || time.Since(began) > time.Second {
			t.Errorf("%d sessions were cut after %v", cut, time.Since(began))
		}
		for _, c := range clients {
			if r, err := c.Read(); err != nil || r.Code != 421 || r.Enhanced.String() != "4.3.2" {
				t.Fatal(r, err)
			}
		}
	})
}

func TestSettingsAreSound(t *testing.T) {
	s := setting.Defaults[Settings](setting.Recommended)
	s.Banner = "a\r\nb"
	if s.Validate() == nil {
		t.Error("a banner with a line end is allowed")
	}
	factory, trial := setting.Defaults[Settings](setting.Factory), setting.Defaults[Settings](setting.Trial)
	if factory.IdleTimeout != time.Minute || factory.Errors.Count != "all" || trial.Errors.Delay != 0 {
		t.Errorf("%+v %+v", factory, trial)
	}
}

func TestBusyServersSaySo(t *testing.T) {
	s := benchServer(nil)
	info := listen.Info{Client: netip.MustParseAddrPort("192.0.2.1:1")}
	if got := string(s.Refuse(listen.HostFull, info)); got != "421 4.7.0 Too many connections from 192.0.2.1\r\n" {
		t.Error(got)
	}
	for _, reason := range []listen.Reason{listen.Full, listen.Memory, listen.Descriptors} {
		if got := string(s.Refuse(reason, info)); !strings.HasPrefix(got, "421 4.3.2 ") {
			t.Error(got)
		}
	}
}

// FuzzSession: whatever a client sends in whatever pieces, the session ends
// when it ends, and every octet of an answer belongs to a reply.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO a.example\r\n"+envelopeCommands+"x\r\n.\r\nQUIT\r\n"), uint8(0))
	f.Add([]byte("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\nBDAT 3\r\nabcBDAT 0 LAST\r\nRSET\r\n"), uint8(3))
	f.Add([]byte("HELO a\r\nMAIL FROM:<>\r\nRSET\r\nAUTH PLAIN =\r\nSTARTTLS\r\n\x00"), uint8(200))
	s := benchServer(nil)
	settings := *s.Settings()
	settings.Errors.Delay, settings.JunkLimit = 0, 0
	s.Settings = func() *Settings { return &settings }
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		c := &script{rounds: 1}
		for piece := range slices.Chunk(in, int(step)+1) {
			c.pieces = append(c.pieces, string(piece))
		}
		var said bytes.Buffer
		c.said = &said
		s.Serve(t.Context(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
		replies := smtp.NewReader(&said)
		for {
			if _, err := smtp.ReadReply(replies); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
	})
}
