package manage

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"posthorn/internal/base/unit"
)

// Octets is a number of octets in an answer: a JSON integer, so that programs
// can compare and add without reading units (docs/decisions/0007).
type Octets int64

// Schema implements huma.SchemaProvider.
func (Octets) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &zero, Description: "Octets"}
}

// Size is a number of octets in an input: an integer, or text as people write
// it ("10GB").
type Size unit.Size

// MarshalJSON writes an integer.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(int64(s)) }

// UnmarshalJSON reads an integer or a text with a unit.
func (s *Size) UnmarshalJSON(b []byte) error {
	text := string(b)
	if bytes.HasPrefix(b, []byte(`"`)) {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	n, err := unit.ParseSize(text)
	if err != nil {
		return fmt.Errorf("%w, or 52428800", err)
	}
	*s = Size(n)
	return nil
}

// Schema implements huma.SchemaProvider.
func (Size) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{Description: "Octets as an integer, or text with KB, MB, GB or TB (powers of 1024)", Examples: []any{"10GB"},
		OneOf: []*huma.Schema{
			{Type: huma.TypeInteger, Format: "int64", Minimum: &zero},
			{Type: huma.TypeString, Pattern: `^[0-9]+ ?([KMGTkmgt]([iI]?[bB])?|[bB])?$`},
		}}
}
