package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
)

// Blocklists judges clients by DNS lists when they name a recipient: each list
// that names the client adds its weight (B1G-BL-03).
type Blocklists struct {
	// Lists are the DNS lists that are asked about each client that is not
	// trusted, all at once. Each is
	// written as ZONE or ZONE=WEIGHT or ZONE=WEIGHT:NETWORK, such as
	// zen.example.net=3:127.0.0.4/30: a list without weight counts 1; with a
	// network only answers in it count.
	Lists []WeightedList `default:""`
	// Threshold is the sum of weights from which mail is refused.
	Threshold int `default:"1" min:"1" max:"1000"`
	// Mode is how the verdict of the lists counts.
	Mode policy.Mode `default:"enforce" trial:"observe" oneof:"enforce,observe,off"`
}

// WeightedList is a DNS list and what being on it counts.
type WeightedList struct {
	Zone   string
	Weight int
	// Codes are the answers that count; invalid: all.
	Codes netip.Prefix
}

// SettingForm implements setting.Former.
func (WeightedList) SettingForm() string {
	return "ZONE, ZONE=WEIGHT or ZONE=WEIGHT:NETWORK, such as zen.example.net=3:127.0.0.4/30"
}

// MarshalText implements encoding.TextMarshaler.
func (w WeightedList) MarshalText() ([]byte, error) {
	text := w.Zone + "=" + strconv.Itoa(w.Weight)
	if w.Codes.IsValid() {
		text += ":" + w.Codes.String()
	}
	return []byte(text), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *WeightedList) UnmarshalText(b []byte) error {
	words := ruleWords(b)
	if len(words) == 0 || len(words) > 3 {
		return fmt.Errorf("%q is no list; write ZONE, ZONE=WEIGHT or ZONE=WEIGHT:NETWORK, such as zen.example.net=3:127.0.0.4/30", b)
	}
	zone, err := mail.ParseDomain(words[0])
	if err != nil {
		return fmt.Errorf("zone of a DNS list: %w", err)
	}
	*w = WeightedList{Zone: zone, Weight: 1}
	if len(words) > 1 {
		if w.Weight, err = strconv.Atoi(words[1]); err != nil || w.Weight < -1000 || w.Weight > 1000 {
			return fmt.Errorf("%q is no weight; write a number from -1000 to 1000", words[1])
		}
	}
	if len(words) > 2 {
		if w.Codes, err = netip.ParsePrefix(words[2]); err != nil || !w.Codes.Addr().Is4() {
			return fmt.Errorf("%q is no network of answers; write one such as 127.0.0.4/30", words[2])
		}
	}
	return nil
}

// Validate refuses tables that would cost every client too much.
func (b *Blocklists) Validate() error {
	if len(b.Lists) > maxLists {
		return fmt.Errorf("policy.blocklists.lists: %d lists; at most %d", len(b.Lists), maxLists)
	}
	seen := map[string]bool{}
	var errs []error
	for _, l := range b.Lists {
		if seen[l.Zone+l.Codes.String()] {
			errs = append(errs, fmt.Errorf("policy.blocklists.lists: %s is there twice; keep one", l.Zone))
		}
		seen[l.Zone+l.Codes.String()] = true
	}
	return errors.Join(errs...)
}

// sum asks the lists and adds up; first is the list that weighs most.
func (b *Blocklists) sum(ctx context.Context, f *policy.Facts) (sum int, first WeightedList, text string) {
	if len(b.Lists) == 0 || !f.Client.IsValid() {
		return 0, first, ""
	}
	zones := make([]string, len(b.Lists))
	for i, l := range b.Lists {
		zones[i] = l.Zone
	}
	for i, l := range f.ListedBy(ctx, zones) {
		if !b.Lists[i].matches(l) {
			continue
		}
		sum += b.Lists[i].Weight
		if first.Zone == "" || b.Lists[i].Weight > first.Weight {
			first, text = b.Lists[i], l.Text
		}
	}
	return sum, first, text
}

func (w *WeightedList) matches(l policy.Listing) bool {
	if l.Finding != policy.Found || !w.Codes.IsValid() {
		return l.Finding == policy.Found
	}
	for _, c := range l.Codes {
		if w.Codes.Contains(c) {
			return true
		}
	}
	return false
}

// check refuses clients that the lists name (M-SEC-BW-16).
func (b *Blocklists) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	sum, list, text := b.sum(ctx, f)
	f.SawNumber("weight", int64(sum))
	if sum < b.Threshold {
		return policy.Passed(fmt.Sprintf("weight %d of %d", sum, b.Threshold))
	}
	client := f.Client.Unmap().String()
	line := "Client host [" + client + "] blocked using " + list.Zone
	if text != "" {
		line += "; " + text
	}
	return policy.Refused(reply.New(554, reply.E(5, 7, 1), line),
		fmt.Sprintf("DNS lists name %s with a weight of %d, %s first; mail is refused from %d on", client, sum, list.Zone, b.Threshold))
}
