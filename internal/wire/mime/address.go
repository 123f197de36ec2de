package mime

import (
	"bytes"
	"strings"
)

// addressList adds the addresses of a field to dst and reports whether those
// are all that others may see in it.
func (p *Parser) addressList(e *Envelope, dst *[]Address, value []byte) (whole bool) {
	r := addressReader{p: p, b: value, limit: MaxAddresses - e.addresses()}
	r.limit = min(r.limit, maxTotalAddresses-len(p.addresses))
	first := len(p.addresses)
	r.buf = p.buf[:0]
	r.read()
	p.buf = r.buf
	added := p.addresses[first:len(p.addresses):len(p.addresses)]
	if len(*dst) == 0 {
		*dst = added
	} else {
		*dst = append(*dst, added...)
	}
	if len(*dst) == 0 {
		*dst = nil
	}
	return !r.truncated && !r.second
}

func (e *Envelope) addresses() int {
	return len(e.From) + len(e.Sender) + len(e.ReplyTo) + len(e.To) + len(e.Cc) + len(e.Bcc)
}

// ParseAddressList reads the value of an address field: mailboxes, groups,
// comments, quoted strings and obsolete routes of RFC 5322 §3.4 and §4.4, and
// what comes near to them. It never fails; at most MaxAddresses are returned.
func ParseAddressList(value string) []Address {
	p := Parser{s: new(Structure)}
	var list []Address
	p.addressList(new(Envelope), &list, Unfold([]byte(value)))
	return list
}

// addressReader collects one list member at a time: its text in buf, with the
// places in it that tell an addr-spec from a display name.
type addressReader struct {
	p     *Parser
	b     []byte
	i     int
	limit int
	group bool

	buf       []byte
	word      int  // where the current word of buf begins
	at        int  // the last unquoted @ of the current word, or -1
	space     bool // white space has passed since the last octet
	local     int  // the last complete word with an @: its start, @ and end
	localAt   int
	localEnd  int
	comment   []byte // the first comment of the member
	emitted   bool   // the member is complete, the rest up to the comma is ignored
	truncated bool
	second    bool // what was ignored looks like an address
}

func (r *addressReader) read() {
	r.begin()
	for r.i < len(r.b) && !r.truncated {
		switch c := r.b[r.i]; {
		case isLWSP(c):
			r.space = true
			r.i++
		case c == '(':
			r.readComment()
		case c == ',':
			r.finish()
			r.i++
		case c == ';':
			r.finish()
			r.endGroup()
			r.i++
		case r.emitted:
			r.second = r.second || c == '<' || c == '@'
			r.i++
		case c == ':' && !r.group && r.at < 0 && r.localAt < 0:
			r.startGroup()
		case c == '<':
			r.readAngle()
		default:
			r.readText(c)
		}
	}
	r.finish()
	r.endGroup()
}

func (r *addressReader) begin() {
	r.buf, r.word, r.at, r.space = r.buf[:0], 0, -1, false
	r.localAt = -1
	r.comment, r.emitted = nil, false
}

func (r *addressReader) readComment() {
	end := commentEnd(r.b, r.i)
	if r.comment == nil {
		r.comment = bytes.TrimSuffix(r.b[r.i+1:end], []byte{')'})
	}
	r.space = true
	r.i = end
}

// readText takes what may belong to a display name or to an addr-spec.
func (r *addressReader) readText(c byte) {
	r.joinWord(c)
	switch c {
	case '"':
		r.buf = appendUnquoted(r.buf, r.b[r.i:])
		r.i = quotedEnd(r.b, r.i)
	case '[':
		end := len(r.b)
		if n := bytes.IndexByte(r.b[r.i:], ']'); n >= 0 {
			end = r.i + n + 1
		}
		r.buf = append(r.buf, r.b[r.i:end]...)
		r.i = end
	case '=':
		end := encodedWordEnd(r.b, r.i)
		r.buf = append(r.buf, r.b[r.i:end]...)
		r.i = end
	case '@':
		r.at = len(r.buf)
		fallthrough
	default:
		r.buf = append(r.buf, c)
		r.i++
	}
}

// joinWord ends the current word if white space has passed, except around the
// @ and the dots of a domain (RFC 5322 §4.4).
func (r *addressReader) joinWord(c byte) {
	space := r.space && len(r.buf) > 0
	r.space = false
	if !space {
		return
	}
	last := r.buf[len(r.buf)-1]
	var joined bool
	if r.at < 0 {
		joined = c == '@'
	} else {
		joined = r.at == len(r.buf)-1 || c == '.' || last == '.'
	}
	if !joined {
		r.endWord()
		r.word, r.at = len(r.buf)+1, -1
	}
	r.buf = append(r.buf, ' ')
}

