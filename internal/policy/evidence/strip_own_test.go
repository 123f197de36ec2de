package evidence

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"posthorn/internal/wire/authres"
)

func TestFieldsThatOnlyWeWriteAreTakenOut(t *testing.T) {
	t.Parallel()
	if !strings.EqualFold(resultsName, authres.Name) {
		t.Error("the name of results has changed")
	}
	const text = "X-Spam-Flag: NO\r\nX-Spam: a\r\nx-spam-status : No,\r\n\tscore=-100\r\nX-Spam-Statuses: b\r\n" +
		"Authentication-Results: mx.other.test; spf=pass\r\nX-Virus-Status:Clean\nX-Spam\r\n-Flag: c\r\n\r\nX-Spam-Flag: body\r\n"
	const left = "X-Spam: a\r\nX-Spam-Statuses: b\r\nAuthentication-Results: mx.other.test; spf=pass\r\nX-Spam\r\n-Flag: c\r\n\r\nX-Spam-Flag: body\r\n"
	for _, id := range []string{self, ""} {
		for size := range len(text) {
			var out bytes.Buffer
			s := NewStripper(id, &out, "X-Spam-Status", "X-Spam-Flag", "X-Virus-Status")
			for rest := text; rest != ""; {
				n := min(len(rest), size+1)
				if _, err := io.WriteString(s, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := s.Close(); err != nil || out.String() != left || s.Removed() != 3 {
				t.Fatalf("pieces of %d: removed %d, left %q, %v", size+1, s.Removed(), out.String(), err)
			}
		}
	}
	// One that the message ends in.
	var out bytes.Buffer
	s := NewStripper("", &out, "X-Spam-Flag")
	if _, err := io.WriteString(s, "A: b\r\nX-Spam-Flag: NO"); err != nil || s.Close() != nil || out.String() != "A: b\r\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
