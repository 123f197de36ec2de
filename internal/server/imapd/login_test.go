package imapd

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"posthorn/internal/testkit/memconn"
	"posthorn/internal/wire/sasl"
)

// dial connects a raw client to the server.
func (w *world) dial() net.Conn {
	ours, theirs := memconn.Pair(netip.MustParseAddrPort("192.0.2.9:5000"), netip.MustParseAddrPort("192.0.2.1:143"))
	go func() {
		w.serve("imap", theirs)
		_ = theirs.Close()
	}()
	return ours
}

// talker reads lines and writes commands for tests that need more than a transcript.
type talker struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (k *talker) say(format string, args ...any) { fmt.Fprintf(k.conn, format+"\r\n", args...) }

func (k *talker) hear(prefix string) string {
	k.t.Helper()
	line, err := k.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, prefix) {
		k.t.Fatalf("heard %q, %v; wanted %q", line, err, prefix)
	}
	return strings.TrimSuffix(strings.TrimPrefix(line, prefix), "\r\n")
}

func TestScramIsBoundToTLS(t *testing.T) {
	for _, m := range []sasl.Mechanism{sasl.ScramSHA256, sasl.ScramSHA256Plus} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			var client *tls.Config
			w.tls, client = certificate(t)
			w.offer.PlaintextWithoutTLS = false
			conn := w.dial()
			k := &talker{t, conn, bufio.NewReader(conn)}
			k.hear("* OK ")
			k.say("a STARTTLS")
			k.hear("a OK ")
			secure := tls.Client(conn, client)
			if err := secure.Handshake(); err != nil {
				t.Fatal(err)
			}
			k.conn, k.in = secure, bufio.NewReader(secure)
			state := secure.ConnectionState()
			offered := []string{"SCRAM-SHA-256"}
			if m == sasl.ScramSHA256Plus {
				offered = append(offered, string(m))
			}
			x, err := sasl.NewClient(m, sasl.Credentials{Name: "alice", Password: "secret"}, offered, sasl.ClientBinding(&state))
			if err != nil {
				t.Fatal(err)
			}
			first, err := x.Start()
			if err != nil {
				t.Fatal(err)
			}
			k.say("b AUTHENTICATE %s %s", m, base64.StdEncoding.EncodeToString(first))
			if m == sasl.ScramSHA256 {
				// The client says it saw no -PLUS although there was one: somebody removed it.
				k.hear("b NO [AUTHENTICATIONFAILED]")
				_ = conn.Close()
				return
			}
			k.say("%s", answer(t, x, k.hear("+ ")))
			k.say("%s", answer(t, x, k.hear("+ ")))
			k.hear("b OK ")
			if err := x.Finish(); err != nil {
				t.Error(err)
			}
			_ = conn.Close()
		})
	}
}

func answer(t *testing.T, x sasl.Client, challenge string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(challenge)
	if err != nil {
		t.Fatal(err)
	}
	next, err := x.Next(raw)
	if err != nil && !errors.Is(err, sasl.ErrServer) {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(next)
}
