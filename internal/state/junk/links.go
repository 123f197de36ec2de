package junk

import (
	"bytes"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// link takes the host of the link at the beginning of text and returns the
// link's length, 0 if there is none. What follows the host is as good as
// random and left out.
func (c *collector) link(text []byte) int {
	start := schemeOf(text)
	if start == 0 || c.links == maxLinks {
		return 0
	}
	end := start
	for end < len(text) && text[end] > ' ' && text[end] < 0x7f && bytes.IndexByte([]byte(`"'<>`), text[end]) < 0 {
		end++
	}
	authority := text[start:end]
	if i := bytes.IndexAny(authority, `/?#\`); i >= 0 {
		authority = authority[:i]
	}
	if i := bytes.LastIndexByte(authority, '@'); i >= 0 {
		c.add(kindForm, []byte("link with a user name"))
		authority = authority[i+1:]
	}
	n := hostOf(authority)
	if n == 0 {
		return 0
	}
	c.links++
	c.host(authority[:n])
	return end
}

// schemeOf measures what stands before the host of a link, 0 for no link.
func schemeOf(text []byte) int {
	if text[0]|0x20 != 'h' && text[0]|0x20 != 'w' {
		return 0
	}
	for _, s := range []string{"http://", "https://"} {
		if len(text) > len(s) && bytes.EqualFold(text[:len(s)], []byte(s)) {
			return len(s)
		}
	}
	if len(text) > 4 && bytes.EqualFold(text[:4], []byte("www.")) {
		return 4
	}
	return 0
}

// hostOf measures the host name or address at the beginning of b.
func hostOf(b []byte) int {
	n := 0
	for n < len(b) && (alphanumeric(b[n]) || b[n] == '-' || b[n] == '.' || b[n] == '_') {
		n++
	}
	for n > 0 && (b[n-1] == '.' || b[n-1] == '-') {
		n--
	}
	return n
}

// host adds a host of a link, and the domain somebody registered.
func (c *collector) host(b []byte) {
	host := strings.TrimPrefix(strings.ToLower(string(b[:min(len(b), 255)])), "www.")
	if _, err := netip.ParseAddr(host); err == nil {
		c.add(kindForm, []byte("link to an address"))
	}
	c.domain(kindLink, host)
}

// domain adds a domain name, its end if it is too long, and the registered
// domain it belongs to.
func (c *collector) domain(k kind, name string) {
	name = strings.Trim(strings.ToLower(name), ". ")
	c.adds(k, name[max(0, len(name)-maxOctets):])
	if r := registered(name); r != name {
		c.adds(k, r)
	}
}

func registered(name string) string {
	if r, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return r
	}
	return name
}
