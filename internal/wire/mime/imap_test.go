package mime

import (
	"fmt"
	"strconv"
	"strings"
)

// The independent reader of what IMAP clients get to see: it accepts the
// grammar of RFC 3501 §9 for envelope and body and nothing else.

type imapNil struct{}

type imapReader struct {
	b   string
	err error
}

func (r *imapReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format+" before %.40q", append(args, r.b)...)
	}
	r.b = ""
}

// value reads a list, string, number or NIL.
func (r *imapReader) value() any {
	switch {
	case len(r.b) == 0:
		r.fail("unexpected end")
	case r.b[0] == '(':
		return r.list()
	case r.b[0] == '"':
		return r.quoted()
	case r.b[0] == '{':
		return r.literal()
	case strings.HasPrefix(r.b, "NIL"):
		r.b = r.b[3:]
		return imapNil{}
	case r.b[0] >= '0' && r.b[0] <= '9':
		return r.number()
	default:
		r.fail("unexpected octet")
	}
	return nil
}

func (r *imapReader) number() int64 {
	i := 0
	for i < len(r.b) && r.b[i] >= '0' && r.b[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(r.b[:i], 10, 64)
	if err != nil {
		r.fail("number")
		return 0
	}
	r.b = r.b[i:]
	return n
}

func (r *imapReader) quoted() string {
	var out []byte
	for i := 1; i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.b = r.b[i+1:]
			return string(out)
		case c == 0 || c >= 0x80 || c == '\r' || c == '\n':
			r.fail("octet %d in a quoted string", c)
			return ""
		case c == '\\':
			i++
			if i >= len(r.b) || r.b[i] != '"' && r.b[i] != '\\' {
				r.fail("bad escape")
				return ""
			}
			out = append(out, r.b[i])
		default:
			out = append(out, c)
		}
	}
	r.fail("unfinished quoted string")
	return ""
}

func (r *imapReader) literal() string {
	head, rest, ok := strings.Cut(r.b[1:], "}\r\n")
	n, err := strconv.Atoi(head)
	if !ok || err != nil || n > len(rest) {
		r.fail("literal")
		return ""
	}
	if strings.ContainsRune(rest[:n], 0) {
		r.fail("NUL in a literal")
		return ""
	}
	r.b = rest[n:]
	return rest[:n]
}

// list reads values separated by one space, none between lists.
func (r *imapReader) list() []any {
	out := []any{}
	r.b = r.b[1:]
	for len(r.b) > 0 && r.b[0] != ')' {
		if len(out) > 0 {
			_, wasList := out[len(out)-1].([]any)
			switch {
			case r.b[0] == ' ':
				r.b = r.b[1:]
			case !wasList || r.b[0] != '(':
				r.fail("missing space")
			}
		}
		if len(r.b) == 0 {
			break
		}
		out = append(out, r.value())
	}
	if len(r.b) == 0 {
		r.fail("unfinished list")
		return out
	}
	r.b = r.b[1:]
	return out
}

func readIMAP(b []byte) (any, error) {
	r := imapReader{b: string(b)}
	v := r.value()
	if r.err == nil && len(r.b) > 0 {
		r.fail("left over")
	}
	return v, r.err
}

func isString(v any) bool { _, ok := v.(string); return ok }
func isNumber(v any) bool { _, ok := v.(int64); return ok }
func isNil(v any) bool    { _, ok := v.(imapNil); return ok }
func isNString(v any) bool {
	return isString(v) || isNil(v)
}

