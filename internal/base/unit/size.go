// Package unit holds value types that settings, policy and sessions share:
// sizes in octets today.
package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of octets. In text it takes the suffixes KB, MB, GB and TB
// (also KiB, MiB, … and a bare K, M, …), all powers of 1024, as
// requirement M-GEN-11 states.
type Size int64

// Powers of 1024.
const (
	KB Size = 1 << 10
	MB Size = 1 << 20
	GB Size = 1 << 30
	TB Size = 1 << 40
)

var suffixes = []struct {
	name string
	size Size
}{{"T", TB}, {"G", GB}, {"M", MB}, {"K", KB}}

// ParseSize reads "50MB", "10 MiB", "4000" or "0".
func ParseSize(s string) (Size, error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	text = strings.TrimSuffix(text, "B")
	text = strings.TrimSuffix(text, "I")
	factor := Size(1)
	for _, x := range suffixes {
		if rest, ok := strings.CutSuffix(text, x.name); ok {
			text, factor = rest, x.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > int64(1<<62)/int64(factor) {
		return 0, fmt.Errorf("%q is not a size; write a number with KB, MB, GB or TB, for example 50MB", s)
	}
	return Size(n) * factor, nil
}

// String writes the size with the largest suffix that divides it.
func (s Size) String() string {
	for _, x := range suffixes {
		if s != 0 && s%x.size == 0 {
			return strconv.FormatInt(int64(s/x.size), 10) + x.name + "B"
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Words writes the size to three digits, for people to read: "1.5 MB".
func (s Size) Words() string {
	v, units := float64(s), []string{"B", "KB", "MB", "GB", "TB"}
	for len(units) > 1 && v >= 1024 {
		v, units = v/1024, units[1:]
	}
	if units[0] == "B" || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[0]
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	v, err := ParseSize(string(b))
	if err == nil {
		*s = v
	}
	return err
}
