// Package check is the card index of house rules: one file per subject with
// its settings and the judgement of its checks, and table.go, which documents
// the checks and lists them in the order they are asked.
//
// A check looks at facts and returns a verdict. It does not sleep, write to a
// connection, know its mode or remember anything; the pipeline (package
// policy) applies modes and exemptions and combines the verdicts.
package check

import (
	"errors"
	"net/netip"

	"posthorn/internal/policy"
)

// Settings are the settings of all checks, the group "policy". A change makes
// a new value; Rules turns it into the rules in force.
type Settings struct {
	Classes    Classes
	Door       Door
	Rate       Rate
	Auth       Auth
	Trust      Trust
	Names      Names
	Origin     Origin
	Blocklists Blocklists
	SPF        SPF `name:"spf"`
	Greylist   Greylist
	Unknown    Unknown
	Forwarded  Forwarded
	Authentic  Authentic
	Junk       Junk
	Size       Size
	Recipients Recipients
	Hops       Hops
	Sender     Sender
	Quota      Quota
	Room       Room
	// What looks into the content.
	Attachments Attachments
	Virus       Virus
	Spam        Spam
	Milters     Milters
}

// Validate refuses what no check could obey.
func (s *Settings) Validate() error {
	return errors.Join(s.Classes.Validate(), s.Trust.Validate(), s.Blocklists.Validate(), s.Greylist.Validate(), s.Size.Validate(),
		s.Attachments.Validate(), s.Virus.Validate(), s.Spam.Validate(), s.Milters.Validate())
}

// Rules returns the house rules as the settings say. machine are the networks
// of this machine's interfaces at start (M-GEN-02). The settings must not change
// afterwards.
func (s *Settings) Rules(machine ...netip.Prefix) policy.Rules {
	c := s.classifier(machine)
	return policy.Rules{Table: Table(s), Classify: c.classify, Listed: c.listed, Limits: s.Limits}
}

// Limits returns what a session of the kind announces.
func (s *Settings) Limits(kind policy.Kind, trust policy.Trust) policy.Limits {
	return policy.Limits{
		Size:       s.Size.announced(kind, trust),
		Recipients: s.Recipients.announced(kind, trust),
		Auth:       s.Auth.Enabled,
		Marks:      s.marks(kind, trust),
	}
}