func checkEnvelope(v any) error {
	e, ok := v.([]any)
	if !ok || len(e) != 10 {
		return fmt.Errorf("envelope: %v", v)
	}
	for _, i := range []int{0, 1, 8, 9} {
		if !isNString(e[i]) {
			return fmt.Errorf("envelope field %d: %v", i, e[i])
		}
	}
	for i := 2; i < 8; i++ {
		if err := checkAddresses(e[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkAddresses(v any) error {
	if isNil(v) {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return fmt.Errorf("addresses: %v", v)
	}
	group := false
	for _, a := range list {
		f, ok := a.([]any)
		if !ok || len(f) != 4 {
			return fmt.Errorf("address: %v", a)
		}
		for _, x := range f {
			if !isNString(x) {
				return fmt.Errorf("address: %v", a)
			}
		}
		if isNil(f[3]) {
			if group == isString(f[2]) {
				return fmt.Errorf("group marks do not match: %v", list)
			}
			group = !group
		} else if isNil(f[2]) {
			return fmt.Errorf("NIL mailbox: %v", a)
		}
	}
	if group {
		return fmt.Errorf("unfinished group: %v", list)
	}
	return nil
}

func checkParams(v any) error {
	if isNil(v) {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 {
		return fmt.Errorf("parameters: %v", v)
	}
	for _, x := range list {
		if !isString(x) {
			return fmt.Errorf("parameters: %v", v)
		}
	}
	return nil
}

func checkBody(v any, extended bool) error {
	b, ok := v.([]any)
	if !ok || len(b) == 0 {
		return fmt.Errorf("body: %v", v)
	}
	if _, multipart := b[0].([]any); multipart {
		return checkMultipart(b, extended)
	}
	if len(b) < 7 || !isString(b[0]) || !isString(b[1]) || !isNString(b[3]) || !isNString(b[4]) || !isString(b[5]) || !isNumber(b[6]) {
		return fmt.Errorf("body: %v", v)
	}
	if err := checkParams(b[2]); err != nil {
		return err
	}
	rest := b[7:]
	switch {
	case b[0] == "text":
		if len(rest) == 0 || !isNumber(rest[0]) {
			return fmt.Errorf("lines: %v", v)
		}
		rest = rest[1:]
	case b[0] == "message" && (b[1] == "rfc822" || b[1] == "global"):
		if len(rest) < 3 || !isNumber(rest[2]) {
			return fmt.Errorf("message: %v", v)
		}
		if err := checkEnvelope(rest[0]); err != nil {
			return err
		}
		if err := checkBody(rest[1], extended); err != nil {
			return err
		}
		rest = rest[3:]
	}
	if !extended {
		if len(rest) != 0 {
			return fmt.Errorf("extension in BODY: %v", v)
		}
		return nil
	}
	if len(rest) != 4 || !isNString(rest[0]) {
		return fmt.Errorf("extension: %v", v)
	}
	return checkExtension(rest[1:])
}

func checkMultipart(b []any, extended bool) error {
	i := 0
	for ; i < len(b); i++ {
		if _, ok := b[i].([]any); !ok {
			break
		}
		if err := checkBody(b[i], extended); err != nil {
			return err
		}
	}
	rest := b[i:]
	if len(rest) == 0 || !isString(rest[0]) {
		return fmt.Errorf("multipart subtype: %v", b)
	}
	if !extended {
		if len(rest) != 1 {
			return fmt.Errorf("extension in BODY: %v", b)
		}
		return nil
	}
	if len(rest) != 5 {
		return fmt.Errorf("multipart extension: %v", rest)
	}
	if err := checkParams(rest[1]); err != nil {
		return err
	}
	return checkExtension(rest[2:])
}

func checkExtension(v []any) error {
	if dsp, ok := v[0].([]any); ok {
		if len(dsp) != 2 || !isString(dsp[0]) {
			return fmt.Errorf("disposition: %v", dsp)
		}
		if err := checkParams(dsp[1]); err != nil {
			return err
		}
	} else if !isNil(v[0]) {
		return fmt.Errorf("disposition: %v", v[0])
	}
	if lang, ok := v[1].([]any); ok {
		for _, l := range lang {
			if !isString(l) {
				return fmt.Errorf("language: %v", lang)
			}
		}
		if len(lang) == 0 {
			return fmt.Errorf("empty language list")
		}
	} else if !isNString(v[1]) {
		return fmt.Errorf("language: %v", v[1])
	}
	if !isNString(v[2]) {
		return fmt.Errorf("location: %v", v[2])
	}
	return nil
}

// checkRendering reads everything IMAP is told about a message.
func checkRendering(s *Structure) error {
	v, err := readIMAP(s.AppendEnvelope(nil))
	if err == nil {
		err = checkEnvelope(v)
	}
	if err != nil {
		return fmt.Errorf("ENVELOPE: %w", err)
	}
	v, err = readIMAP(s.AppendBody(nil))
	if err == nil {
		err = checkBody(v, false)
	}
	if err != nil {
		return fmt.Errorf("BODY: %w", err)
	}
	v, err = readIMAP(s.AppendBodyStructure(nil))
	if err == nil {
		err = checkBody(v, true)
	}
	if err != nil {
		return fmt.Errorf("BODYSTRUCTURE: %w", err)
	}
	return nil
}
