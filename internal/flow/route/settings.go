package route

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/setting"
)

// RelaySettings say whether mail to other servers goes to them directly or all
// of it through one relay host, and how to reach that (M-DEL-01, M-DEL-02).
type RelaySettings struct {
	// Mode is direct, where each domain's own servers are found by DNS, or
	// relay, where everything for the outside goes through the relay host and
	// no look-up is made for the recipient's domain. Mail for local domains
	// never goes either way.
	Mode string `default:"direct" oneof:"direct,relay"`
	// Hosts are the relay host's names or addresses, in the order of trying:
	// smtp.example.net, 192.0.2.25 or 2001:db8::25. Names are looked up as
	// addresses, not as mail domains.
	Hosts []string `default:"" max:"10"`
	// Port is the relay host's port: 25, or usually 587 or 465 where the relay
	// host asks for a login.
	Port int `default:"25" min:"1" max:"65535"`
	// Secure always uses TLS, from the first octet on port 465 and by STARTTLS
	// on any other, with a certificate that matches the relay host's name. Mail
	// waits rather than go in clear. Without it TLS is used where it is offered.
	Secure bool `default:"false"`
	// User is the name to log in with at the relay host; empty does not log in.
	User string `default:"" max:"256"`
	// Password is the password for logging in to the relay host as relay.user;
	// without a user name it is not used.
	Password setting.Secret `default:"" max:"1024"`
	// ClearLogin logs in even where the connection is not encrypted, so that
	// everybody on the way can read the password.
	ClearLogin bool `default:"false"`
	// AnyCertificate takes any certificate, whatever name stands in it and
	// whoever signed it: an attacker on the way can read everything.
	AnyCertificate bool `default:"false"`
	// Fingerprint is the SHA-256 of the only certificate that is accepted, 64
	// hexadecimal digits with or without colons.
	Fingerprint string `default:"" max:"100"`
}

// Modes of RelaySettings.
const (
	modeDirect = "direct"
	modeRelay  = "relay"
)

// Validate refuses what could never send a message.
func (s *RelaySettings) Validate() error {
	for _, h := range s.Hosts {
		if _, err := parseHost(h); err != nil {
			return fmt.Errorf("hosts: %w", err)
		}
	}
	_, err := parseFingerprint(s.Fingerprint)
	switch {
	case s.Mode == modeRelay && len(s.Hosts) == 0:
		return errors.New("hosts: mode relay needs a relay host; name one, or set mode to direct")
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port: %d is no port; give a number from 1 to 65535, such as 587", s.Port)
	case s.User != "" && !s.Password.IsSet():
		return errors.New("password: the user name needs one; set it, or clear user to send without login")
	case err != nil:
		return fmt.Errorf("fingerprint: %w", err)
	case s.Fingerprint != "" && s.AnyCertificate:
		return errors.New("any_certificate: contradicts fingerprint; switch it off, or clear the fingerprint")
	case s.Fingerprint != "" && !s.Secure:
		return errors.New("fingerprint: without secure no certificate is asked for; switch secure on")
	}
	return nil
}

// Doubt says why mail must not take the general way, "" where it may. unused are
// the settings whose stored value is not in force and why, by full name: the
// default instead of it could send mail past the relay, or without the security
// that was demanded (M-DEL-02c).
func (s *RelaySettings) Doubt(unused map[string]string) string {
	direct := s.Mode == modeDirect && unused["relay.mode"] == ""
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		switch field, ours := strings.CutPrefix(name, "relay."); {
		case !ours, direct, field == "password" && s.User == "" && unused["relay.user"] == "":
			continue
		}
		return name + " cannot be used: " + unused[name]
	}
	return ""
}

// Relay makes the relay of valid settings, hosts and fingerprint in their
// normal form. Without a host there is none, for mail that was to go through a
// relay must not go directly instead.
func (s *RelaySettings) Relay() (*Relay, error) {
	if len(s.Hosts) == 0 {
		return nil, errors.New("mode relay has no host")
	}
	r := &Relay{Port: uint16(s.Port), Secure: s.Secure, AnyCertificate: s.AnyCertificate, User: s.User, ClearLogin: s.ClearLogin}
	if s.User != "" {
		r.Password = s.Password.Reveal()
	}
	for _, h := range s.Hosts {
		host, err := parseHost(h)
		if err != nil {
			return nil, err
		}
		r.Hosts = append(r.Hosts, host)
	}
	var err error
	r.Fingerprint, err = parseFingerprint(s.Fingerprint)
	return r, err
}

// parseHost reads a name or an address; brackets around an address and the
// IPv6: of an address literal are taken off. Addresses come out as netip
// writes them, names in normal form.
func parseHost(s string) (string, error) {
	bad := fmt.Errorf("%q is no host; write a name such as smtp.example.net, or an address such as 192.0.2.25 or 2001:db8::25", clip(s))
	text, bracketed := strings.CutPrefix(s, "[")
	if bracketed {
		inner, closed := strings.CutSuffix(text, "]")
		if !closed {
			return "", bad
		}
		if text = inner; len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
			text = text[5:]
		}
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return "", bad
		}
		return ip.Unmap().String(), nil
	}
	name, err := mail.ParseDomain(text)
	if err != nil || bracketed || numeric(name) {
		return "", bad
	}
	return name, nil
}

// numeric reports a name whose last label is a number: a mistyped address.
func numeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

// parseFingerprint returns the digits in lower case without colons.
func parseFingerprint(s string) (string, error) {
	digits := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	if b, err := hex.DecodeString(digits); digits != "" && (err != nil || len(b) != 32) {
		return "", errors.New("is no SHA-256 of a certificate; give 64 hexadecimal digits")
	}
	return digits, nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
