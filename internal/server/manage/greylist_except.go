package manage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// subnetsSetting holds the subnet rules (B1G-NET).
const subnetsSetting = "policy.classes.subnets"

// exceptClient adds a subnet rule. Somebody who changes settings at the same
// moment is not overwritten: then it looks again.
func (s *Service) exceptClient(ctx context.Context, in *GreylistExceptInput) (SettingOutcome, error) {
	network, err := setting.ParseNetwork(in.Client)
	if err != nil {
		return SettingOutcome{}, inField("client", err)
	}
	for tries := 0; ; tries++ {
		version := s.o.Settings.Registry().Version()
		text, err := s.o.Settings.Get(subnetsSetting)
		if err != nil {
			return SettingOutcome{}, err
		}
		text, err = withException(text, network)
		if err != nil || text == "" {
			return SettingOutcome{Version: version, Differences: []setting.Difference{}}, err
		}
		out, err := s.save(ctx, setting.Edit{Set: map[string]string{subnetsSetting: text}, Base: version,
			Author: cmp.Or(author(ctx, in.Author), nobody), Comment: fmt.Sprintf("%s is never greylisted", network)}, false)
		if !errors.Is(err, store.ErrConflict) || tries == 3 {
			return out, err
		}
	}
}

// withException adds a network to subnet rules in text form; "" means that it is
// exempt already.
func withException(text string, network netip.Prefix) (string, error) {
	items, err := words(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", subnetsSetting, err)
	}
	for _, item := range items {
		var r check.SubnetRule
		if err := r.UnmarshalText([]byte(item)); err != nil {
			return "", fmt.Errorf("%s: %w", subnetsSetting, err)
		}
		if r.Network != network {
			continue
		}
		switch r.Class {
		case policy.ClassNoGreylist, policy.ClassNoGreylistNoBan, policy.ClassTrusted:
			return "", nil
		}
		return "", said{fmt.Sprintf("there is a subnet rule for %s already, of class %s; look at it: posthorn setting get %s", network, r.Class, subnetsSetting), store.ErrExists}
	}
	rule, err := check.SubnetRule{Network: network, Class: policy.ClassNoGreylist}.MarshalText()
	if err != nil {
		return "", err
	}
	return strings.Join(append(items, string(rule)), ", "), nil
}

// words takes the text form of a list of single words apart.
func words(text string) (items []string, err error) {
	if strings.HasPrefix(text, "[") {
		err = json.Unmarshal([]byte(text), &items)
		return items, err
	}
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' }), nil
}
