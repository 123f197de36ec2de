package smtpd

import (
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

func TestOnlyGoodMailFromOutsideSpeaksForItsHost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(f *policy.Facts, e *policy.Effects)
		want   bool
	}{
		"taken":                      {func(*policy.Facts, *policy.Effects) {}, true},
		"a user's":                   {func(f *policy.Facts, _ *policy.Effects) { f.Login = &store.AccountRow{} }, false},
		"filed in Junk":              {func(_ *policy.Facts, e *policy.Effects) { e.Junk = "spam" }, false},
		"held back":                  {func(_ *policy.Facts, e *policy.Effects) { e.Quarantine = "virus" }, false},
		"junk to its reader":         {func(_ *policy.Facts, e *policy.Effects) { e.Copy.Junk = true }, false},
		"to postmaster alone":        {func(f *policy.Facts, _ *policy.Effects) { f.Postmasters = 2 }, false},
		"to postmaster and somebody": {func(f *policy.Facts, _ *policy.Effects) { f.Postmasters = 1 }, true},
	} {
		f, e := &policy.Facts{Recipients: make([]mail.Address, 2)}, &policy.Effects{}
		c.change(f, e)
		if got := good(f, e); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
