package imap

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSetsAreSortedAndJoined(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1": "1", "1:1": "1", "5:1": "1:5", "1,2,3": "1:3", "3,1,2": "1:3", "1:3,2:9": "1:9", "1,3": "1,3", "3,1,3": "1,3",
		"*": "*", "*:*": "*", "1:*": "1:*", "*:4": "4:*", "*,1": "1,*", "5:*,9:*": "5:*", "1:10,8:*": "1:*", "1:4,5:*": "1:*", "1:3,5:*": "1:3,5:*",
		"4,2:*,9": "2:*", "1:2,4:10,8:*,3": "1:*", "4294967295": "*", "7,4294967294:4294967295": "7,4294967294:*", "$": "$", "007": "7",
	} {
		s, err := ParseSeqSet(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %s %v", text, s, err)
		}
	}
	for _, text := range []string{"", "0", "1:0", "a", "1,", ",1", "1:", ":1", "1::2", "1:2:3", "-1", "1 2", "4294967296", "$,1", "1,$", "**", "1;2", "1:*:2",
		strings.Repeat("1,", MaxSetElements) + "1"} {
		if s, err := ParseSeqSet(text); err == nil {
			t.Errorf("%.20q taken as %s", text, s)
		}
	}
}

func TestStarIsTheGreatestEvenBelowItsPartner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		greatest uint32
		want     []Range
	}{
		{"1:*", 0, nil}, {"*", 0, nil}, {"*", 7, []Range{{7, 7}}}, {"5:*", 3, []Range{{3, 3}}}, {"5:*", 9, []Range{{5, 9}}},
		{"1:2,5:*", 2, []Range{{1, 1}, {2, 2}}}, {"1:10", 4, []Range{{1, 4}}}, {"6:10", 4, nil}, {"1:3,20:*", 15, []Range{{1, 3}, {15, 15}}},
		{"1:3,7", 9, []Range{{1, 3}, {7, 7}}},
	} {
		s := set(t, c.text)
		if got := slices.Collect(s.Ranges(c.greatest)); !slices.Equal(got, c.want) {
			t.Errorf("%s up to %d: %v", c.text, c.greatest, got)
		}
	}
	if set(t, "1:5,9").Highest() != 9 || set(t, "1:5,*").Highest() != 5 || set(t, "3,8:*").Highest() != 8 || set(t, "*").Highest() != 0 {
		t.Error("Highest is wrong")
	}
	if !set(t, "$").Saved() || set(t, "$").IsEmpty() || !(SeqSet{}).IsEmpty() || !set(t, "*").HasStar() {
		t.Error("kinds are wrong")
	}
}

func TestSetsAgreeWithASimpleModel(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		greatest := uint32(rnd.IntN(25))
		model := map[uint32]bool{}
		var parts []string
		var added SeqSet
		for range 1 + rnd.IntN(6) {
			a, b := uint32(1+rnd.IntN(30)), uint32(1+rnd.IntN(30))
			var p SeqSet
			switch rnd.IntN(5) {
			case 0:
				p, b = SeqSet{open: a}, greatest
				a = min(a, greatest)
			case 1:
				p, a, b = SeqSet{open: star}, greatest, greatest
			default:
				a, b = min(a, b), max(a, b)
				p.AddRange(a, b)
				added.AddRange(a, b)
			}
			parts = append(parts, p.String())
			for n := max(a, 1); n <= min(b, greatest); n++ {
				model[n] = true
			}
		}
		s := set(t, strings.Join(parts, ","))
		seen := uint32(0)
		for r := range s.Ranges(greatest) {
			if r.First <= seen || r.Last < r.First || r.Last > greatest {
				t.Fatalf("%v up to %d: %v", parts, greatest, slices.Collect(s.Ranges(greatest)))
			}
			seen = r.Last
		}
		for n := range greatest + 3 {
			if s.Contains(n, greatest) != model[n] || inRanges(s, n, greatest) != model[n] {
				t.Fatalf("%v up to %d, %d: %v", parts, greatest, n, model[n])
			}
		}
		if s.Count(greatest) != uint64(len(model)) {
			t.Fatalf("%v up to %d counts %d", parts, greatest, s.Count(greatest))
		}
		if !added.IsEmpty() && set(t, added.String()).String() != added.String() {
			t.Fatalf("built set %s is not normal", added)
		}
	}
}

func inRanges(s SeqSet, n, greatest uint32) bool {
	for r := range s.Ranges(greatest) {
		if n >= r.First && n <= r.Last {
			return true
		}
	}
	return false
}

func TestBuildingInOrderJoinsNeighbours(t *testing.T) {
	t.Parallel()
	var s SeqSet
	for _, n := range []uint32{1, 2, 3, 5, 6, 9, 9, 4, 1} {
		s.Add(n)
	}
	if s.String() != "1:6,9" {
		t.Error(s)
	}
}

func FuzzSeqSet(f *testing.F) {
	for _, s := range []string{"1:5,7,9:*", "*", "$", "4294967295,1", "5:1,2:*,*:3"} {
		f.Add(s, uint32(7))
	}
	f.Fuzz(func(t *testing.T, text string, greatest uint32) {
		s, err := ParseSeqSet(text)
		if err != nil {
			return
		}
		again, err := ParseSeqSet(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%s: %s %v", s, again, err)
		}
		last := uint64(0)
		for r := range s.Ranges(greatest) {
			if uint64(r.First) <= last || r.Last < r.First || r.Last > greatest || !s.Contains(r.First, greatest) || !s.Contains(r.Last, greatest) {
				t.Fatalf("%s up to %d: %v", s, greatest, r)
			}
			last = uint64(r.Last)
		}
	})
}
