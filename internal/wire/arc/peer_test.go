package arc_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"posthorn/internal/testkit/need"
	"posthorn/internal/wire/arc"
)

// python has dkimpy do a task.
func python(t testing.TB, task map[string]any, result any) {
	t.Helper()
	for name, folder := range map[string]string{"python3-dkim": "dkim", "python3-authres": "authres"} {
		if _, err := os.Stat("/usr/lib/python3/dist-packages/" + folder); err != nil {
			need.Missing(t, name)
		}
	}
	told, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-B", "../dkim/testdata/dkimpy.py")
	cmd.Stdin = bytes.NewReader(told)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatal(err)
	}
}

// dkimpySeals adds a set by dkimpy, which takes what it found from the message.
func dkimpySeals(t *testing.T, domain, text, found string) string {
	t.Helper()
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	text = "Authentication-Results: " + domain + "; " + found + "\r\n" + text
	var set string
	python(t, map[string]any{"do": "seal", "message": text, "selector": "s", "domain": domain, "server": domain, "key": string(pem), "algorithm": "rsa-sha256"}, &set)
	if set == "" {
		t.Fatal("dkimpy adds no set")
	}
	return set + text
}

func dkimpySays(t *testing.T, text string) (cv, reason string) {
	t.Helper()
	var says struct{ CV, Reason string }
	python(t, map[string]any{"do": "chain", "message": text, "zone": keys()}, &says)
	return says.CV, says.Reason
}

func TestChainsOfDkimpyAndOursAreOne(t *testing.T) {
	t.Parallel()
	text := dkimpySeals(t, "a.example", sample, "spf=pass smtp.mailfrom=example.org")
	if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != 1 || !strings.HasPrefix(c.Sets[0].Results, "a.example; spf=pass") {
		t.Fatalf("dkimpy's first: %+v\n%s", c, text)
	}
	text = seal(t, "a.example", text, reworded)
	if cv, reason := dkimpySays(t, text); cv != "pass" {
		t.Fatalf("ours on top: dkimpy says %s, %s\n%s", cv, reason, text)
	}
	text = dkimpySeals(t, "a.example", text, "arc=pass")
	c := verify(t, keys(), text)
	if c.Status != arc.Pass || len(c.Sets) != 3 || c.OldestPass != 2 {
		t.Fatalf("dkimpy's on top: %+v\n%s", c, text)
	}
	for name, changed := range map[string]string{
		"body":    strings.Replace(text, "lost", "won", 1),
		"header":  reworded(text),
		"results": strings.Replace(text, "spf=pass", "spf=fail", 1),
		"set 1":   drop(text, 1),
		"seal 2":  without("ARC-Seal: i=2")(text),
		"cv=":     strings.Replace(text, "cv=none", "cv=pass", 1),
		"twice":   twice("ARC-Seal: i=3")(text),
	} {
		cv, _ := dkimpySays(t, changed)
		if c := verify(t, keys(), changed); c.Status != arc.Fail || cv == "pass" {
			t.Errorf("%s: %+v, dkimpy says %s", name, c, cv)
		}
	}
}
