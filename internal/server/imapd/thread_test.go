package imapd

import (
	"context"
	"errors"
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
		for name, arrange := range map[string]func(*timer, []*letter) []*node{"references": byReferences, "subject": bySubject} {
			count := map[*letter]int{}
			for _, n := range below(arrange(&timer{ctx: t.Context()}, letters)) {
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
	if roots := byReferences(&timer{ctx: t.Context()}, letters); len(below(roots)) != 50_000 {
		t.Error("messages are missing")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Error("took", took)
	}
}

// longChain makes n messages whose references are one chain, and n more that
// are below its end.
func longChain(n int) []*letter {
	var letters []*letter
	add := func(refs ...uint64) {
		letters = append(letters, &letter{index: len(letters), sent: int64(len(letters)), subject: fmt.Sprint(len(letters)), refs: refs})
	}
	last := uint64(1)
	for range n {
		chain := []uint64{last}
		for range 250 {
			last++
			chain = append(chain, last)
		}
		add(chain...)
	}
	for range n {
		add(last)
	}
	return letters
}

func TestLongReferencesCostLittle(t *testing.T) {
	letters := longChain(1000)
	start := time.Now()
	if roots := byReferences(&timer{ctx: t.Context()}, letters); len(below(roots)) != len(letters)+1 { // and the first place
		t.Error("messages are missing:", len(below(roots)))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Error("took", took)
	}
}

// TestMessagesLeaveABusyThreadAtLittleCost has many messages under one, which
// then turn out to be under another.
func TestMessagesLeaveABusyThreadAtLittleCost(t *testing.T) {
	const n = 150_000
	var letters []*letter
	for i := range n {
		letters = append(letters, &letter{index: len(letters), refs: []uint64{1, uint64(10 + i)}})
	}
	for i := range n {
		letters = append(letters, &letter{index: len(letters), id: uint64(10 + n - 1 - i), refs: []uint64{2}})
	}
	start := time.Now()
	if roots := link(&timer{ctx: t.Context()}, letters); len(roots) != 2 || len(roots[1].children) != n {
		t.Error(len(roots), "at the top")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Error("took", took)
	}
}

func TestThreadingEndsWhenItsTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	letters := longChain(100)
	deep := &node{}
	for range timerSteps {
		deep = &node{parent: deep}
	}
	for name, do := range map[string]func(*timer){
		"link":    func(w *timer) { link(w, letters) },
		"adopt":   func(w *timer) { deep.adopt(w, &node{adopted: true}) },
		"prune":   func(w *timer) { prune(w, link(&timer{ctx: t.Context()}, letters)) },
		"subject": func(w *timer) { bySubject(w, shuffled(timerSteps)) },
		"all":     func(w *timer) { byReferences(w, letters) },
	} {
		w := &timer{ctx: ctx}
		do(w)
		if !errors.Is(w.err, context.Canceled) {
			t.Errorf("%s ends after %d steps: %v", name, w.steps, w.err)
		}
	}
}

func shuffled(n int) []*letter {
	var letters []*letter
	for _, i := range rand.Perm(n) {
		letters = append(letters, &letter{index: i})
	}
	return letters
}
