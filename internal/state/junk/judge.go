package junk

import (
	"cmp"
	"math"
	"slices"
)

// How tokens become a probability: Gary Robinson, "A Statistical Approach to
// the Spam Problem", Linux Journal 107 (2003), with Fisher's method of
// combining probabilities (R. A. Fisher, Statistical Methods for Research
// Workers, 1925, §21.1) once for spam and once for ham, as SpamBayes
// introduced it. The constants are those the SpamBayes project found best.
const (
	unknown     = 0.5  // probability of a token never seen
	unknownness = 0.45 // how many messages that assumption is worth
	minStrength = 0.1  // distance from 0.5 from which a token tells something
	maxTelling  = 150  // tokens combined, the strongest
	// maxWordsTelling bounds words of the text among them, which are the easiest
	// to add: mail that learned spam full of dictionary words has made suspicious
	// is still known by its author, links and form.
	maxWordsTelling = 30

	// borrowed is how many messages the experience of the other accounts is
	// worth beside what an account has learned itself.
	borrowed = 20
)

// opinion is what own and others' lessons say of one token.
type opinion struct {
	probability float64
	token       int // index in Tokens
	spam, ham   int // messages of the account
}

func (o opinion) strength() float64 { return math.Abs(o.probability - 0.5) }

// judge weighs the tokens. others is nil where nothing is shared.
func judge(t *Tokens, own, others *model, minLearned int) Judgement {
	e := experience{own: own, others: others}
	j := Judgement{Probability: unknown, Spam: own.spam, Ham: own.ham, Tokens: t.Len()}
	if others != nil {
		j.SharedSpam = max(0, others.spam-own.givenSpam)
		j.SharedHam = max(0, others.ham-own.givenHam)
		e.givenSpam, e.givenHam = ratio(own.givenSpam, own.spam), ratio(own.givenHam, own.ham)
	}
	e.otherSpam, e.otherHam = float64(j.SharedSpam), float64(j.SharedHam)
	if j.Spam+j.SharedSpam < minLearned || j.Ham+j.SharedHam < minLearned {
		return j
	}
	j.Known = true
	telling := make([]opinion, 0, t.Len())
	for i := range t.list {
		if o := e.opinion(t.list[i].hash); o.strength() >= minStrength {
			o.token = i
			telling = append(telling, o)
		}
	}
	slices.SortFunc(telling, func(a, b opinion) int {
		return cmp.Or(cmp.Compare(b.strength(), a.strength()), cmp.Compare(a.token, b.token))
	})
	telling = strongest(t, telling)
	j.Probability, j.Telling = combine(telling), len(telling)
	for _, o := range telling[:min(len(telling), MaxReasons)] {
		where, text := t.show(o.token)
		j.Reasons = append(j.Reasons, Reason{Where: where, Text: text, Probability: o.probability, Spam: o.spam, Ham: o.ham})
	}
	return j
}

// strongest keeps those of the sorted opinions that are combined.
func strongest(t *Tokens, telling []opinion) []opinion {
	words := 0
	telling = slices.DeleteFunc(telling, func(o opinion) bool {
		if !t.list[o.token].mark {
			words++
		}
		return !t.list[o.token].mark && words > maxWordsTelling
	})
	return telling[:min(len(telling), maxTelling)]
}

// experience is an account's own model beside everybody's.
type experience struct {
	own, others *model
	// givenSpam and givenHam are the shares of the account's own messages that
	// everybody's model counts too; otherSpam and otherHam count the rest of it.
	givenSpam, givenHam, otherSpam, otherHam float64
}

func ratio(a, b int) float64 {
	if b <= 0 {
		return 0
	}
	return min(1, float64(a)/float64(b))
}

// opinion estimates how often a token occurs in each class. What the others
// saw is the assumption from which the account's own lessons lead away.
func (e *experience) opinion(hash uint64) opinion {
	spam, ham := e.own.get(hash)
	s, h := float64(spam), float64(ham)
	var os, oh float64
	if e.others != nil {
		a, b := e.others.get(hash)
		os, oh = max(0, float64(a)-s*e.givenSpam), max(0, float64(b)-h*e.givenHam)
	}
	seen := s + h + os + oh
	if seen == 0 {
		return opinion{probability: unknown}
	}
	rs := rate(s, float64(e.own.spam), os, e.otherSpam)
	rh := rate(h, float64(e.own.ham), oh, e.otherHam)
	p := unknown
	if rs+rh > 0 {
		p = rs / (rs + rh)
	}
	return opinion{probability: (unknownness*unknown + seen*p) / (unknownness + seen), spam: spam, ham: ham}
}

// rate is the share of messages that have a token: n of total own ones, beside
// m of others' ones that together count as much as borrowed messages.
func rate(n, total, m, others float64) float64 {
	lent := min(borrowed, others)
	if lent > 0 {
		n, total = n+lent*min(1, m/others), total+lent
	}
	if total <= 0 {
		return 0
	}
	return min(1, n/total)
}

// combine is the indicator (1 + S - H) / 2: S near 1 says that so many spammy
// tokens are no chance, H the same of innocent ones.
func combine(list []opinion) float64 {
	if len(list) == 0 {
		return unknown
	}
	var spam, ham float64
	for _, o := range list {
		spam += math.Log1p(-o.probability)
		ham += math.Log(o.probability)
	}
	s := 1 - chiSquare(-2*spam, len(list))
	h := 1 - chiSquare(-2*ham, len(list))
	return (1 + s - h) / 2
}

// chiSquare is the probability that a chi-square variable with 2n degrees of
// freedom is at least x: e^-m times the sum of m^i/i! for i below n, m = x/2.
func chiSquare(x float64, n int) float64 {
	m := x / 2
	// In logarithms, because e^-m alone is 0 where the sum is not.
	term, sum := -m, 0.0
	for i := range n {
		if i > 0 {
			term += math.Log(m) - math.Log(float64(i))
		}
		sum += math.Exp(term)
	}
	return min(1, sum)
}
