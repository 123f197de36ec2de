package pop3d

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

func TestListTellsTheOctetsThatAreSent(t *testing.T) {
	t.Parallel()
	serverTLS()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		var contents []string
		for _, lines := range []int{0, 1, 3, 500, 10_000} { // in memory, in a row, in a file
			for _, end := range []string{"\r\n", "\n", "\r"} {
				for _, last := range []string{"", "no end", "."} {
					contents = append(contents, "A: 1\r\n\r\n"+strings.Repeat(".a line"+end, lines)+last)
				}
			}
		}
		for _, content := range contents {
			if err := w.file("alice", []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		conn, done := w.connect("plain")
		p := newPeer(t, conn)
		p.expect("+OK")
		p.send("USER alice@example.test", "PASS secret", "LIST")
		p.expect("+OK", "+OK", "+OK")
		sizes, total := make([]int, len(contents)), 0
		for i := range sizes {
			var n int
			if _, err := fmt.Sscanf(p.line(), "%d %d", &n, &sizes[i]); err != nil || n != i+1 {
				t.Fatal(n, err)
			}
			total += sizes[i]
		}
		p.expect(".")
		p.send("STAT")
		p.expect(fmt.Sprintf("+OK %d %d", len(contents), total))
		for i, size := range sizes {
			p.send("RETR " + strconv.Itoa(i+1))
			p.expect(fmt.Sprintf("+OK %d octets", size))
			sent := 0
			for line := p.line(); line != "."; line = p.line() {
				sent += len(strings.TrimPrefix(line, ".")) + len("\r\n")
			}
			if sent != size {
				t.Errorf("%.40q… of %d octets: %d sent, %d told", contents[i], len(contents[i]), sent, size)
			}
		}
		p.send("QUIT")
		p.expect("+OK")
		<-done
	})
}
