package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"posthorn/internal/testkit/daemon"
)

// The API's description is made from the same declarations as the command
// line's explanations: every setting is in it, without its value.
func TestTheAPIDescribesEverySetting(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Listen: []string{"http"}})
	if out, err := d.Run("", "setting", "set", "smtp.banner=a-very-private-banner"); err != nil {
		t.Fatal(err, out)
	}
	resp, err := http.Get("http://" + d.Addr("http") + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Description string   `json:"description"`
					Enum        []string `json:"enum"`
				} `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatalf("OpenAPI %q: %v", doc.OpenAPI, err)
	}
	out, err := d.Run("", "setting", "list", "--json")
	if err != nil {
		t.Fatal(err, out)
	}
	if strings.Contains(out, "a-very-private-banner") == false {
		t.Error("the command line does not show the value")
	}
	var list struct {
		Items []struct {
			Name  string   `json:"name"`
			Doc   string   `json:"doc"`
			OneOf []string `json:"one_of"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) < 40 {
		t.Fatalf("%d settings, %v", len(list.Items), err)
	}
	described := doc.Components.Schemas["Settings"].Properties
	for _, s := range list.Items {
		p, ok := described[s.Name]
		if !ok || !strings.HasPrefix(p.Description, s.Doc) || len(p.Enum) != len(s.OneOf) {
			t.Errorf("%s: %+v", s.Name, p)
		}
	}
	for name, p := range described {
		if strings.Contains(p.Description, "a-very-private-banner") {
			t.Errorf("%s tells a value to strangers", name)
		}
	}
}

// A program's whole life with the API: it gets a token at the prompt, reads and
// is refused what its role may not, and is out when the token is removed. What
// watches the server needs no login.
func TestAProgramUsesTheAPI(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Listen: []string{"http", "metrics", "smtp"}})
	out, err := d.Run("", "token", "add", "watcher", "--role", "reader", "--expires", "1d", "--json")
	if err != nil {
		t.Fatal(err, out)
	}
	var token struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal([]byte(out), &token); err != nil || token.Secret == "" {
		t.Fatalf("%s: %v", out, err)
	}
	call := func(method, listener, path, secret string, want int) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.Addr(listener)+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s: %d %s (%v)", method, path, resp.StatusCode, text, err)
		}
		return string(text)
	}
	contains(t, call("GET", "http", "/api/v1/status", token.Secret, 200), `"running":true`)
	contains(t, call("DELETE", "http", "/api/v1/tokens/watcher", token.Secret, 403), "administrator")
	contains(t, call("GET", "http", "/healthz", "", 200), `"ready":true`, "queue")
	call("GET", "http", "/metrics", "", 401)
	for _, text := range []string{call("GET", "http", "/metrics", token.Secret, 200), call("GET", "metrics", "/metrics", "", 200)} {
		contains(t, text, "posthorn_build_info{", `posthorn_connections{listener=`, "posthorn_store_commit_seconds_bucket{", `posthorn_queue_recipients{destination="local",state="queued"} 0`)
	}
	if out, err := d.Run("", "token", "remove", "watcher"); err != nil {
		t.Fatal(err, out)
	}
	contains(t, call("GET", "http", "/api/v1/status", token.Secret, 401), "token")
}

// The API's description is valid by the schema of OpenAPI 3.1 itself.
func TestTheAPIsDescriptionIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs("../setup/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		missing(t, "what test/setup/node names")
	}
	d := daemon.Start(t, daemon.Options{Listen: []string{"http"}})
	resp, err := http.Get("http://" + d.Addr("http") + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text  string
		valid bool
	}{{string(text), true}, {strings.Replace(string(text), `"responses"`, `"answers"`, 1), false}} {
		validate := exec.CommandContext(t.Context(), need(t, "node"), "openapi.js")
		validate.Dir, validate.Stdin = folder, strings.NewReader(c.text)
		if out, err := validate.CombinedOutput(); (err == nil) != c.valid {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
