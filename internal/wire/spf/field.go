package spf

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue bounds a value in the field, in octets, far below a line's limit.
const maxValue = 320

// usual is the size of a field with names of usual length.
const usual = 384

// Field writes the Received-SPF field of a judgement with its line ends
// (RFC 7208 §9.1), one key to a line. Nothing in it can begin another field.
func (o Outcome) Field(receiver string, client Client) string {
	var b strings.Builder
	b.Grow(usual)
	b.WriteString("Received-SPF: ")
	b.WriteString(string(o.Result))
	last := ""
	pair := func(key, value string) {
		if value != "" {
			for _, s := range [...]string{last, "\r\n\t", key, "=", value} {
				b.WriteString(s)
			}
			last = ";"
		}
	}
	pair("receiver", word(receiver))
	pair("identity", string(o.Identity))
	pair("client-ip", address(client.IP))
	if o.Identity == MailFrom {
		pair("envelope-from", word(o.Sender))
	}
	pair("helo", word(client.Helo))
	pair("mechanism", word(o.Mechanism))
	if o.Err != nil && o.Result != None {
		pair("problem", word(o.Err.Error()))
	}
	b.WriteString("\r\n")
	return b.String()
}

func address(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return word(ip.Unmap().WithZone("").String())
}

// word writes a value as a dot-atom if it is one, else as a quoted string.
func word(s string) string {
	plain := s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..") && len(s) <= maxValue
	for i := 0; plain && i < len(s); i++ {
		plain = isAlnum(s[i]) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", s[i]) >= 0
	}
	if plain || s == "" {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if b.Len() > maxValue {
			break
		}
		switch {
		case r == utf8.RuneError || unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b.WriteByte('?')
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
