package smtp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"posthorn/internal/base/reply"
)

// Bounds of a reply that a client reads.
const (
	maxReplyLine  = 4096 // RFC 5321 §4.5.3.1.5 says 512; be liberal
	maxReplyLines = 256
	maxReply      = 64 << 10
)

// ErrReply says that what the server sent is no SMTP reply; the connection is
// out of step and of no more use.
var ErrReply = errors.New("smtp: malformed reply")

// ReadReply reads one reply of one or more lines (RFC 5321 §4.2), of at most
// 64 KB. All lines must carry the same code; an enhanced status code is taken
// off each line that has one. The text is valid UTF-8 without control
// characters, whatever the server sent: it goes into logs and notices
// (reliability.md row 31).
func ReadReply(r *Reader) (reply.Reply, error) {
	var out reply.Reply
	total := 0
	for range maxReplyLines {
		line, err := r.ReadLine(maxReplyLine)
		if err != nil {
			return reply.Reply{}, err
		}
		if total += len(line); total > maxReply {
			return reply.Reply{}, fmt.Errorf("%w: over %d octets", ErrReply, maxReply)
		}
		code, last, text, err := splitReply(harmless(string(line)))
		if err != nil {
			return reply.Reply{}, err
		}
		if out.Code != 0 && code != out.Code {
			return reply.Reply{}, fmt.Errorf("%w: code changes from %d to %d", ErrReply, out.Code, code)
		}
		out.Code = code
		if e, rest, ok := cutEnhanced(code, text); ok {
			out.Enhanced, text = e, rest
		}
		out.Text = append(out.Text, text)
		if last {
			return out, nil
		}
	}
	return reply.Reply{}, fmt.Errorf("%w: over %d lines", ErrReply, maxReplyLines)
}

// harmless puts "?" in place of control characters and invalid UTF-8.
func harmless(s string) string {
	if isASCII(s) && clean(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func splitReply(line string) (code int, last bool, text string, err error) {
	bad := fmt.Errorf("%w: %.80q", ErrReply, line)
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, "", bad
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, true, "", nil
	case line[3] == ' ':
		return code, true, line[4:], nil
	case line[3] == '-':
		return code, false, line[4:], nil
	}
	return 0, false, "", bad
}

// cutEnhanced takes "5.7.1 " off, if its class is that of the code (RFC 2034 §4).
func cutEnhanced(code int, text string) (reply.Enhanced, string, bool) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || int(parts[0][0]-'0') != code/100 {
		return reply.Enhanced{}, text, false
	}
	var n [3]uint16
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || v > 999 {
			return reply.Enhanced{}, text, false
		}
		n[i] = uint16(v)
	}
	return reply.E(n[0], n[1], n[2]), rest, true
}
