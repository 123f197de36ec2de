package setting

import "log/slog"

// Secret is a text that is never shown: every way of printing it gives "set",
// "not set", or "set, but unreadable" where the stored one cannot be opened.
// Reveal gives the text itself.
type Secret struct {
	text string
	lost bool
}

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the secret; "" for one that cannot be opened.
func (s Secret) Reveal() string { return s.text }

// IsSet reports whether there is one, be it one that cannot be opened.
func (s Secret) IsSet() bool { return s.text != "" || s.lost }

// String says whether there is one.
func (s Secret) String() string {
	if s.lost {
		return "set, but unreadable"
	}
	return setOrNot(s.text)
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler with String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func setOrNot(text string) string {
	if text == "" {
		return "not set"
	}
	return "set"
}
