package manage

import (
	"context"
	"testing"

	"posthorn/internal/state/setting"
)

func TestWhoLoggedInIsTheAuthorWhateverTheInputSays(t *testing.T) {
	for want, ctx := range map[string]context.Context{
		"admin@example.test": WithAuthor(t.Context(), "admin@example.test"),
		"somebody else":      t.Context(),
	} {
		var e setting.Edit
		if err := (SettingSaving{Author: "somebody else"}).complete(ctx, &e, 0); err != nil || e.Author != want {
			t.Errorf("%s, not %s (%v)", e.Author, want, err)
		}
	}
	if e, err := (SettingChange{}).edit(t.Context(), 0); err != nil || e.Author != nobody {
		t.Errorf("%+v, %v", e, err)
	}
}
