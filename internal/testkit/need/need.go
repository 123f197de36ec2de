// Package need says what a test cannot do without: where that is missing the
// test is skipped, but fails in continuous integration (CI=true), where a
// skipped test would pass unseen.
package need

import (
	"fmt"
	"os"
	"testing"
)

// Missing ends the test because of what is missing.
func Missing(t testing.TB, what ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(append([]any{"with CI=true nothing may be skipped:"}, what...)...)
	}
	t.Skip(fmt.Sprint(what...))
}
