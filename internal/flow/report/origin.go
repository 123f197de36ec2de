package report

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"posthorn/internal/base/limit"
	"posthorn/internal/wire/authres"
)

// Origin says who sent mail, so that nobody gets the room of all others: the
// organisation whose domain our own Authentication-Results field, which is
// among the fields put before the mail, says is proven, or else the host it
// came from.
func Origin(fields []string, client string) string {
	for _, field := range fields {
		if name, value, _ := strings.Cut(field, ":"); strings.EqualFold(name, "Authentication-Results") {
			if domain := proven(value); domain != "" {
				return domain
			}
			break
		}
	}
	if ip, err := netip.ParseAddr(client); err == nil {
		return limit.Host(ip).String()
	}
	return client
}

// proven returns the organisational domain of the best identity that passes,
// "" for none.
func proven(value string) string {
	said, err := authres.Parse(value)
	if err != nil {
		return ""
	}
	for _, id := range []struct{ method, property string }{
		{"dmarc", "header.from"}, {"spf", "smtp.mailfrom"}, {"spf", "smtp.helo"}, {"dkim", "header.d"},
	} {
		for _, r := range said.Results {
			for _, p := range r.Properties {
				if r.Method == id.method && r.Value == "pass" && p.Type+"."+p.Name == id.property {
					return organization(p.Value)
				}
			}
		}
	}
	return ""
}

// organization is the organisational domain of an address or a domain.
func organization(of string) string {
	domain := strings.ToLower(of[strings.LastIndexByte(of, '@')+1:])
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}
