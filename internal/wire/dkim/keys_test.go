package dkim_test

import (
	"context"
	"testing"

	"posthorn/internal/wire/dkim"
)

// The keys are fetched by goroutines, where a panic would end the process.
func TestResolverThatPanicsLeavesKeysUnknownForNow(t *testing.T) {
	t.Parallel()
	keys := dkim.NewKeys(lookupFunc(func(context.Context, string) ([]string, error) { panic("resolver") }), 0)
	c := dkim.Claim{Domain: "example.test", Selector: "s", Algorithm: "rsa-sha256"}
	keys.Fetch(t.Context(), []dkim.Claim{c, c})
	if r := keys.Verify(t.Context(), c, [32]byte{}); r.Status != dkim.TempError {
		t.Errorf("got %+v", r)
	}
}
