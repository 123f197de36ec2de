package policy

import (
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/wire/mime"
)

// maxAuthors bounds the author addresses that are judged; a From field with
// more is taken for a broken one.
const maxAuthors = 100

// ReadContent fills the content facts from the structure of the message that
// was received. BareCRLF is the session's to set: the content has been read
// when the structure is made.
func (f *Facts) ReadContent(s *mime.Structure) {
	f.Size, f.Hops, f.DeliveredTo = unit.Size(s.Size), s.Received, s.DeliveredTo
	authors := s.Authors()
	f.From, f.FromDomains = f.From[:0], nil
	f.FromBroken = s.FromFields > 1 || s.FromFields == 1 && len(authors) == 0 || len(authors) > maxAuthors || s.Opaque&mime.LimitAuthors != 0
	if len(authors) > maxAuthors {
		return
	}
	for _, text := range authors {
		a, err := mail.ParseAddress(text)
		if err != nil {
			f.FromBroken = true
			if domain, err := mail.ParseDomain(text[strings.LastIndexByte(text, '@')+1:]); err == nil && strings.Contains(text, "@") {
				f.FromDomains = append(f.FromDomains, domain)
			}
			continue
		}
		f.From = append(f.From, a)
	}
}
