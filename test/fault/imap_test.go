package fault

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// imapConn is a plain IMAP connection of a test.
type imapConn struct {
	t    *testing.T
	c    net.Conn
	in   *bufio.Reader
	next int
}

// response is one line of the server; text has its literals left out, but for
// their sizes.
type response struct {
	text     string
	literals []string
}

// refusal is a NO or BAD.
type refusal struct{ line string }

// Error implements error.
func (r *refusal) Error() string { return "the server said " + r.line }

// refused reports whether the server answered, but not with OK.
func refused(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

func dialIMAP(t *testing.T, addr string) *imapConn {
	t.Helper()
	i, err := connect(addr)
	if err != nil {
		t.Fatal(err)
	}
	i.t = t
	t.Cleanup(i.close)
	return i
}

// connect connects and reads the greeting.
func connect(addr string) (*imapConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	i := &imapConn{c: c, in: bufio.NewReader(c)}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err = i.in.ReadString('\n'); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

// login connects, logs in and selects INBOX.
func login(addr, account string) (*imapConn, error) {
	i, err := connect(addr)
	if err != nil {
		return nil, err
	}
	for _, command := range []string{"LOGIN " + account + ` "` + daemon.Password + `"`, "SELECT INBOX"} {
		if _, err := i.try(command); err != nil {
			i.close()
			return nil, err
		}
	}
	return i, nil
}

func (i *imapConn) close() { _ = i.c.Close() }

// do runs a command that must succeed and returns its untagged lines.
func (i *imapConn) do(command string) []string {
	i.t.Helper()
	lines, err := i.try(command)
	if err != nil {
		i.t.Fatalf("%.60s: %v", command, err)
	}
	return lines
}

// try is ask for who wants no literals.
func (i *imapConn) try(command string) ([]string, error) {
	answer, err := i.ask(command)
	lines := make([]string, len(answer))
	for n, r := range answer {
		lines[n] = r.text
	}
	return lines, err
}

// ask runs a command; any end but OK is an error, NO and BAD are a refusal.
func (i *imapConn) ask(command string) ([]response, error) {
	i.next++
	tag := fmt.Sprintf("x%d", i.next)
	_ = i.c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(i.c, tag+" "+command+"\r\n"); err != nil {
		return nil, err
	}
	var answer []response
	for {
		r, err := i.response()
		if err != nil {
			return answer, err
		}
		if rest, ok := strings.CutPrefix(r.text, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return answer, &refusal{rest}
			}
			return append(answer, response{text: rest}), nil
		}
		answer = append(answer, r)
	}
}

// response reads a line with its literals.
func (i *imapConn) response() (response, error) {
	var r response
	for {
		line, err := i.in.ReadString('\n')
		if err != nil {
			return r, err
		}
		line = strings.TrimRight(line, "\r\n")
		r.text += line
		at := strings.LastIndexByte(line, '{')
		if at < 0 || !strings.HasSuffix(line, "}") {
			return r, nil
		}
		size, err := strconv.Atoi(line[at+1 : len(line)-1])
		if err != nil {
			return r, nil // no literal
		}
		raw := make([]byte, size)
		if _, err := io.ReadFull(i.in, raw); err != nil {
			return r, err
		}
		r.literals = append(r.literals, string(raw))
	}
}
