package ledger

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func TestTheBalanceAllowsWhatTheAttemptsMayHaveLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                   string
		acked                  bool
		silent, found          int
		lost, doubled, refused int
		ok                     bool
	}{
		{"acknowledged, there once", true, 0, 1, 0, 0, 0, true},
		{"acknowledged, not there", true, 0, 0, 1, 0, 0, false},
		{"acknowledged, there twice", true, 0, 2, 0, 1, 1, false},
		{"no reply, then acknowledged, there twice", true, 1, 2, 0, 0, 0, true},
		{"no reply, then acknowledged, there three times", true, 1, 3, 0, 1, 1, false},
		{"no reply, not there", false, 1, 0, 0, 0, 0, true},
		{"no reply, there", false, 1, 1, 0, 0, 0, true},
		{"no reply twice, there twice", false, 2, 2, 0, 0, 0, true},
		{"refused, not there", false, 0, 0, 0, 0, 0, true},
		{"refused, there", false, 0, 1, 0, 0, 1, true},
	} {
		l := New()
		m := l.Next(300, "a@example.test")
		if c.acked {
			l.Acked(m)
		}
		for range c.silent {
			l.Silent(m)
		}
		for range c.found {
			l.Found("a@example.test", m.Content)
		}
		v := l.Balance()
		if v.Lost != c.lost || v.Doubled != c.doubled || v.Refused != c.refused || v.OK() != c.ok || l.Silences() != c.silent {
			t.Errorf("%s: %v", c.name, v)
		}
	}
}

// server answers each connection with a script: one reply to each line that
// is no content, "" for hanging up.
func server(t *testing.T, scripts ...string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for _, script := range scripts {
			c, err := l.Accept()
			if err != nil {
				return
			}
			speak(c, strings.Fields(script))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func speak(c net.Conn, codes []string) {
	in := bufio.NewReader(c)
	for i, code := range codes {
		if _, err := c.Write([]byte(code + " x\r\n")); err != nil || i == len(codes)-1 && code != "354" {
			return
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if code != "354" || line == ".\r\n" {
				break
			}
		}
	}
}

func TestAMessageIsSentAgainUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := New()
	s := sender{books: l, load: Load{Retry: true, Accounts: []string{"a@example.test"}, Sizes: []int{300},
		Addr: func() string { return "" }}}
	addr := server(t, "220 250 451", "220 250 250 250 354", "220 250 250 250 354 451", "220 250 250 250 354 250")
	s.load.Addr = func() string { return addr }
	var said []bool
	for range 4 {
		said = append(said, errors.Is(s.untilError(ctx), ErrSilent))
	}
	if sent, acked := l.Count(); sent != 2 || acked != 1 || l.Silences() != 1 || !said[1] {
		t.Errorf("%d sent, %d acknowledged, %d without a reply: %v", sent, acked, l.Silences(), said)
	}
}
