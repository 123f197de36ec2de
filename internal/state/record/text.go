package record

import "fmt"

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Outcome) UnmarshalText(b []byte) error {
	got, ok := ParseOutcome(string(b))
	if !ok {
		return fmt.Errorf("record: unknown outcome %q", b)
	}
	*o = got
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *EventKind) UnmarshalText(b []byte) error {
	for i, name := range eventNames {
		if name == string(b) {
			*k = EventKind(i)
			return nil
		}
	}
	return fmt.Errorf("record: unknown event %q", b)
}
