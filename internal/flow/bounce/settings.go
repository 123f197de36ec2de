package bounce

import (
	"errors"
	"slices"

	"posthorn/internal/base/unit"
	"posthorn/internal/wire/dsn"
)

// Settings are how senders are told what became of their mail.
type Settings struct {
	// Languages are the languages of the notices that senders get about mail that
	// could not be delivered: en, de, ja. With several, a notice says the same in
	// each of them, in this order.
	Languages []string `default:"en" oneof:"en,de,ja" min:"1" max:"3"`
	// ReturnSize is the largest message that a failure notice returns whole, if
	// its sender is a user of this server. Of larger ones, and of those of
	// strangers, only the header is returned. 0 never returns more than the
	// header.
	ReturnSize unit.Size `default:"100KB" min:"0" max:"10MB"`
	// PerHour is the most notices an hour to one user of this server, and to
	// one domain elsewhere: forged senders are not to be flooded. What is over
	// it is logged and told nobody; 0 is no bound. Users who log in to send are
	// told of every failure.
	PerHour int `default:"100" min:"0" max:"1000000"`
}

// Validate refuses a language that is named twice or not known.
func (s *Settings) Validate() error {
	for i, tag := range s.Languages {
		if slices.Contains(s.Languages[:i], tag) {
			return errors.New("languages: " + tag + " is named twice; name each language once")
		}
		if !slices.Contains(dsn.Languages(), tag) {
			return errors.New("languages: " + tag + " is not known; choose from en, de, ja")
		}
	}
	return nil
}
