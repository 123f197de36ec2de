package ident

import (
	"strings"
	"testing"
	"time"
)

func TestIDsGrowAndRoundTrip(t *testing.T) {
	s := NewSource()
	seen := map[ID]bool{}
	prev := ""
	for range 20_000 {
		id := s.New()
		text := id.String()
		if text <= prev {
			t.Fatalf("%s came after %s", text, prev)
		}
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		back, err := Parse(text)
		if err != nil || back != id {
			t.Fatalf("Parse(%q) = %v, %v", text, back, err)
		}
		if id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%x is not a UUIDv7", id[:])
		}
		seen[id], prev = true, text
	}
	if d := time.Since(s.New().Time()); d < -time.Minute || d > time.Minute {
		t.Errorf("time is off by %v", d)
	}
}

func TestParseRefusesWhatIsNoID(t *testing.T) {
	for _, s := range []string{"", "0", "0123456789abcdefghjkmnpqr", "0123456789abcdefghjkmnpqrsu", "il234567890000000000000000"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) succeeded", s)
		}
	}
}

// The last character has bits to spare; they do not make a second name of a
// message.
func TestAnIdentifierHasOneText(t *testing.T) {
	t.Parallel()
	id := NewSource().New()
	text := id.String()
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyz" {
		other := text[:Length-1] + string(c)
		if got, err := Parse(other); err == nil && got == id && other != text {
			t.Errorf("%s is taken for %s", other, text)
		}
	}
	if got, err := Parse(strings.ToUpper(text)); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
}
