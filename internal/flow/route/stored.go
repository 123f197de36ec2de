package route

import (
	"errors"

	"posthorn/internal/state/store"
)

// Stored makes rules of what is stored. open gives the secret in a sealed
// password of a rule. The rules are all there even with an error, which joins
// those of the passwords: a rule whose password cannot be opened must not let
// its mail go another way, so it goes to its relay without one and waits there.
func Stored(domains []store.RelayDomain, rules []store.RelayRule, open func(rule, sealed string) (string, error)) ([]Rule, error) {
	all := make([]Rule, 0, len(domains)+len(rules))
	for i := range domains {
		d := &domains[i]
		all = append(all, Rule{Name: d.Name, Kind: NextHop, Disabled: d.Disabled, Targets: []string{d.Domain}, Relay: stored(&d.Next)})
	}
	var errs []error
	for i := range rules {
		r := &rules[i]
		rule := Rule{Name: r.Name, Kind: ByRecipient, Disabled: r.Disabled, Targets: r.Targets, Relay: stored(&r.Host)}
		if r.BySender {
			rule.Kind = BySender
		}
		if rule.Relay != nil && rule.Relay.User != "" {
			var err error
			if rule.Relay.Password, err = open(r.Name, r.Host.Password); err != nil {
				errs = append(errs, err)
			}
		}
		all = append(all, rule)
	}
	return all, errors.Join(errs...)
}

// stored is the relay of a row, nil when it names no host.
func stored(h *store.RelayHost) *Relay {
	if len(h.Hosts) == 0 {
		return nil
	}
	return &Relay{Hosts: h.Hosts, Port: h.Port, Secure: h.Secure, AnyCertificate: h.AnyCertificate, Fingerprint: h.Fingerprint, User: h.User, ClearLogin: h.ClearLogin}
}
