package pop3d

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"posthorn/internal/state/store"
	"posthorn/internal/testkit/memconn"
)

// shelves is an account whose messages have their id as content. It writes down
// what it is asked for.
type shelves struct {
	store.Account
	gone, damaged map[store.MessageID]bool
	asked         []string
	open          int
}

func (a *shelves) OpenBody(_ context.Context, id store.MessageID) (store.Body, error) {
	a.asked = append(a.asked, fmt.Sprint(id))
	switch {
	case a.gone[id]:
		return nil, store.ErrNotFound
	case a.damaged[id]:
		return nil, store.ErrUnavailable
	}
	a.open++
	return &counted{bytes.NewReader(fmt.Append(nil, id)), &a.open}, nil
}

func (a *shelves) OpenBodies(_ context.Context, ids []store.MessageID) ([]store.Body, error) {
	a.asked = append(a.asked, fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1]))
	bodies := make([]store.Body, len(ids))
	for i, id := range ids {
		switch {
		case a.damaged[id]:
			return nil, store.ErrUnavailable
		case !a.gone[id]:
			bodies[i] = &counted{bytes.NewReader(fmt.Append(nil, id)), &a.open}
		}
	}
	for _, b := range bodies {
		if b != nil {
			a.open++
		}
	}
	return bodies, nil
}

type counted struct {
	*bytes.Reader
	open *int
}

func (c *counted) Close() error { *c.open--; return nil }

func TestMessagesAreReadAheadForWhoWalks(t *testing.T) {
	t.Parallel()
	all := func(first, last int) (list []int) {
		for i := first; i <= last; i++ {
			list = append(list, i)
		}
		return list
	}
	for _, x := range []struct {
		name  string
		sizes map[int]int64 // 100 where nothing is said
		fetch []int
		want  string
	}{
		{name: "one after another", fetch: all(1, 200), want: "1 2-3 4-7 8-15 16-31 32-63 64-127 128-191 192-200"},
		{name: "from the middle", fetch: all(150, 158), want: "150 151-152 153-156 157-164"},
		{name: "picking", fetch: []int{5, 9, 3, 200, 1}, want: "5 9 3 200 1"},
		{name: "backwards", fetch: []int{4, 3, 2, 1}, want: "4 3 2 1"},
		{name: "header and whole", fetch: []int{1, 1, 2, 2, 3, 3, 4, 4}, want: "1 1 2-3 4-7"},
		{name: "leaving out some", fetch: []int{1, 2, 4, 6, 7}, want: "1 2-3 4-7"},
		{name: "walking, then picking", fetch: []int{1, 2, 3, 4, 100, 101}, want: "1 2-3 4-7 100 101-102"},
		{name: "back to one passed", fetch: []int{1, 2, 3, 4, 5, 4, 6, 7}, want: "1 2-3 4-7 4 6 7-8"},
		{name: "as many octets as fit", sizes: map[int]int64{8: 16 << 10, 9: 16 << 10, 10: 16 << 10, 11: 16<<10 - 100, 13: 16 << 10},
			fetch: all(1, 13), want: "1 2-3 4-7 8-12 13-28"},
		{name: "one octet too many", sizes: map[int]int64{8: 16 << 10, 9: 16 << 10, 10: 16 << 10, 11: 16<<10 - 99},
			fetch: all(1, 12), want: "1 2-3 4-7 8-11 12-27"},
		{name: "large ones alone", sizes: map[int]int64{2: 1 << 30, 5: 16<<10 + 1}, fetch: all(1, 9), want: "1 2 3-4 5 6-21"},
		{name: "a large one first", sizes: map[int]int64{1: 1 << 20}, fetch: all(1, 4), want: "1 2-3 4-7"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			a := &shelves{}
			d := &maildrop{account: a, messages: make([]message, 200)}
			for i := range d.messages {
				d.messages[i] = message{id: store.MessageID(i + 1), size: 100}
				if size, ok := x.sizes[i+1]; ok {
					d.messages[i].size = size
				}
			}
			for _, n := range x.fetch {
				body, err := d.shelf.take(t.Context(), d, n)
				if err != nil {
					t.Fatal(err)
				}
				text := make([]byte, body.Size())
				if _, err := body.ReadAt(text, 0); err != nil || string(text) != fmt.Sprint(n) {
					t.Errorf("message %d is %q, %v", n, text, err)
				}
				if err := body.Close(); err != nil {
					t.Error(err)
				}
			}
			if got := strings.Join(a.asked, " "); got != x.want {
				t.Errorf("opened %s, want %s", got, x.want)
			}
			d.shelf.clear()
			if a.open != 0 {
				t.Errorf("%d bodies are left open", a.open)
			}
		})
	}
}

