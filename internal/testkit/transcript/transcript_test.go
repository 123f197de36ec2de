package transcript

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// echo greets after 5 s and answers each line after 1 s.
func echo(listener string, c net.Conn) {
	time.Sleep(5 * time.Second)
	fmt.Fprintf(c, "hello from %s\r\n", listener)
	in := bufio.NewScanner(c)
	for in.Scan() && in.Text() != "bye" {
		time.Sleep(time.Second)
		fmt.Fprintf(c, "%q\r\n", in.Text())
	}
}

func TestDialoguesArePlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := Run(`
connect 192.0.2.1 one
silence
A connect 2001:db8::1 two
S: hello from one
took 5s
C: a\tb\x00
S: "a\t…"
took 1s
A S: hello from …
A C* 3 ab
A C- \r\n
A S: "ababab"
C: bye
eof
`, Options{Serve: echo})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWrongDialoguesFail(t *testing.T) {
	for _, d := range []string{
		"S: x", "connect 192.0.2.1\nS: hello from two", "connect 192.0.2.1\nS: hello from \ntook 4s",
		"connect 192.0.2.1 a\neof", "connect 192.0.2.1 a\nwait 6s\nsilence", "connect 192.0.2.1 a\nnonsense", "! x",
		"connect 192.0.2.1 a\nS* never",
	} {
		synctest.Test(t, func(t *testing.T) {
			if err := Run(d, Options{Serve: echo}); err == nil || !strings.Contains(err.Error(), "line ") {
				t.Errorf("%q: %v", d, err)
			}
		})
	}
}
