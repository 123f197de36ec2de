package ident

import (
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
