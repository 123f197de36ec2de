package arc

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/wire/dkim"
)

// What sealing can fail with, besides what dkim.Signer does.
var (
	// ErrEnded: the chain may not be extended: an earlier host sealed it as
	// failed (RFC 8617 §5.1), or it has MaxSets sets.
	ErrEnded = errors.New("the chain has ended")
	// ErrResults: the results are empty or could not be one field.
	ErrResults = errors.New("not the value of an Authentication-Results field")
)

// Sealer adds sets to chains.
type Sealer struct {
	// Signer signs both fields. Its Header form is that of the message signature;
	// seals are always relaxed. The message must have been made by
	// dkim.NewMessage(Signer.Body). DKIM-Signature is always signed too.
	Signer dkim.Signer
}

// Seal returns the three fields of the next set, to be put on top of the message
// in this order, where m is the message as it leaves. The chain is what Verify
// said of the message as it came. results is the value of the
// Authentication-Results field of this host, which may be folded.
func (s Sealer) Seal(m *dkim.Message, c Chain, results string, now time.Time) ([]byte, error) {
	if c.ended || c.highest >= MaxSets {
		return nil, ErrEnded
	}
	results = strings.Trim(results, " \t\r\n")
	if results == "" || !foldedRight(results) {
		return nil, ErrResults
	}
	number := strconv.Itoa(c.highest + 1)
	lead := dkim.Tags{{Name: "i", Value: number}}
	signer := s.Signer
	signer.Fields = append(signer.SignedFields(), "DKIM-Signature")
	signer.Lifetime = 0 // a chain is judged later, too
	message, err := signer.SignAs(m, "ARC-Message-Signature", lead, now)
	if err != nil {
		return nil, err
	}
	claim, err := signer.Claim()
	if err != nil {
		return nil, err
	}
	tags := append(append(lead, claim...), dkim.Tag{Name: "t", Value: strconv.FormatInt(now.Unix(), 10)}, dkim.Tag{Name: "cv", Value: c.cv().String()})
	set := []byte("ARC-Authentication-Results: i=" + number + "; " + results + "\r\n")
	text := dkim.Unsigned("ARC-Seal", tags)
	seal, err := signer.Complete(text, c.nextDigest(m.Fields(), set, message, text))
	if err != nil {
		return nil, err
	}
	return append(append(seal, message...), set...), nil
}

// cv is what a seal says of the chain before it.
func (c Chain) cv() Status {
	if c.Status == TempError {
		return Fail
	}
	return c.Status
}

// nextDigest hashes what the next seal signs. That of a failed chain covers its
// own set alone (RFC 8617 §5.1.2).
func (c Chain) nextDigest(fields []dkim.Field, results, message, seal []byte) [sha256.Size]byte {
	h := sha256.New()
	add := func(raw []byte) {
		h.Write(append(dkim.Relaxed.AppendField(nil, raw), "\r\n"...))
	}
	if c.Status == Pass {
		for _, s := range c.Sets {
			add(fields[s.results].Raw)
			add(fields[s.message].Raw)
			add(fields[s.seal].Raw)
		}
	}
	add(results)
	add(message)
	h.Write(dkim.Relaxed.AppendField(nil, seal))
	return [sha256.Size]byte(h.Sum(nil))
}

// foldedRight reports text whose line ends are all folds.
func foldedRight(s string) bool {
	unfolded := strings.NewReplacer("\r\n ", "", "\r\n\t", "").Replace(s)
	return !strings.ContainsAny(unfolded, "\r\n\x00")
}
