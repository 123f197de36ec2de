package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"posthorn/internal/base/limit"
)

// ClamAV asks a clamd (clamd(8)). It may be used by many goroutines.
type ClamAV struct {
	o    ClamAVOptions
	gate *limit.Gate
}

// ClamAVOptions say where clamd is and how much it is asked.
type ClamAVOptions struct {
	Endpoint Endpoint
	Dial     Dial
	// Timeout bounds one scan, waiting for a turn included; 0 leaves it to the
	// context.
	Timeout time.Duration
	// Width is how many scans run at once, Queue how many may wait.
	Width, Queue int
}

// NewClamAV returns a scanner; it does not connect yet.
func NewClamAV(o ClamAVOptions) *ClamAV {
	return &ClamAV{o: o, gate: limit.NewGate(o.Width, o.Queue)}
}

// Finding is clamd's opinion of a message.
type Finding struct {
	Infected bool
	// Signature names what was found, as clamd does.
	Signature string
}

const (
	clamChunk  = 64 << 10
	clamAnswer = 4 << 10
)

// Scan sends a message and returns what clamd found. Where clamd looked at a
// part only the error is ErrTooLarge; limit.ErrCrowded says that too many
// scans wait already.
func (c *ClamAV) Scan(ctx context.Context, message io.Reader) (Finding, error) {
	var f Finding
	err := c.ask(ctx, func(ctx context.Context, conn net.Conn) error {
		answer, err := stream(ctx, conn, message)
		if err != nil {
			return err
		}
		f, err = finding(answer)
		return err
	})
	return f, err
}

// Ping asks whether clamd is there.
func (c *ClamAV) Ping(ctx context.Context) error {
	answer, err := c.command(ctx, "zPING")
	if err == nil && answer != "PONG" {
		err = fmt.Errorf("clamav: %w: %q to PING", ErrAnswer, word(answer))
	}
	return err
}

// Version returns the versions of program and signatures in clamd's words.
func (c *ClamAV) Version(ctx context.Context) (string, error) {
	answer, err := c.command(ctx, "zVERSION")
	return word(answer), err
}

func (c *ClamAV) command(ctx context.Context, command string) (answer string, err error) {
	err = c.ask(ctx, func(ctx context.Context, conn net.Conn) error {
		if _, err := io.WriteString(conn, command+"\x00"); err != nil {
			return down(ctx, err)
		}
		answer, err = readAnswer(ctx, conn)
		return err
	})
	return answer, err
}

// ask holds one conversation over a connection of its own: clamd forgets a
// session that idles, and a connection costs nothing beside a scan.
func (c *ClamAV) ask(ctx context.Context, talk func(context.Context, net.Conn) error) error {
	ctx, cancel := within(ctx, c.o.Timeout)
	defer cancel()
	if err := c.gate.Enter(ctx); err != nil {
		return fmt.Errorf("clamav: %w", err)
	}
	defer c.gate.Leave()
	conn, release, err := dial(ctx, c.o.Dial, c.o.Endpoint)
	if err != nil {
		return fmt.Errorf("clamav: %w", err)
	}
	defer release()
	if err := talk(ctx, conn); err != nil {
		return fmt.Errorf("clamav: %w", err)
	}
	return nil
}

// stream sends the message by zINSTREAM. The answer is awaited all the while:
// clamd answers early when it has had too much, and then hangs up on us.
func stream(ctx context.Context, conn net.Conn, message io.Reader) (string, error) {
	type result struct {
		answer string
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		answer, err := readAnswer(ctx, conn)
		_ = conn.SetWriteDeadline(past) // there is nothing more to say
		answered <- result{answer, err}
	}()
	var unread *readError
	if errors.As(send(conn, message), &unread) {
		_ = conn.Close() // ends the reader
		<-answered
		return "", unread.err
	}
	r := <-answered // which knows best why nothing could be sent
	return r.answer, r.err
}

// readError is a failure of the message's reader.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// send writes the message in chunks, each with its length before it, and an
// empty one at the end.
func send(conn net.Conn, message io.Reader) error {
	if _, err := io.WriteString(conn, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+clamChunk)
	for {
		n, err := io.ReadFull(message, buf[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := conn.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			_, err = conn.Write([]byte{0, 0, 0, 0})
			return err
		case err != nil:
			return &readError{err}
		}
	}
}

// readAnswer reads up to the NUL that ends an answer.
func readAnswer(ctx context.Context, conn net.Conn) (string, error) {
	buf := make([]byte, 0, 256)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end := bytes.IndexByte(buf, 0); end >= 0 {
			return string(buf[:end]), nil
		}
		switch {
		case len(buf) > clamAnswer:
			return "", fmt.Errorf("%w: more than %d octets", ErrAnswer, clamAnswer)
		case err != nil:
			return "", down(ctx, err)
		}
	}
}

// finding reads "stream: OK", "stream: NAME FOUND" or "… ERROR".
func finding(answer string) (Finding, error) {
	text, _ := strings.CutPrefix(answer, "stream: ")
	if text == "OK" {
		return Finding{}, nil
	}
	if name, ok := strings.CutSuffix(text, " FOUND"); ok && name != "" {
		if strings.HasPrefix(name, "Heuristics.Limits.Exceeded") { // AlertExceedsMax
			return Finding{}, fmt.Errorf("%w: %s", ErrTooLarge, word(name))
		}
		return Finding{Infected: true, Signature: word(name)}, nil
	}
	reason, ok := strings.CutSuffix(text, "ERROR")
	switch {
	case ok && strings.Contains(reason, "size limit exceeded"):
		return Finding{}, fmt.Errorf("%w: %s", ErrTooLarge, word(reason))
	case ok:
		return Finding{}, fmt.Errorf("%w: %s", ErrScanner, word(strings.TrimSpace(reason)))
	}
	return Finding{}, fmt.Errorf("%w: %q", ErrAnswer, word(answer))
}
