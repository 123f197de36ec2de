package smtpd

import (
	"errors"
	"os"
	"time"
)

// The slowest a message may arrive, averaged over a window of waiting
// (B1G-GEN-02, reliability.md row 11).
const (
	slowest    = 500 // octets per second
	rateWindow = 60 * time.Second
)

// meter watches how fast content arrives. Only time spent waiting for the
// client counts, not what the store or a scanner takes.
type meter struct {
	until  time.Time     // of the whole message
	waited time.Duration // in this window
	octets int64         // in this window
}

// note counts a read and reports whether the client is still fast enough.
func (m *meter) note(n int, took time.Duration) bool {
	m.octets += int64(n)
	if m.waited += took; m.waited < rateWindow {
		return true
	}
	fast := m.octets >= int64(m.waited/time.Second)*slowest
	m.waited, m.octets = 0, 0
	return fast
}

// readContent is Read while a message comes in.
func (c *connection) readContent(b []byte) (int, error) {
	m := c.meter
	for {
		now := time.Now()
		silence, window := now.Add(c.settings.IdleTimeout), now.Add(rateWindow-m.waited)
		if err := c.net.SetReadDeadline(earlier(earlier(silence, window), m.until)); err != nil {
			return 0, err
		}
		n, err := c.net.Read(b)
		c.octets += int64(n)
		done := time.Now()
		fast := m.note(n, done.Sub(now))
		switch {
		case n > 0 && fast:
			return n, nil
		case n > 0:
			return 0, errTimeout
		case !errors.Is(err, os.ErrDeadlineExceeded), !fast, !done.Before(silence), !done.Before(m.until):
			return 0, c.readError(err)
		}
	}
}

// content runs read with the deadlines of a message; a stopping server lets
// it finish (Shield).
func (c *connection) content(m *meter, read func() error) error {
	c.net.Shield(true)
	c.meter = m
	err := read()
	c.meter = nil
	c.net.Shield(false)
	return err
}
