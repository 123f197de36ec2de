package setting

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
)

// Former is a type of a rule: SettingForm says how one is written, with an
// example, as in "NETWORK=CLASS, such as 192.0.2.0/24=dial-up".
type Former interface{ SettingForm() string }

// Helper is a type whose values mean the same in each setting that has it.
// SettingHelp explains them, below what the setting's own documentation says.
type Helper interface{ SettingHelp() string }

// codec turns one kind of value into text and back.
type codec struct {
	name   string // what people call the kind
	parse  func(text string, v reflect.Value) error
	format func(v reflect.Value) string
	// compare is nil for kinds without order.
	compare func(a, b reflect.Value) int
	// form says how a value is written, with an example; "" where any text will do.
	form string
	// bare values stand without quotes in the settings file.
	bare bool
}

// codecFor returns the codec of a type.
func codecFor(typ reflect.Type, kind string, lines bool) (codec, error) {
	switch {
	case typ == reflect.TypeFor[time.Duration]():
		return codec{name: "duration", form: "a number with s, m, h or d, such as 90s, 5m, 12h or 30d", parse: parseDuration, format: formatDuration, compare: compareInt}, nil
	case typ == reflect.TypeFor[netip.Prefix]():
		return codec{name: "network", form: "an address or a network, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32", parse: parsePrefix, format: formatText}, nil
	case typ == reflect.TypeFor[Secret]():
		return codec{name: "secret", parse: parseSecret, format: formatSecret}, nil
	case typ == reflect.TypeFor[mail.Address]():
		return codec{name: "address", form: "a mail address, such as bob@example.org", parse: parseText, format: formatText}, nil
	case reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		c := codec{name: strings.ToLower(typ.Name()), parse: parseText, format: formatText}
		if typ == reflect.TypeFor[unit.Size]() {
			c.form = "octets, or a number with KB, MB, GB or TB, such as 50MB"
		}
		if former, ok := reflect.Zero(typ).Interface().(Former); ok {
			c.name, c.form = "rule", former.SettingForm()
		}
		if typ.Kind() >= reflect.Int && typ.Kind() <= reflect.Int64 {
			c.compare = compareInt
		}
		return c, nil
	}
	switch typ.Kind() {
	case reflect.Bool:
		return codec{name: "bool", form: "true or false", parse: parseBool, format: formatBool, bare: true}, nil
	case reflect.Int, reflect.Int64:
		return codec{name: "number", parse: parseInt, format: formatInt, compare: compareInt, bare: true}, nil
	case reflect.Float64:
		return codec{name: "number", parse: parseFloat, format: formatFloat, compare: compareFloat, bare: true}, nil
	case reflect.String:
		return stringCodec(kind, lines)
	}
	return codec{}, fmt.Errorf("type %s cannot be a setting", typ)
}

func parseBool(text string, v reflect.Value) error {
	switch strings.ToLower(text) {
	case "true", "on", "yes", "1":
		v.SetBool(true)
	case "false", "off", "no", "0":
		v.SetBool(false)
	default:
		return fmt.Errorf("%q is neither true nor false", clip(text))
	}
	return nil
}

func formatBool(v reflect.Value) string { return strconv.FormatBool(v.Bool()) }

func parseInt(text string, v reflect.Value) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return fmt.Errorf("%q is not a whole number", clip(text))
	}
	v.SetInt(n)
	return nil
}

func formatInt(v reflect.Value) string { return strconv.FormatInt(v.Int(), 10) }

func compareInt(a, b reflect.Value) int { return cmp.Compare(a.Int(), b.Int()) }

func parseFloat(text string, v reflect.Value) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n-n != 0 { // infinite or not a number
		return fmt.Errorf("%q is not a number", clip(text))
	}
	v.SetFloat(n)
	return nil
}

func formatFloat(v reflect.Value) string {
	s := strconv.FormatFloat(v.Float(), 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func compareFloat(a, b reflect.Value) int { return cmp.Compare(a.Float(), b.Float()) }

func parseText(text string, v reflect.Value) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func formatText(v reflect.Value) string {
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil { // a value that was read can be written
		return ""
	}
	return string(b)
}

func parseSecret(text string, v reflect.Value) error {
	clean, err := checkText(text, true)
	v.Set(reflect.ValueOf(Secret{text: clean}))
	return err
}

func formatSecret(v reflect.Value) string { return v.Interface().(Secret).text }

// parsePrefix reads a.b.c.d, a.b.c.d/255.255.255.0 and CIDR of both families
// (M-REL-01), and stores the network without host bits.
func parsePrefix(text string, v reflect.Value) error {
	p, err := ParseNetwork(text)
	v.Set(reflect.ValueOf(p))
	return err
}

// ParseNetwork reads an address, an address with a netmask, or CIDR.
func ParseNetwork(text string) (netip.Prefix, error) {
	bad := fmt.Errorf("%q is not a network; write 192.0.2.1, 192.0.2.0/24, 192.0.2.0/255.255.255.0 or 2001:db8::/32", clip(text))
	host, mask, ok := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, bad
	}
	bits := ip.BitLen()
	if ok {
		if bits, err = maskBits(mask, ip); err != nil {
			return netip.Prefix{}, bad
		}
	}
	if ip.Is4In6() {
		if bits < 96 {
			return netip.Prefix{}, bad
		}
		ip, bits = ip.Unmap(), bits-96
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}, bad
	}
	return p, nil
}

func maskBits(mask string, ip netip.Addr) (int, error) {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() || !ip.Is4() {
		n, err := strconv.ParseUint(mask, 10, 8)
		return int(n), err
	}
	ones, size := net.IPMask(m.AsSlice()).Size()
	if size == 0 {
		return 0, errors.New("netmask with holes")
	}
	return ones, nil
}

// stringCodec reads strings, with the further rule of the kind tag.
func stringCodec(kind string, lines bool) (codec, error) {
	refine, ok := map[string]func(string) (string, error){
		"":         func(s string) (string, error) { return s, nil },
		"domain":   mail.ParseDomain,
		"hostport": parseHostPort,
		"url":      parseURL,
	}[kind]
	if !ok {
		return codec{}, fmt.Errorf("unknown kind %q", kind)
	}
	name := kind
	if kind == "" {
		name = "text"
	}
	form := map[string]string{"domain": "a domain, such as example.org", "hostport": "host:port, such as 192.0.2.1:25", "url": "such as https://host.example/path"}[kind]
	parse := func(text string, v reflect.Value) error {
		clean, err := checkText(text, lines)
		if err == nil && clean != "" {
			clean, err = refine(clean)
		}
		v.SetString(clean)
		return err
	}
	return codec{name: name, form: form, parse: parse, format: reflect.Value.String}, nil
}

// checkText refuses what could break a header, a log line or a reply apart
// (reliability.md row 31).
func checkText(s string, lines bool) (string, error) {
	if !utf8.ValidString(s) {
		return "", errors.New("is not valid UTF-8")
	}
	if lines {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	for _, c := range s {
		if unicode.IsControl(c) && (!lines || c != '\n' && c != '\t') {
			return "", fmt.Errorf("contains the control character %U; take it out", c)
		}
	}
	return s, nil
}

func parseHostPort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || strings.ContainsAny(host, " /") {
		return "", fmt.Errorf("%q is not host:port", clip(s))
	}
	return s, nil
}

func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", fmt.Errorf("%q is not a URL such as https://host.example/path", clip(s))
	}
	return s, nil
}

// clip shortens input for an error text.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
