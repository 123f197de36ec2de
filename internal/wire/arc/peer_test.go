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

// task is one for dkimpy.
type task map[string]any

// python has dkimpy do tasks, all of which result in text.
func python(t testing.TB, tasks ...task) (results []string) {
	t.Helper()
	for name, folder := range map[string]string{"python3-dkim": "dkim", "python3-authres": "authres"} {
		if _, err := os.Stat("/usr/lib/python3/dist-packages/" + folder); err != nil {
			need.Missing(t, name)
		}
	}
	told, err := json.Marshal(tasks)
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
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatal(err)
	}
	return results
}

// dkimpySeals adds a set by dkimpy, which takes what it found from the message.
func dkimpySeals(t *testing.T, domain, text, found string) string {
	t.Helper()
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	text = "Authentication-Results: " + domain + "; " + found + "\r\n" + text
	set := python(t, task{"do": "seal", "message": text, "selector": "s", "domain": domain, "server": domain, "key": string(pem), "algorithm": "rsa-sha256"})[0]
	if set == "" {
		t.Fatal("dkimpy adds no set")
	}
	return set + text
}

// dkimpySays begins each answer with cv= of the chain.
func dkimpySays(t *testing.T, texts ...string) []string {
	t.Helper()
	var tasks []task
	for _, text := range texts {
		tasks = append(tasks, task{"do": "chain", "message": text, "zone": keys()})
	}
	return python(t, tasks...)
}

func TestChainsOfDkimpyAndOursAreOne(t *testing.T) {
	t.Parallel()
	text := dkimpySeals(t, "a.example", sample, "spf=pass smtp.mailfrom=example.org")
	if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != 1 || !strings.HasPrefix(c.Sets[0].Results, "a.example; spf=pass") {
		t.Fatalf("dkimpy's first: %+v\n%s", c, text)
	}
	text = seal(t, "a.example", text, reworded)
	text = dkimpySeals(t, "a.example", text, "arc=pass")
	c := verify(t, keys(), text)
	if c.Status != arc.Pass || len(c.Sets) != 3 || c.OldestPass != 2 {
		t.Fatalf("dkimpy's on top: %+v\n%s", c, text)
	}
	text = seal(t, "a.example", text, same)
	changed := []string{
		text,
		strings.Replace(text, "lost", "won", 1),
		reworded(text),
		strings.Replace(text, "spf=pass", "spf=fail", 1),
		drop(text, 1),
		without("ARC-Seal: i=2")(text),
		strings.Replace(text, "cv=none", "cv=pass", 1),
		twice("ARC-Seal: i=3")(text),
	}
	for i, says := range dkimpySays(t, changed...) {
		if c := verify(t, keys(), changed[i]); (c.Status == arc.Pass) != (i == 0) || strings.HasPrefix(says, "pass ") != (i == 0) {
			t.Errorf("%d: %v, %s; dkimpy says %s\n%s", i, c.Status, c.Reason, says, changed[i])
		}
	}
}

// Long chains, sealed in turn, some of whose hosts change the message.
func TestLongChainsOfBothAreReadByBoth(t *testing.T) {
	t.Parallel()
	text := sample
	var texts []string
	for i := range 6 {
		if i%2 == 0 {
			text = without("Authentication-Results: ")(text) // dkimpy would take them for its own
			text = dkimpySeals(t, "a.example", text, []string{"spf=pass", "arc=pass", "arc=pass"}[i/2])
		} else {
			text = seal(t, "a.example", text, []func(string) string{same, reworded, footed}[i/2])
		}
		texts = append(texts, text)
		if c := verify(t, keys(), text); c.Status != arc.Pass || len(c.Sets) != i+1 {
			t.Fatalf("%d sets: %v, %q", i+1, c.Status, c.Reason)
		}
	}
	for i, says := range dkimpySays(t, texts...) {
		if !strings.HasPrefix(says, "pass ") {
			t.Errorf("%d sets: dkimpy says %s", i+1, says)
		}
	}
}

// dkimpy seals a chain that has failed, or not at all; we must see either.
func TestDkimpyOnTopOfABrokenChainIsNoPass(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"body":  footed(seal(t, "a.example", sample, same)),
		"seal":  flip("ARC-Seal")(seal(t, "a.example", sample, same)),
		"whole": without("ARC-Message-Signature: i=1")(seal(t, "a.example", sample, same)),
	} {
		text := "Authentication-Results: a.example; arc=fail\r\n" + broken
		pem, err := os.ReadFile(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		set := python(t, task{"do": "seal", "message": text, "selector": "s", "domain": "a.example", "server": "a.example", "key": string(pem), "algorithm": "rsa-sha256"})[0]
		if c := verify(t, keys(), set+text); c.Status != arc.Fail {
			t.Errorf("%s: %+v\n%s", name, c, set+text)
		}
	}
}
