package record

import (
	"context"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"posthorn/internal/base/ident"
)

var ids = ident.NewSource()

// full is an attempt with every field set.
func full() Attempt {
	return Attempt{
		ID: ids.New(),
		Session: Session{
			ID: ids.New(), Begin: time.Date(2026, 3, 1, 10, 0, 0, 5000, time.UTC), Listener: "smtp", Client: netip.MustParseAddr("2001:db8::7"), Port: 40000,
			Kind: "mx", Trust: "untrusted", Hostname: "mx.away.test", Helo: "away.test", TLS: "TLS 1.3", Login: "bob@example.test", Account: 7,
		},
		HasSender: true, Sender: "eve@away.test", Recipients: []string{"bob@example.test", "x@example.test"},
		Size: 2000, Hops: 3, Authors: []string{"eve@away.test"}, Outcome: Refused, End: 5 * time.Second,
		Steps: []Step{
			{After: time.Second, Verb: "MAIL", Argument: "<eve@away.test>", Reply: "250 2.1.0 ok", Delay: time.Second, Checks: []Check{
				{Name: "size", Setting: "policy.size", Action: "pass", Mode: "observe", Reason: "small enough", Cost: time.Microsecond, Inputs: []Input{{"size", "10"}, {"n", ""}}},
				{Name: "own", Action: "pass", Skipped: "switched off"},
			}},
			{After: 2 * time.Second, Verb: "RCPT", Reply: "550 5.1.1 no", Check: "recipient-exists", Reason: "no such user", Setting: "the directory"},
		},
	}
}

func encode(a Attempt) []byte {
	b := appendHead(nil, &a)
	for i := range a.Steps {
		b = appendStep(b, &a.Steps[i])
	}
	return b
}

func TestAttemptsAndEventsAreReadAsWritten(t *testing.T) {
	for _, a := range []Attempt{full(), {ID: ids.New(), Session: Session{ID: ids.New()}}} {
		got, err := decodeAttempt(encode(a))
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v\nbecomes %+v, %v", a, got, err)
		}
	}
	e := Event{ID: ids.New(), Time: time.UnixMicro(1).UTC(), Kind: Delayed, Recipient: "r", Place: "mx.test", Reply: "451 later", By: "admin", Next: time.UnixMicro(9).UTC()}
	if got, err := decodeEvent(appendEvent(nil, &e)); err != nil || got != e {
		t.Errorf("%+v becomes %+v, %v", e, got, err)
	}
}

func TestOverlongTextsAreCut(t *testing.T) {
	a := Attempt{Sender: string(make([]byte, 5000)), Recipients: make([]string, 5000)}
	got, err := decodeAttempt(encode(a))
	if err != nil || len(got.Sender) != maxText || len(got.Recipients) != maxList {
		t.Error(len(got.Sender), len(got.Recipients), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(full()))
	f.Add(appendEvent(nil, &Event{Kind: Filed, Place: "INBOX"}))
	f.Add([]byte{kindAttempt})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAttempt(b); err == nil {
			again, err := decodeAttempt(encode(a))
			if err != nil || !reflect.DeepEqual(again, a) {
				t.Errorf("%+v becomes %+v, %v", a, again, err)
			}
		}
		if e, err := decodeEvent(b); err == nil {
			if again, err := decodeEvent(appendEvent(nil, &e)); err != nil || again != e {
				t.Errorf("%+v becomes %+v, %v", e, again, err)
			}
		}
		if raw, err := unpack(b); err == nil {
			_, _ = split(raw) // must not panic
		}
	})
}

func TestFilterFindsEveryKeyAndFewOthers(t *testing.T) {
	var keys []uint64
	for i := range 1000 {
		keys = append(keys, hash(keyFrom, string(rune('a'+i))))
	}
	f := makeFilter(append(keys, keys...))
	for _, k := range keys {
		if !f.has(k) {
			t.Fatal("a key is missing")
		}
	}
	wrong := 0
	for i := range 10_000 {
		if f.has(hash(keyTo, string(rune('a'+i)))) {
			wrong++
		}
	}
	if wrong > 300 {
		t.Errorf("%d of 10000 wrongly found", wrong)
	}
	if filter(nil).has(1) {
		t.Error("an empty filter has something")
	}
}

func TestSearchKeysIgnoreCase(t *testing.T) {
	if hash(keyTo, "Bob@Example.Test") != hash(keyTo, "bob@example.test") || hash(keyTo, "a") == hash(keyFrom, "a") {
		t.Error("keys")
	}
}

var ctx = context.Background()
