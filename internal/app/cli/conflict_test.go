package cli

import (
	"strings"
	"testing"

	"posthorn/internal/server/manage"
)

// Two administrators cannot overwrite each other's change unseen.
func TestAChangeFromAnOldVersionIsAConflict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	admin := manage.Administrator
	for i, c := range []struct {
		method, path, body string
		want               int
		says               string
	}{
		{"PATCH", "/settings", `{"set":{"smtp.banner":"a"},"base":0}`, 200, ""},
		{"PATCH", "/settings", `{"set":{"smtp.banner":"b"},"base":0}`, 409, "version 1"},
		{"PATCH", "/settings", `{"set":{"smtp.banner":"b"},"base":1}`, 200, ""},
		{"POST", "/settings-file", `{"file":"","replace":true}`, 422, "base"},
		{"POST", "/settings-file", `{"file":"","replace":true,"base":1}`, 409, "version 2"},
		{"POST", "/settings-file", `{"file":"","replace":true,"base":2}`, 200, ""},
		{"POST", "/settings-file", `{"file":"","set":{"smtp.banner":"x"},"dry_run":true}`, 422, "body.set"},
		{"POST", "/settings-file", `{"file":"","unset":["smtp.banner"],"dry_run":true}`, 422, "body.unset"},
		{"PATCH", "/settings", `{"set":{"smtp.banner":"x"},"unset":["smtp.banner"],"dry_run":true}`, 422, "body.unset"},
		{"PATCH", "/settings", `{"set":{"smtp.banner":"x"},"trial":"0s","dry_run":true}`, 422, "body.trial"},
		{"PATCH", "/accounts/admin@ours.test", `{"full_name":"x","version":1}`, 200, ""},
		{"PATCH", "/accounts/admin@ours.test", `{"full_name":"y","version":1}`, 409, "version 2"},
		{"PATCH", "/accounts/admin@ours.test", `{"admin":false}`, 422, "last administrator"},
		{"DELETE", "/accounts/admin@ours.test", "", 422, "last administrator"},
	} {
		if code, answer := b.call(admin, c.method, c.path, c.body); code != c.want || !strings.Contains(answer, c.says) {
			t.Errorf("%d: %s %s: %d %s", i, c.path, c.body, code, answer)
		}
	}
	history := invoke[manage.Page[struct{ Author string }]](b, "setting-history", manage.SettingHistoryInput{})
	if len(history.Items) == 0 || history.Items[0].Author != "token:the-administrator" {
		t.Errorf("the history does not name the token: %+v", history)
	}
}