func (r *addressReader) endWord() {
	if r.at >= 0 {
		r.local, r.localAt, r.localEnd = r.word, r.at, len(r.buf)
	}
}

// encodedWordEnd keeps an encoded word together even if it contains specials.
func encodedWordEnd(b []byte, i int) int {
	if i+1 >= len(b) || b[i+1] != '?' {
		return i + 1
	}
	marks := 0
	for j := i + 1; j < len(b) && !isLWSP(b[j]); j++ {
		if b[j] != '?' {
			continue
		}
		if marks++; marks >= 4 && j+1 < len(b) && b[j+1] == '=' {
			return j + 2
		}
	}
	return i + 1
}

// finish ends a member that has no angle brackets.
func (r *addressReader) finish() {
	if !r.emitted {
		r.endWord()
		switch {
		case r.localAt >= 0:
			name := trimLWSP(r.buf[:r.local])
			if len(name) == 0 {
				name = r.commentText()
			}
			host := bytes.ReplaceAll(r.buf[r.localAt+1:r.localEnd], []byte{' '}, nil)
			r.add(Mailbox, name, nil, trimLWSP(r.buf[r.local:r.localAt]), host)
		case len(r.buf) > 0 && bytes.IndexByte(r.buf, ' ') < 0:
			r.add(Mailbox, r.commentText(), nil, r.buf, nil)
		case len(r.buf) > 0:
			r.add(Mailbox, r.buf, nil, nil, nil)
		}
	}
	r.begin()
}

// commentText is the name in the old form user@host (Name).
func (r *addressReader) commentText() []byte {
	return trimLWSP(r.comment)
}

func (r *addressReader) startGroup() {
	r.i++
	if r.limit < 2 { // room for its end, too
		r.truncate()
		return
	}
	r.limit--
	r.add(GroupStart, nil, nil, trimLWSP(r.buf), nil)
	r.group = true
	r.begin()
}

func (r *addressReader) endGroup() {
	if r.group {
		r.group = false
		r.limit++
		r.add(GroupEnd, nil, nil, nil, nil)
	}
}

// readAngle takes an angle-addr; all text before it is the display name. A
// missing > is assumed at the next comma outside a route.
func (r *addressReader) readAngle() {
	r.i++
	name := len(r.buf)
	at, route, closed := -1, -1, false
	for r.i < len(r.b) && !closed {
		c := r.b[r.i]
		routing := route < 0 && len(r.buf) > name && r.buf[name] == '@'
		switch {
		case c == ',' && !routing:
			closed = true
			continue
		case c == '(':
			r.i = commentEnd(r.b, r.i)
			continue
		case c == '"':
			r.buf = appendUnquoted(r.buf, r.b[r.i:])
			r.i = quotedEnd(r.b, r.i)
			continue
		case c == '>':
			closed = true
		case isLWSP(c) || c == '<':
		case c == ':' && routing:
			route, at = len(r.buf), -1
		default:
			if c == '@' {
				at = len(r.buf)
			}
			r.buf = append(r.buf, c)
		}
		r.i++
	}
	r.addAngle(name, route, at)
}

func (r *addressReader) addAngle(name, route, at int) {
	display := trimLWSP(r.buf[:name])
	if len(display) == 0 {
		display = r.commentText()
	}
	spec := name
	var via []byte
	if route >= 0 {
		via, spec = r.buf[name:route], route
	}
	if at < spec {
		r.add(Mailbox, display, via, r.buf[spec:], nil)
	} else {
		r.add(Mailbox, display, via, r.buf[spec:at], r.buf[at+1:])
	}
	r.emitted = true
}

func (r *addressReader) truncate() {
	r.truncated = true
	r.p.s.Opaque |= LimitAddresses
}

func (r *addressReader) add(kind AddressKind, name, route, mailbox, host []byte) {
	if r.limit <= 0 {
		r.truncate()
		return
	}
	r.limit--
	p := r.p
	p.addresses = append(p.addresses, Address{
		Kind:    kind,
		Name:    p.keep(name, maxToken),
		Route:   p.keep(route, maxToken),
		Mailbox: p.keep(mailbox, maxToken),
		Host:    p.keep(host, maxToken),
	})
}

// Spec returns the addr-spec of a mailbox, its local part quoted if needed
// (RFC 5322 §3.4.1).
func (a *Address) Spec() string {
	local := a.Mailbox
	if needsQuoting(local) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if a.Host == "" {
		return local
	}
	return local + "@" + a.Host
}

func needsQuoting(local string) bool {
	if local == "" || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return true
	}
	return strings.ContainsAny(local, " \t\r\n\x00()<>[]:;@\\,\"")
}