func TestOneDamagedMessageDoesNotKeepOthersBack(t *testing.T) {
	t.Parallel()
	a := &shelves{damaged: map[store.MessageID]bool{6: true}, gone: map[store.MessageID]bool{3: true, 8: true}}
	d := &maildrop{account: a, messages: make([]message, 9)}
	for i := range d.messages {
		d.messages[i] = message{id: store.MessageID(i + 1)}
	}
	for n := 1; n <= len(d.messages); n++ {
		body, err := d.shelf.take(t.Context(), d, n)
		var want error
		switch id := store.MessageID(n); {
		case a.damaged[id]:
			want = store.ErrUnavailable
		case a.gone[id]:
			want = store.ErrNotFound
		}
		if !errors.Is(err, want) {
			t.Errorf("message %d: %v", n, err)
		}
		if err == nil {
			_ = body.Close()
		}
	}
	if d.shelf.clear(); a.open != 0 {
		t.Errorf("%d bodies are left open", a.open)
	}
}

// wire counts writes, and fails them from some point on.
type wire struct {
	net.Conn
	writes, most atomic.Int64 // most: none for no bound
}

var errCut = errors.New("the client is gone")

func (w *wire) Write(b []byte) (int, error) {
	if n := w.writes.Add(1); w.most.Load() > 0 && n > w.most.Load() {
		return 0, errCut
	}
	return w.Conn.Write(b)
}

// talk sends all commands at once and returns what came back, and in how many
// writes after the greeting, of which only some succeed.
func talk(t *testing.T, w *world, most int64, commands ...string) (answers string, writes int64) {
	client, server := memconn.Pair(netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.25:110"))
	counting := &wire{Conn: server}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.serve("plain", counting)
	}()
	p := newPeer(t, client)
	p.expect("+OK POP3 ready")
	p.send("USER alice@example.test", "PASS secret")
	p.expect("+OK", "+OK")
	before := counting.writes.Load()
	if most > 0 {
		counting.most.Store(before + most - 1)
	}
	p.send(commands...)
	var out strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		out.WriteString(line)
		if err != nil {
			break
		}
	}
	<-done
	_ = client.Close()
	return out.String(), counting.writes.Load() - before
}

func TestSmallMessagesLeaveTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	var commands []string
	for i := range 20 {
		if err := w.file("alice", fmt.Appendf(nil, "A: %d\r\n\r\n.%s\r\n", i+1, strings.Repeat("x", 70))); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, fmt.Sprintf("RETR %d", i+1))
	}
	answers, writes := talk(t, w, 0, append(commands, "QUIT")...)
	for i := range 20 {
		head, rest, _ := strings.Cut(answers, "\r\n.\r\n")
		if want := fmt.Sprintf("\r\nA: %d\r\n\r\n..xxx", i+1); !strings.Contains(head, want) {
			t.Fatalf("%q, want %q", head, want)
		}
		answers = rest
	}
	if answers != "+OK Bye\r\n" || writes > 2 {
		t.Errorf("%q, %d writes", answers, writes)
	}
}

func TestWhatCouldNotBeHandedOverIsNotDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.close()
	if err := w.file("alice", []byte("A: 1\r\n\r\n1\r\n")); err != nil {
		t.Fatal(err)
	}
	if answers, _ := talk(t, w, 1, "RETR 1", "DELE 1", "QUIT"); answers != "" {
		t.Errorf("%q", answers)
	}
	if err := w.messages("alice INBOX 1"); err != nil {
		t.Error(err)
	}
	if answers, _ := talk(t, w, 0, "RETR 1", "DELE 1", "QUIT"); !slices.Contains(strings.Split(answers, "\r\n"), "+OK Bye") {
		t.Errorf("%q", answers)
	}
	if err := w.messages("alice INBOX 0"); err != nil {
		t.Error(err)
	}
}
