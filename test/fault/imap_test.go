package fault

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// imapConn is a plain IMAP connection of a test.
type imapConn struct {
	t    *testing.T
	c    net.Conn
	in   *bufio.Reader
	next int
}

func dialIMAP(t *testing.T, addr string) *imapConn {
	t.Helper()
	i, err := connect(addr)
	if err != nil {
		t.Fatal(err)
	}
	i.t = t
	t.Cleanup(func() { _ = i.c.Close() })
	return i
}

// connect connects and reads the greeting.
func connect(addr string) (*imapConn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	i := &imapConn{c: c, in: bufio.NewReader(c)}
	_, err = i.in.ReadString('\n')
	return i, err
}

// do runs a command that must succeed and returns its untagged lines.
func (i *imapConn) do(command string) []string {
	i.t.Helper()
	lines, err := i.try(command)
	if err != nil {
		i.t.Fatalf("%.60s: %v", command, err)
	}
	return lines
}

// try runs a command; any end but OK is an error.
func (i *imapConn) try(command string) ([]string, error) {
	i.next++
	tag := fmt.Sprintf("x%d", i.next)
	_ = i.c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(i.c, tag+" "+command+"\r\n"); err != nil {
		return nil, err
	}
	var lines []string
	for {
		line, err := i.in.ReadString('\n')
		if err != nil {
			return lines, err
		}
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return lines, fmt.Errorf("the server said %s", rest)
			}
			return append(lines, rest), nil
		}
		lines = append(lines, line)
	}
}
