package junk

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestChiSquareMatchesKnownValues(t *testing.T) {
	t.Parallel()
	// Upper tail, from tables of the distribution.
	for _, c := range []struct {
		x    float64
		n    int // half the degrees of freedom
		want float64
	}{
		{0, 1, 1}, {0, 150, 1}, {5.991, 1, 0.05}, {9.488, 2, 0.05}, {18.307, 5, 0.05}, {23.209, 5, 0.01}, {124.342, 50, 0.05}, {2000, 150, 0}, {1e6, 3, 0},
	} {
		if got := chiSquare(c.x, c.n); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("x %v, 2n %d: %v, want %v", c.x, 2*c.n, got, c.want)
		}
	}
}

func TestEvidenceForBothSidesIsUnsure(t *testing.T) {
	t.Parallel()
	spam, ham := opinion{probability: 0.99}, opinion{probability: 0.01}
	var both, many []opinion
	for range 20 {
		both, many = append(both, spam, ham), append(many, spam)
	}
	if p := combine(both); math.Abs(p-0.5) > 0.01 {
		t.Errorf("both: %v", p)
	}
	if p := combine(many); p < 0.999 {
		t.Errorf("spam: %v", p)
	}
	if p := combine(nil); p != 0.5 {
		t.Errorf("nothing: %v", p)
	}
}

// TestModelCountsLikeATable compares levels of runs with a map.
func TestModelCountsLikeATable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, want := &model{}, map[uint64][2]int{}
		hashes := rapid.SliceOfNDistinct(rapid.Uint64(), 1, 300, rapid.ID[uint64]).Draw(t, "hashes")
		for range rapid.IntRange(1, 40).Draw(t, "lessons") {
			var delta []entry
			for range rapid.IntRange(0, 200).Draw(t, "tokens") {
				e := entry{hash: rapid.SampledFrom(hashes).Draw(t, "hash"), day: 1}
				if w := want[e.hash]; w[0] > 0 && rapid.Bool().Draw(t, "back") {
					e.spam = -1
				} else if rapid.Bool().Draw(t, "spam") {
					e.spam = 1
				} else {
					e.ham = 1
				}
				w := want[e.hash]
				want[e.hash] = [2]int{w[0] + e.spam, w[1] + e.ham}
				delta = append(delta, e)
			}
			m.push(makeRun(delta), 1, 1<<20)
		}
		for _, h := range hashes {
			if spam, ham := m.get(h); [2]int{spam, ham} != want[h] {
				t.Fatalf("%x: %d %d, want %v", h, spam, ham, want[h])
			}
		}
		if spam, ham := m.get(12345); want[12345] == [2]int{} && spam+ham != 0 {
			t.Fatal("a token nobody learned")
		}
		for _, r := range m.levels {
			if !r.valid() {
				t.Fatal("not ascending")
			}
		}
	})
}

func TestRunsFindWhateverTheDistribution(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for name, hash := range map[string]func(i int) uint64{
		"even": func(int) uint64 { return r.Uint64() }, "low": func(i int) uint64 { return uint64(i) * 3 },
		"high": func(i int) uint64 { return math.MaxUint64 - uint64(i)*5 }, "one": func(int) uint64 { return 7 },
	} {
		var list []entry
		for i := range 3000 {
			list = append(list, entry{hash: hash(i), spam: 1, day: 1})
		}
		run := makeRun(list)
		for i := range run.len() {
			h := run.hash(i)
			if at, ok := run.find(h); !ok || at != i {
				t.Fatalf("%s: %d found at %d, %t", name, i, at, ok)
			}
			if _, ok := run.find(h + 1); ok != (i+1 < run.len() && run.hash(i+1) == h+1) {
				t.Fatalf("%s: behind %d", name, i)
			}
		}
		for _, h := range []uint64{0, math.MaxUint64, 1 << 63} {
			if at, ok := run.find(h); ok && run.hash(at) != h {
				t.Fatalf("%s: %x", name, h)
			}
		}
	}
	if _, ok := run(nil).find(1); ok {
		t.Error("found in nothing")
	}
}

// lessons pushes n messages of one class with tokens of their own and one in
// common.
func lessons(m *model, r *rand.Rand, c Class, n, tokens int, day uint16, most int) {
	const common = 42
	for range n {
		list := []entry{{hash: common, day: day}}
		for range tokens {
			list = append(list, entry{hash: r.Uint64(), day: day})
		}
		for i := range list {
			if c == Spam {
				list[i].spam = 1
			} else {
				list[i].ham = 1
			}
		}
		m.count(c, 1, false)
		m.push(makeRun(list), day, most)
	}
}

func TestModelStaysBelowItsBoundAndKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	const most = 20_000
	m, r := &model{}, rand.New(rand.NewPCG(3, 4))
	lessons(m, r, Spam, 100, 300, 1000, most)
	lessons(m, r, Ham, 100, 300, 1400, most)
	if n := m.entries(); n > most {
		t.Errorf("%d entries", n)
	}
	if spam, ham := m.get(42); spam != 100 || ham != 100 {
		t.Errorf("the token of all messages: %d %d", spam, ham)
	}
	old := 0
	for _, run := range m.levels {
		for i := range run.len() {
			if run.at(i).day == 1000 {
				old++
			}
		}
	}
	if old > 10 {
		t.Errorf("%d old tokens seen once outlived new ones", old)
	}
}

func TestOldMailLosesItsWeight(t *testing.T) {
	t.Parallel()
	m, r := &model{}, rand.New(rand.NewPCG(5, 6))
	lessons(m, r, Ham, 30, 5, 1000, 1<<20)
	lessons(m, r, Spam, maxMessages, 1, 1000, 1<<20)
	before := m.entries()
	lessons(m, r, Spam, 1, 1, 1000+fresh+1, 1<<20)
	if m.spam != (maxMessages+1)/2 || m.ham != 30 {
		t.Errorf("%d spam, %d ham", m.spam, m.ham)
	}
	if spam, ham := m.get(42); spam < maxMessages/2-1 || spam > maxMessages/2+1 || ham != 30 {
		t.Errorf("%d %d", spam, ham)
	}
	if after := m.entries(); after > before/10 {
		t.Errorf("%d of %d entries left: old ones seen once should be gone", after, before)
	}
}

func TestFewerSharedLessonsThanOwnChangeLittle(t *testing.T) {
	t.Parallel()
	own, others := &model{}, &model{}
	r := rand.New(rand.NewPCG(7, 8))
	lessons(own, r, Ham, 100, 1, 1, 1<<20)
	lessons(others, r, Spam, 100, 1, 1, 1<<20)
	lessons(own, r, Spam, 100, 0, 1, 1<<20)
	e := experience{own: own, others: others, otherSpam: 100}
	if o := e.opinion(42); math.Abs(o.probability-0.5) > 0.05 {
		t.Errorf("%v", o)
	}
}
