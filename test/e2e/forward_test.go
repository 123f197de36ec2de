package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// mainServer takes mail as the main server of relay domains does.
type mainServer struct {
	port string
	got  chan arrival
}

// arrival is what came: the reverse-path, the recipients and the content.
type arrival struct {
	from, text string
	to         []string
}

func newMainServer(t *testing.T) *mainServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	m := &mainServer{port, make(chan arrival, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return m
}

func (m *mainServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewScanner(c)
	answer := func(text string) { fmt.Fprint(c, text+"\r\n") }
	var now arrival
	answer("220 main.test")
	for in.Scan() {
		line := strings.TrimRight(in.Text(), "\r")
		switch verb := strings.ToUpper(strings.SplitN(line+" ", " ", 2)[0]); verb {
		case "MAIL":
			now = arrival{from: between(line)}
		case "RCPT":
			now.to = append(now.to, between(line))
		case "DATA":
			answer("354 go on")
			for in.Scan() && strings.TrimRight(in.Text(), "\r") != "." {
				now.text += in.Text() + "\n"
			}
			m.got <- now
		case "QUIT":
			answer("221 bye")
			return
		}
		answer("250 ok")
	}
}

// between returns what stands in angle brackets.
func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	path, _, _ := strings.Cut(rest, ">")
	return path
}

// next returns the next message.
func (m *mainServer) next(t *testing.T) arrival {
	t.Helper()
	select {
	case l := <-m.got:
		return l
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return arrival{}
}

// mails sends a message from outside and returns the answer to RCPT.
func mails(t *testing.T, s *server, from, to string) string {
	t.Helper()
	c := dial(t, "tcp", s.Addr("smtp"))
	c.expect("", "220")
	c.expect("EHLO else.example", "250")
	c.expect("MAIL FROM:<"+from+">", "250")
	answer := c.say("RCPT TO:<" + to + ">")
	if strings.HasPrefix(answer, "250") {
		c.expect("DATA", "354")
		c.expect("From: a@else.example\r\nSubject: letter to "+to+"\r\n\r\nHello.\r\n.", "250")
	}
	c.expect("QUIT", "221")
	return answer
}

// Mail for relay domains reaches their main server at once and without a
// restart; forwarded mail leaves under a reverse-path of ours, and its bounce
// comes back through us to the sender.
func TestRelayDomainsAndForwardingWork(t *testing.T) {
	t.Parallel()
	s := start(t, "--send")
	inside := newMainServer(t)
	if answer := mails(t, s, "alice@sender.example", "ann@branch.example"); !strings.HasPrefix(answer, "55") {
		t.Fatalf("before it is a relay domain: %s", answer)
	}
	at := []string{"--host", "127.0.0.1", "--port", inside.port}
	s.do(append([]string{"relay", "domain", "add", "branch", "branch.example", "--recipient", "ann@branch.example,bob@branch.example"}, at...)...)
	contains(t, s.do(append([]string{"relay", "domain", "add", "sender", "sender.example"}, at...)...), "Warning")
	if answer := mails(t, s, "alice@sender.example", "eve@branch.example"); !strings.HasPrefix(answer, "550 5.1.1") {
		t.Errorf("a recipient who is not listed: %s", answer)
	}
	if answer := mails(t, s, "alice@sender.example", "ann@branch.example"); !strings.HasPrefix(answer, "250") {
		t.Fatalf("a recipient who is listed: %s", answer)
	}
	if l := inside.next(t); l.from != "alice@sender.example" || strings.Join(l.to, " ") != "ann@branch.example" || strings.Contains(l.text, "Delivered-To") {
		t.Errorf("%+v", l)
	}

	s.do("account", "set", demo, "--forward", "bob@branch.example", "--no-keep-copy")
	if answer := mails(t, s, "alice@sender.example", demo); !strings.HasPrefix(answer, "250") {
		t.Fatal(answer)
	}
	forwarded := inside.next(t)
	if !strings.HasPrefix(forwarded.from, "SRS0=") || !strings.HasSuffix(forwarded.from, "=sender.example=alice@example.test") ||
		strings.Join(forwarded.to, " ") != "bob@branch.example" || !strings.HasPrefix(forwarded.text, "Delivered-To: "+demo) {
		t.Errorf("%+v", forwarded)
	}
	if answer := mails(t, s, "", forwarded.from); !strings.HasPrefix(answer, "250") {
		t.Fatalf("the bounce: %s", answer)
	}
	if l := inside.next(t); l.from != "" || strings.Join(l.to, " ") != "alice@sender.example" {
		t.Errorf("the bounce came as %+v", l)
	}
	if answer := mails(t, s, "", strings.Replace(forwarded.from, "alice", "mallory", 1)); !strings.HasPrefix(answer, "550 5.1.1") {
		t.Errorf("a forged one: %s", answer)
	}

	s.do("setting", "set", "directory.forwarding=false")
	contains(t, s.do("account", "show", demo), "disabled by the administrator")
	if answer := mails(t, s, "alice@sender.example", demo); !strings.HasPrefix(answer, "250") {
		t.Fatal(answer)
	}
	s.do("setting", "set", "directory.external_postmaster=noc@sender.example")
	if answer := mails(t, s, "alice@sender.example", "postmaster"); !strings.HasPrefix(answer, "250") {
		t.Fatal(answer)
	}
	if l := inside.next(t); !strings.HasPrefix(l.from, "SRS0=") || strings.Join(l.to, " ") != "noc@sender.example" {
		t.Errorf("the external postmaster: %+v", l)
	}
	if list := s.do("account", "list", "--json"); strings.Count(list, `"used_messages": 1`) != 2 {
		t.Errorf("one copy of each was to stay here: %s", list)
	}
	contains(t, s.do("queue", "list"), "queue is empty")
}
