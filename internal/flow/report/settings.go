// Package report keeps what DMARC reports are made of: the aggregate reports
// that other servers send us about mail in our name, and the material of those
// that we owe them (RFC 7489 §7.2).
//
//	accepted mail ─► Intake ─► the body, in the background ─► store.Reports
//	judged content ─► Material ─► counts, once a minute ─────► store.Reports
//
// Mail goes its way whatever happens here: nothing waits for this package, and
// what it cannot keep is only missing in statistics. It writes no reports.
package report

import (
	"time"

	"posthorn/internal/base/mail"
)

// Settings say what is kept of DMARC reports. They are the group reports.
type Settings struct {
	// DMARCAddresses are addresses here that get aggregate reports: those that the
	// DMARC records of your domains name (rua=mailto:…). What comes to them from
	// outside is read and kept for posthorn report, and delivered as all mail is.
	DMARCAddresses []mail.Address `default:"" name:"dmarc_addresses"`
	// KeepReceived is how long reports about our domains are kept.
	KeepReceived time.Duration `default:"9600h" min:"24h" max:"87600h"`
	// MostRows is how many rows all reports that are kept have together, about 200
	// octets each. Beyond that the oldest reports go.
	MostRows int `default:"1000000" min:"10000" max:"100000000"`
	// Collect counts for each domain that asks for reports what its mail was like.
	Collect bool `default:"true"`
	// KeepCollected is how long the counts are kept of what mail from other
	// domains was like, from which reports to them are made.
	KeepCollected time.Duration `default:"720h" min:"48h" max:"8760h"`
}

// wants reports an address that gets reports.
func (s *Settings) wants(a mail.Address) bool {
	for _, w := range s.DMARCAddresses {
		if w.Key() == a.Key() {
			return true
		}
	}
	return false
}
