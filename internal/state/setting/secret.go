package setting

import "log/slog"

// Secret is a text that is never shown: every way of printing it gives "set" or
// "not set". Reveal gives the text itself.
type Secret struct{ text string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the secret.
func (s Secret) Reveal() string { return s.text }

// IsSet reports whether there is one.
func (s Secret) IsSet() bool { return s.text != "" }

// String says "set" or "not set".
func (s Secret) String() string { return setOrNot(s.text) }

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
