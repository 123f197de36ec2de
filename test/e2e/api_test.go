package e2e

import (
	"encoding/json"
	"net/http"
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
	var settings []struct {
		Name  string   `json:"name"`
		Doc   string   `json:"doc"`
		OneOf []string `json:"one_of"`
	}
	if err := json.Unmarshal([]byte(out), &settings); err != nil || len(settings) < 40 {
		t.Fatalf("%d settings, %v", len(settings), err)
	}
	described := doc.Components.Schemas["Settings"].Properties
	for _, s := range settings {
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
