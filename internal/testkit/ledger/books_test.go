package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const here, there = "a@example.test", "b@example.test"

// Each fault shows in its own column, and only there.
func TestEveryFaultUnbalancesTheBooks(t *testing.T) {
	t.Parallel()
	head := "Return-Path: <x@example.test>\r\n"
	for name, c := range map[string]struct {
		do   func(l *Ledger, m Message)
		want Verdict
	}{
		"nothing": {func(*Ledger, Message) {}, Verdict{Sent: 1}},
		"acknowledged and there": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Found(here, m.with(head))
			l.Found(there, m.with(head))
		}, Verdict{Sent: 1, Acked: 1, Found: 2}},
		"lost for one": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Found(here, m.with(head))
		}, Verdict{Sent: 1, Acked: 1, Found: 1, Lost: 1}},
		"kept without a word": {func(l *Ledger, m Message) {
			l.Found(here, m.with(head))
			l.Found(there, m.with(head))
		}, Verdict{Sent: 1, Found: 2, Unacked: 1}},
		"partly kept": {func(l *Ledger, m Message) { l.Found(here, m.with(head)) },
			Verdict{Sent: 1, Found: 1, Unacked: 1, PartlyFiled: 1}},
		"doubled": {func(l *Ledger, m Message) {
			l.Acked(m)
			for range 2 {
				l.Found(here, m.with(head))
				l.Found(there, m.with(head))
			}
		}, Verdict{Sent: 1, Acked: 1, Found: 4, Doubled: 2}},
		"in a mailbox it was not for": {func(l *Ledger, m Message) { l.Found("c@example.test", m.with(head)) },
			Verdict{Sent: 1, Found: 1, Phantom: 1}},
		"a body of zeros": {func(l *Ledger, m Message) { l.Found(here, make([]byte, 5000)) },
			Verdict{Sent: 1, Phantom: 1}},
		"a number nobody sent": {func(l *Ledger, m Message) { l.Found(here, content(77, 500)) },
			Verdict{Sent: 1, Phantom: 1}},
		"a torn body": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Found(here, m.with(head))
			l.Found(there, m.with(head)[:m.size()/2])
		}, Verdict{Sent: 1, Acked: 1, Found: 2, Torn: 1}},
		"a torn head": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Found(here, m.with(head))
			l.Found(there, m.with(strings.Repeat("\x00", len(head))))
		}, Verdict{Sent: 1, Acked: 1, Found: 2, Torn: 1}},
		"deleted": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Removing(here, m.Number)
			l.Removing(there, m.Number)
			l.Removed(here, m.Number)
		}, Verdict{Sent: 1, Acked: 1}},
		"deleted and back": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Removed(here, m.Number)
			l.Removed(there, m.Number)
			l.Found(here, m.with(head))
		}, Verdict{Sent: 1, Acked: 1, Found: 1, Returned: 1}},
		"deletion under way": {func(l *Ledger, m Message) {
			l.Acked(m)
			l.Removing(here, m.Number)
			l.Found(here, m.with(head))
			l.Found(there, m.with(head))
		}, Verdict{Sent: 1, Acked: 1, Found: 2}},
		"acknowledged too late": {func(l *Ledger, m Message) {
			l.Close()
			l.Acked(m)
			l.Open()
		}, Verdict{Sent: 1}},
		"forgotten": {func(l *Ledger, m Message) {
			l.Found(here, nil)
			l.Found(here, m.with(head)[:200])
			l.Forget()
		}, Verdict{Sent: 1}},
	} {
		l := New()
		c.do(l, l.Next(3000, here, there))
		got := l.Balance()
		got.Examples, got.Refused = nil, 0
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n%v, want\n%v", name, got, c.want)
		}
		bad := c.want.Lost + c.want.Doubled + c.want.Torn + c.want.Phantom + c.want.Returned + c.want.PartlyFiled
		if got.OK() != (bad == 0) {
			t.Errorf("%s: OK is %v", name, got.OK())
		}
	}
}

func (m Message) with(head string) []byte { return append([]byte(head), m.Content...) }

func (m Message) size() int { return len(m.Content) }

func TestContentsTellMessagesApart(t *testing.T) {
	t.Parallel()
	for number := 1; number < 50; number++ {
		raw := content(number, 100*number)
		if n, ok := numberOf(append([]byte("X: y\r\n"), raw...)); !ok || n != number {
			t.Fatalf("message %d is taken for %d", number, n)
		}
		if !bytes.Equal(raw, content(number, 100*number)) || bytes.HasSuffix(raw, content(number-1, 100*number)) {
			t.Fatalf("content %d", number)
		}
	}
}

func TestLaterReadingsKeepUIDs(t *testing.T) {
	t.Parallel()
	before := Reading{UIDValidity: 7, UIDNext: 10, UIDs: map[uint32]int{3: 1, 5: 2}}
	for name, c := range map[string]struct {
		now Reading
		bad string
	}{
		"the same":        {Reading{7, 10, map[uint32]int{3: 1, 5: 2}}, ""},
		"more and less":   {Reading{7, 12, map[uint32]int{5: 2, 10: 4}}, ""},
		"another meaning": {Reading{7, 12, map[uint32]int{3: 1, 5: 9}}, "UID 5 was message 2"},
		"spent":           {Reading{7, 12, map[uint32]int{3: 1, 8: 9}}, "UID 8, of message 9"},
		"next falls":      {Reading{7, 9, nil}, "UIDNEXT was 10"},
		"next is taken":   {Reading{7, 12, map[uint32]int{12: 9}}, "not below UIDNEXT"},
		"validity":        {Reading{8, 10, nil}, "UIDVALIDITY changed"},
	} {
		err := before.Later(c.now)
		if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
