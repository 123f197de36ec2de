package imapd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"posthorn/internal/wire/mime"
)

func TestTheBaseOfASubject(t *testing.T) {
	for _, c := range []struct {
		raw, base string
		reply     bool
	}{
		{"hello", "hello", false},
		{"  Re:  hello\tworld (fwd) (FWD) ", "hello world", true},
		{"Re: Re: FW: x", "x", true},
		{"Re[2]: x", "x", true},
		{"[list] Re [3]: [tag] x", "x", true},
		{"[list]", "[list]", false},
		{"Re: [list]", "[list]", true},
		{"[Fwd: Re: x]", "x", true},
		{"Fwd:", "", true},
		{"Regarding: x", "Regarding: x", false},
		{"=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", "Grüße", true},
		{"[a[b] Re: x", "[a[b] Re: x", false},
		{"", "", false},
	} {
		if base, reply := baseSubject(mime.DecodeWords(c.raw)); base != c.base || reply != c.reply {
			t.Errorf("%q: %q %v", c.raw, base, reply)
		}
	}
}

// TestEveryMessageIsInOneThread threads random references, circles included.
func TestEveryMessageIsInOneThread(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 3))
	for range 300 {
		var letters []*letter
		for i := range 1 + r.IntN(30) {
			l := &letter{index: i, sent: int64(r.IntN(5)), subject: fmt.Sprint(r.IntN(8)), reply: r.IntN(2) == 0}
			if r.IntN(5) > 0 {
				l.id = uint64(1 + r.IntN(20))
			}
			for range r.IntN(5) {
				l.refs = append(l.refs, uint64(1+r.IntN(20)))
			}
			letters = append(letters, l)
		}
		for name, arrange := range map[string]func([]*letter) []*node{"references": byReferences, "subject": bySubject} {
			count := map[*letter]int{}
			for _, n := range below(arrange(letters)) {
				if n.letter != nil {
					count[n.letter]++
				} else if len(n.children) == 0 {
					t.Fatalf("seed %d: %s: an empty place", seed, name)
				}
			}
			for _, l := range letters {
				if count[l] != 1 {
					t.Fatalf("seed %d: %s: message %d is there %d times", seed, name, l.index, count[l])
				}
			}
		}
	}
}

func TestDeepThreadsCostLittle(t *testing.T) {
	var letters []*letter
	for i := range 50_000 {
		letters = append(letters, &letter{index: i, sent: int64(i), id: uint64(i + 1), refs: []uint64{uint64(i)}, subject: "x"})
	}
	start := time.Now()
	if roots := byReferences(letters); len(below(roots)) != 50_000 {
		t.Error("messages are missing")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Error("took", took)
	}
}
