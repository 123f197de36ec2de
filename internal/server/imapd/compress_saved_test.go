//go:build unix

package imapd

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// counted counts what a client receives.
type counted struct {
	net.Conn
	octets int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.octets += n
	return n, err
}

// TestCompressionSavesOctets fetches 1,000 envelopes, and 1,000 texts.
func TestCompressionSavesOctets(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	if err := w.fill(1000); err != nil {
		t.Fatal(err)
	}
	received := func(command string, compress bool) int {
		k := w.talker(t, "alice")
		defer func() { _ = k.conn.Close() }()
		_ = k.conn.SetDeadline(time.Now().Add(time.Minute))
		wire := &counted{Conn: k.conn}
		k.conn, k.in = wire, bufio.NewReader(wire)
		if compress {
			k.compress(syncFlush())
		}
		k.say("s SELECT INBOX")
		for !strings.HasPrefix(k.hear(""), "s OK ") {
		}
		wire.octets = 0
		k.say("f %s", command)
		for !strings.HasPrefix(k.hear(""), "f OK ") {
		}
		return wire.octets
	}
	for _, command := range []string{"FETCH 1:* ENVELOPE", "FETCH 1:* BODY.PEEK[]"} {
		plain, small := received(command, false), received(command, true)
		t.Logf("%s: %d octets, compressed %d (%.1f %%)", command, plain, small, 100*float64(small)/float64(plain))
		if small > plain/5 {
			t.Errorf("%s: %d octets of %d", command, small, plain)
		}
	}
}
