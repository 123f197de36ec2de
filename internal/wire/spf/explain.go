package spf

import "strings"

// MaxExplanation bounds an explanation, in octets, so that it fits into a line
// of a reply. Longer ones are dropped; half a sentence helps nobody.
const MaxExplanation = 400

// maxShown bounds a directive in an Outcome.
const maxShown = 128

// explain fetches and expands the text of exp= (RFC 7208 §6.2); it returns ""
// when anything is wrong with it.
func (e *evaluation) explain(r *record) string {
	if r.exp == nil {
		return ""
	}
	e.terms, e.voids = 0, 0 // the limits are those of the judgement, which is over
	name, ok, err := e.target(r, r.exp)
	if err != nil || !ok {
		return ""
	}
	answer, err := e.dns.TXT(e.ctx, name)
	if err != nil || len(answer.Records) != 1 {
		return ""
	}
	t, ok := parseTemplate(answer.Records[0], explanationLetters)
	if !ok {
		return ""
	}
	text, err := e.expand(t, r.domain)
	if text = clean(text); err != nil || len(text) > MaxExplanation {
		return ""
	}
	return text
}

// clean leaves printable ASCII: what the client said of itself stands in
// explanations too.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s))
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
