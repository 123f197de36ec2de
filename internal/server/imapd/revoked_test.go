package imapd

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestAnEndedLoginGetsAGoodbye: a client in IDLE, one between commands and one
// in the middle of APPEND are told, those of another account are not.
func TestAnEndedLoginGetsAGoodbye(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	defer w.close()
	addr, group := w.open()
	defer group.Stop(w.ctx)
	states := map[string]string{"idling": "", "between commands": "DONE\r\n", "in APPEND": "DONE\r\nz APPEND INBOX {100}\r\n", "with commands sent ahead": "DONE\r\n"}
	answers := map[string]string{"between commands": "t2 OK", "in APPEND": "+ ", "with commands sent ahead": "t2 OK"}
	read := map[string]func() (string, error){}
	send := map[string]func(string){}
	for state, say := range states {
		conn, in, err := idler(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		send[state] = func(text string) {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Error(err)
			}
		}
		read[state] = func() (string, error) { return in.ReadString('\n') }
		send[state](say)
		for want := answers[state]; want != ""; {
			line, err := read[state]()
			if err != nil {
				t.Fatal(state, err)
			}
			if strings.HasPrefix(line, want) {
				break
			}
		}
	}
	logins := group.Logins(false)
	if len(logins) != len(states) || logins[0].Account != w.accounts["alice"] {
		t.Fatalf("%d logins", len(logins))
	}
	for _, l := range logins {
		group.End(l)
	}
	send["in APPEND"](strings.Repeat("x", 100) + "\r\n")
	for state := range states {
		var all []string
		for {
			line, err := read[state]()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(state, err)
			}
			all = append(all, line)
		}
		if n := len(all); n == 0 || all[n-1] != "* BYE [EXPIRED] Your login has ended\r\n" || strings.Contains(fmt.Sprint(all), "z OK") {
			t.Errorf("%s: %q", state, all)
		}
	}
}

// A client that is in the middle of its mail when its login ends gets the
// message that is on its way, and no other.
func TestAnEndedLoginStopsAFetchAtTheNextMessage(t *testing.T) {
	defer goleak.VerifyNone(t)
	w := newWorld(t)
	defer w.close()
	const messages = 24 // more than the sockets hold
	content := "Subject: long\r\n\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1000)
	for range messages {
		if err := w.file("alice", content); err != nil {
			t.Fatal(err)
		}
	}
	addr, group := w.open()
	defer group.Stop(w.ctx)
	conn, in, err := idler(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "DONE\r\nf FETCH 1:* BODY[]\r\n"); err != nil {
		t.Fatal(err)
	}
	fetched, ended := 0, false
	var before, last string
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, " BODY[] {") {
			fetched++
		}
		before, last = last, line
		if fetched > 0 && !ended {
			ended = true
			for _, l := range group.Logins(false) {
				group.End(l)
			}
		}
	}
	if fetched == messages {
		t.Errorf("all %d messages were sent", fetched)
	}
	if before != "f NO [UNAVAILABLE] The session ends\r\n" || last != "* BYE [EXPIRED] Your login has ended\r\n" {
		t.Errorf("%d messages, then %q and %q", fetched, before, last)
	}
}
