package policy

import (
	"encoding/json"
	"time"
)

// object writes an answer as encoding/json would, at a fraction of its cost:
// answers are written for every message, and read only when somebody looks.
type object struct {
	text []byte
	err  error
}

func newObject() object { return object{text: append(make([]byte, 0, 192), '{')} }

// key begins a member.
func (o *object) key(name string) {
	if last := o.text[len(o.text)-1]; last != '{' {
		o.text = append(o.text, ',')
	}
	o.text = append(append(append(o.text, '"'), name...), `":`...)
}

func (o *object) open(name string) { o.key(name); o.text = append(o.text, '{') }
func (o *object) close()           { o.text = append(o.text, '}') }

// word adds a text, even an empty one.
func (o *object) word(name, value string) {
	o.key(name)
	if simple(value) {
		o.text = append(append(append(o.text, '"'), value...), '"')
		return
	}
	quoted, _ := json.Marshal(value) // a string always can be written
	o.text = append(o.text, quoted...)
}

// some adds a text that is not empty.
func (o *object) some(name, value string) {
	if value != "" {
		o.word(name, value)
	}
}

// flag adds what is true.
func (o *object) flag(name string, value bool) {
	if value {
		o.key(name)
		o.text = append(o.text, "true"...)
	}
}

// moment adds a time that is not zero.
func (o *object) moment(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	o.key(name)
	o.text = append(o.text, '"')
	text, err := t.AppendText(o.text)
	if err != nil {
		o.err = err
		return
	}
	o.text = append(text, '"')
}

// done returns the whole.
func (o *object) done() ([]byte, error) {
	if o.err != nil {
		return nil, o.err
	}
	return append(o.text, '}'), nil
}

// simple reports a text that stands in JSON as it is.
func simple(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// MarshalText implements encoding.TextMarshaler.
func (s SPF) MarshalText() ([]byte, error) {
	o := newObject()
	o.word("result", s.Result)
	o.some("identity", s.Identity)
	o.some("domain", s.Domain)
	o.some("mechanism", s.Mechanism)
	o.some("explanation", s.Explanation)
	o.some("problem", s.Problem)
	return o.done()
}

// MarshalText implements encoding.TextMarshaler.
func (a Authentication) MarshalText() ([]byte, error) {
	o := newObject()
	if len(a.Signatures) > 0 {
		o.key("signatures")
		o.text = append(o.text, '[')
		for i := range a.Signatures {
			a.Signatures[i].write(&o, i > 0)
		}
		o.text = append(o.text, ']')
	}
	if c := a.Chain; c != (Chain{}) {
		o.open("arc")
		o.word("result", c.Result)
		o.some("sealer", c.Sealer)
		o.flag("trusted", c.Trusted)
		o.flag("passed", c.Passed)
		o.some("reason", c.Reason)
		o.close()
	}
	if d := a.DMARC; d != (Conformance{}) {
		o.open("dmarc")
		o.word("result", d.Result)
		o.some("domain", d.Domain)
		o.some("policy", d.Policy)
		o.some("policy_domain", d.PolicyDomain)
		o.flag("sampled", d.Sampled)
		o.some("reason", d.Reason)
		o.close()
	}
	return o.done()
}

func (s *Signature) write(o *object, more bool) {
	if more {
		o.text = append(o.text, ',')
	}
	o.text = append(o.text, '{')
	o.word("result", s.Result)
	o.word("domain", s.Domain)
	o.some("selector", s.Selector)
	o.some("reason", s.Reason)
	o.flag("aligned", s.Aligned)
	o.close()
}

// MarshalText implements encoding.TextMarshaler.
func (g *grey) MarshalText() ([]byte, error) {
	o := newObject()
	o.moment("first", g.First)
	o.moment("confirmed", g.Confirmed)
	o.moment("at", g.At)
	o.some("failed", g.Err)
	return o.done()
}
