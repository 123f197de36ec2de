package imapd

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// errWoken says that a wait ended because there is something to tell.
var errWoken = errors.New("imapd: woken")

// perOctet is what each octet received adds to a command's time: 500 octets
// a second is the slowest client that is waited for (reliability row 11).
const perOctet = time.Second / 500

// source reads from a connection under two clocks: how long a client may be
// silent between commands, and how long a command may take in all. In IDLE,
// wake interrupts the wait for the client; that is how the goroutine that
// reads hears of news.
type source struct {
	conn net.Conn
	// idleUntil bounds the wait for the first octet; busyUntil the rest.
	idleUntil, busyUntil time.Time
	command              time.Duration
	busy                 bool
	packed               bool  // a command begins with what is decompressed, not with what is received
	err                  error // what ended reading, except a woken wait

	ahead [1]byte // read by await
	has   bool
	news  func() error // what a wake is for; nil except in IDLE

	mu      sync.Mutex
	waiting bool
	woken   bool
}

// idle begins the wait for a command.
func (s *source) idle(until time.Time, command time.Duration) {
	s.idleUntil, s.command, s.busy = until, command, false
}

// listen sets what is called when a wake interrupts the wait for the client.
func (s *source) listen(news func() error) { s.news = news }

// Read implements io.Reader for the decoder.
func (s *source) Read(p []byte) (n int, err error) {
	if s.news != nil && !s.busy {
		if s.err = s.attend(); s.err != nil {
			return 0, s.err
		}
	}
	if s.has {
		s.has = false
		p[0] = s.ahead[0]
		return 1, nil
	}
	until := s.idleUntil
	if s.busy {
		until = s.busyUntil
	}
	if err := s.conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	n, err = s.conn.Read(p)
	s.received(n)
	s.err = err
	return n, err
}

func (s *source) received(n int) {
	if n == 0 {
		return
	}
	if !s.packed {
		s.begin()
	}
	s.busyUntil = s.busyUntil.Add(time.Duration(n) * perOctet)
}

// begin starts the clock of a command, unless it runs.
func (s *source) begin() {
	if !s.busy {
		s.busy, s.busyUntil = true, time.Now().Add(s.command)
	}
}

// attend waits until the client sends something, which stays to be read, and
// tells news meanwhile. An error in telling ends it.
func (s *source) attend() error {
	for {
		err := s.await()
		if !errors.Is(err, errWoken) {
			return err
		}
		if err := s.news(); err != nil {
			return err
		}
	}
}

// await waits until the client sends something. It returns errWoken if wake
// was called since the last await returned.
func (s *source) await() error {
	if s.has {
		return nil
	}
	s.mu.Lock()
	if s.woken {
		s.woken = false
		s.mu.Unlock()
		return errWoken
	}
	s.waiting = true
	err := s.conn.SetReadDeadline(s.idleUntil)
	s.mu.Unlock()
	n := 0
	if err == nil {
		n, err = s.conn.Read(s.ahead[:])
	}
	s.has = n == 1
	s.received(n)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	switch {
	case s.has:
		return nil
	case s.woken && errors.Is(err, os.ErrDeadlineExceeded):
		s.woken = false
		return errWoken
	}
	return err
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// wake ends await, the one that runs or else the next.
func (s *source) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = true
	if s.waiting {
		_ = s.conn.SetReadDeadline(past) // fails only on a closed connection, where await has ended
	}
}

// sink writes to a connection and gives each piece its time.
type sink struct {
	conn net.Conn
	time time.Duration
	err  error // what ended writing
}

// Write implements io.Writer for the encoder.
func (s *sink) Write(p []byte) (n int, err error) {
	if err = s.conn.SetWriteDeadline(time.Now().Add(s.time)); err == nil {
		n, err = s.conn.Write(p)
	}
	s.err = err
	return n, err
}
