package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
)

// The queue hears of the setting from the house: no time passes between the
// answer to the change and the next attempt.
func TestTheQueueObeysQueuePausedWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"),
			Exchange: func(context.Context, string, *mdns.Msg) (*mdns.Msg, error) { return nil, errors.New("unreachable") }})
		h := newHouse(t, OpenOptions{Resolver: silent})
		pause := func(value string) {
			if _, err := h.Settings.Save(t.Context(), setting.Edit{Set: map[string]string{"queue.paused": value}, Author: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		pause("true")
		ids := ident.NewSource()
		q := h.newQueues(accept.New(h.Store, accept.Options{Lifetime: h.lifetime}), ids)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); q.run(ctx) }()
		defer func() { stop(); <-ended }()
		key := enqueue(t, h.Store, ids)
		time.Sleep(time.Minute)
		synctest.Wait()
		if e := queued(t, h.Store, key); e.Attempts != 0 || e.Claimed != "" {
			t.Fatalf("paused: %+v", e)
		}
		pause("false")
		begin := time.Now()
		synctest.Wait()
		if e := queued(t, h.Store, key); e.Attempts != 1 || time.Since(begin) != 0 {
			t.Errorf("%v after the pause: %+v", time.Since(begin), e)
		}
	})
}

// enqueue puts a message for elsewhere into the queue.
func enqueue(t *testing.T, s store.Store, ids *ident.Source) ident.ID {
	t.Helper()
	body, err := s.NewDraft(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Discard()
	if _, err := body.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	key, now := ids.New(), time.Now()
	m := &store.QueueMessage{ID: key, Sender: mail.Address{Local: "a", Domain: "here.test"}, Accepted: now, Expires: now.Add(time.Hour),
		Recipients: []store.QueueRecipient{{Address: mail.Address{Local: "b", Domain: "far.test"}, NextTry: now}}}
	if _, err := s.Accept(t.Context(), &store.Acceptance{Key: key, Time: now, Body: body, Queue: m}); err != nil {
		t.Fatal(err)
	}
	return key
}

// queued is the only recipient of a message.
func queued(t *testing.T, s store.Store, key ident.ID) store.QueueRecipient {
	t.Helper()
	e, err := s.Queue().Get(t.Context(), key)
	if err != nil || len(e.Recipients) != 1 {
		t.Fatalf("%+v %v", e, err)
	}
	return e.Recipients[0]
}
