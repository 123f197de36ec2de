package record

import (
	"context"
	"encoding/hex"
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
		Complete: true, Lost: 2,
		Steps: []Step{
			{After: time.Second, Verb: "MAIL", Argument: "<eve@away.test>", Reply: "250 2.1.0 ok", Delay: time.Second, Checks: []Check{
				{Name: "size", Setting: "policy.size", Action: "pass", Mode: "observe", Reason: "small enough", Cost: time.Microsecond, Inputs: []Input{{"size", "10"}, {"n", ""}}},
				{Name: "own", Action: "pass", Skipped: "switched off"},
			}, Facts: []Input{{"free", "100"}}},
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
	for _, a := range []Attempt{full(), {ID: ids.New(), Session: Session{ID: ids.New()}, Complete: true}} {
		got, err := decodeAttempt(encode(a), nil)
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v\nbecomes %+v, %v", a, got, err)
		}
	}
	e := Event{ID: ids.New(), Time: time.UnixMicro(1).UTC(), Kind: Delayed, Recipient: "r", Place: "mx.test", Reply: "451 later", By: "admin", Next: time.UnixMicro(9).UTC(), Account: 3, Arrived: 4}
	if got, err := decodeEvent(appendEvent(nil, &e)); err != nil || got != e {
		t.Errorf("%+v becomes %+v, %v", e, got, err)
	}
}

// bareAttempt and bareEvent are records as they were written before steps had
// facts and events named copies.
var (
	bareAttempt = unhex("01019fffffe00003fffffffffffffffffc019fffffe00005fffffffffffffffffc80a0be88f1fca50680c8afa0250904c0000207c0b802" +
		"04736d7470026d7809756e747275737465640c6d782e617761792e7465737409617761792e7465737407544c5320312e3310626f62406578616d706c652e74657374" +
		"0d65766540617761792e746573740e0210626f62406578616d706c652e746573740e78406578616d706c652e74657374a01f06010d65766540617761792e74657374" +
		"80a8d6b907044d41494c0f3c65766540617761792e746573743e0c32353020322e312e30206f6b00000080a8d6b907020473697a650b706f6c6963792e73697a65" +
		"0470617373076f627365727665000c736d616c6c20656e6f756768d00f020473697a65023130016e00036f776e000470617373000c7377697463686564206f6666" +
		"00000080d0acf30e0452435054000c35353020352e312e31206e6f10726563697069656e742d6578697374730c6e6f207375636820757365720d746865206469726563746f72790000")
	bareEvent = unhex("02019fffffe00003fffffffffffffffffc02030172076d782e7465737409343531206c617465720561646d696e12")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRecordsOfEarlierVersionsAreRead(t *testing.T) {
	a, err := decodeAttempt(bareAttempt, nil)
	if err != nil || a.Complete || a.Sender != "eve@away.test" || len(a.Steps) != 2 || a.Steps[0].Checks[0].Inputs[0].Value != "10" || a.Steps[1].Check != "recipient-exists" {
		t.Errorf("%+v, %v", a, err)
	}
	e, err := decodeEvent(bareEvent)
	if err != nil || e.Kind != Delayed || e.Reply != "451 later" || e.Arrived != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, ok := (&Query{From: "@away.test"}).match(bareAttempt, nil); !ok {
		t.Error("not found by a search")
	}
}

func TestOverlongTextsAreCut(t *testing.T) {
	a := Attempt{Sender: string(make([]byte, 5000)), Recipients: make([]string, 5000)}
	got, err := decodeAttempt(encode(a), nil)
	if err != nil || len(got.Sender) != maxText || len(got.Recipients) != maxList {
		t.Error(len(got.Sender), len(got.Recipients), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(full()))
	f.Add(appendEvent(nil, &Event{Kind: Filed, Place: "INBOX"}))
	f.Add([]byte{kindAttempt})
	f.Add(bareAttempt)
	f.Add(bareEvent)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAttempt(b, nil); err == nil {
			again, err := decodeAttempt(encode(a), nil)
			if again.Complete = a.Complete; err != nil || !reflect.DeepEqual(again, a) {
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
