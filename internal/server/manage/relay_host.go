package manage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// RelayHost is another mail server and how it is talked to (M-DEL-02a-d).
type RelayHost struct {
	Hosts          []string `json:"hosts" doc:"Names or addresses in the order of trying"`
	Port           int      `json:"port"`
	Secure         bool     `json:"secure" doc:"Only with TLS and a certificate that matches"`
	AnyCertificate bool     `json:"any_certificate" doc:"Takes any certificate"`
	Fingerprint    string   `json:"fingerprint" doc:"SHA-256 of the only certificate taken; empty: whichever matches"`
}

// RelayHostChange sets the fields that are given.
type RelayHostChange struct {
	Hosts          *[]string `json:"hosts,omitempty" doc:"Names or addresses in the order of trying"`
	Port           *int      `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"25 unless another is given"`
	Secure         *bool     `json:"secure,omitempty" doc:"Only with TLS and a certificate that matches; mail waits rather than go in clear"`
	AnyCertificate *bool     `json:"any_certificate,omitempty" doc:"Take any certificate"`
	Fingerprint    *string   `json:"fingerprint,omitempty" doc:"SHA-256 of the only certificate taken, 64 hexadecimal digits"`
}

func relayHostView(h store.RelayHost) RelayHost {
	v := RelayHost{Hosts: []string{}, Port: int(h.Port), Secure: h.Secure, AnyCertificate: h.AnyCertificate, Fingerprint: h.Fingerprint}
	v.Hosts = append(v.Hosts, h.Hosts...)
	return v
}

func (c RelayHostChange) empty() bool {
	return c.Hosts == nil && c.Port == nil && c.Secure == nil && c.AnyCertificate == nil && c.Fingerprint == nil
}

const usualPort = 25

// apply puts the given fields into a row.
func (c RelayHostChange) apply(h *store.RelayHost) error {
	if h.Port == 0 {
		h.Port = usualPort
	}
	if c.Hosts != nil {
		h.Hosts = slices.Clone(*c.Hosts)
	}
	if c.Port != nil {
		if *c.Port < 1 || *c.Port > 65535 {
			return inField("port", fmt.Errorf("%d is no port; give a number from 1 to 65535, such as 587", *c.Port))
		}
		h.Port = uint16(*c.Port)
	}
	if c.Secure != nil {
		h.Secure = *c.Secure
	}
	if c.AnyCertificate != nil {
		h.AnyCertificate = *c.AnyCertificate
	}
	if c.Fingerprint != nil {
		h.Fingerprint = *c.Fingerprint
	}
	return nil
}

// maxRelayHosts is how many hosts one relay has, as in the general settings.
const maxRelayHosts = 10

// checkHost holds a row to the rules of the relay settings and brings it into
// normal form. Without hosts there is nothing to say about any.
func checkHost(h *store.RelayHost) error {
	switch {
	case len(h.Hosts) == 0 && h.User != "":
		return inField("hosts", errors.New("name the relay host to log in to"))
	case len(h.Hosts) == 0:
		*h = store.RelayHost{Port: usualPort}
		return nil
	case len(h.Hosts) > maxRelayHosts:
		return inField("hosts", fmt.Errorf("at most %d are tried", maxRelayHosts))
	}
	s := route.RelaySettings{Mode: "relay", Hosts: h.Hosts, Port: int(h.Port), Secure: h.Secure, User: h.User, ClearLogin: h.ClearLogin,
		AnyCertificate: h.AnyCertificate, Fingerprint: h.Fingerprint}
	if h.Password != "" {
		s.Password = setting.NewSecret("kept")
	}
	if err := s.Validate(); err != nil {
		field, text, named := strings.Cut(err.Error(), ": ")
		if !named {
			return inField("hosts", err)
		}
		return inField(field, errors.New(text))
	}
	r, err := s.Relay()
	if err != nil {
		return inField("hosts", err)
	}
	h.Hosts, h.Fingerprint = r.Hosts, r.Fingerprint
	return nil
}

// RelaySecret names the password of a relay rule, for sealing.
func RelaySecret(rule string) string { return "relay rule " + mail.FoldLocal(rule) }
