package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/unit"
)

// octets are the inputs and facts that count them.
var octets = map[string]bool{"free": true, "declared": true, "size": true}

// words is the value as people read it.
func (i Input) words() string {
	if n, err := strconv.ParseInt(i.Value, 10, 64); err == nil && octets[i.Name] {
		return unit.Size(n).Words()
	}
	if i.Name != leadsTo {
		return readable(i.Value)
	}
	// As package policy writes it: what kind of address, the account, what is special.
	text, onward := strings.CutSuffix(i.Value, " onward")
	text, unlimited := strings.CutSuffix(text, " unlimited")
	if number, ok := strings.CutPrefix(text, "local "); ok {
		text = "a mailbox here (account " + number + ")"
	}
	if unlimited {
		text += ", without a quota"
	}
	if onward {
		text += ", sent on"
	}
	return text
}

// labels say what names of inputs mean; those that end in a space go before what
// the question was about.
var labels = []struct{ name, words string }{
	{"domain ", "%s in DNS: "}, {"reverse name", "its name in DNS: "}, {"list ", "DNS list %s: "},
	{"local ", "%s has a mailbox here: "}, {"owns ", "%s belongs to the login: "}, {"ban", "banned: "},
	{"greylist ", "greylist entry of %s: "}, {"helo", "it calls itself "}, {leadsTo, "leads to "},
	{"files for", "recipients here whose copy is filed at once: "}, {"received fields", "servers it has passed: "},
	{"forbidden input", "times it did not wait: "}, {"session", "kind of session: "},
}

// findings are the words of look-ups in DNS, as package policy writes them.
var findings = map[string]string{"unknown": "nobody was asked", "absent": "nothing", "failed": "no answer", "found": "there", "astray": "it leads elsewhere"}

// phrase is the input as people read it: what it is about, and the answer.
func (i Input) phrase() string {
	value := clean(i.words())
	for _, l := range labels {
		about, ok := strings.CutPrefix(i.Name, l.name)
		if !ok || (about != "") != strings.HasSuffix(l.name, " ") {
			continue
		}
		if strings.Contains(l.words, "DNS") {
			value = finding(value)
		}
		if about != "" {
			return strings.Replace(l.words, "%s", clean(about), 1) + value
		}
		return l.words + value
	}
	return clean(i.Name) + ": " + value
}

// finding says what a look-up found: the name or the codes, or that there is none.
func finding(value string) string {
	word, rest, _ := strings.Cut(value, " ")
	said, ok := findings[word]
	switch {
	case !ok:
		return value
	case rest == "null-mx":
		return "it takes no mail"
	case rest == "":
		return said
	case word == "found":
		return rest
	}
	return rest + ", " + said
}

// leadsTo is the fact that says where a recipient's mail goes.
const leadsTo = "leads to"

// shown reports a fact that stands beside a check of the step already.
func (s *Step) shown(f Input) bool {
	for i := range s.Checks {
		if slices.Contains(s.Checks[i].Inputs, f) {
			return true
		}
	}
	return false
}

// readable writes an answer that is kept as JSON as people read it: its names and
// values in a row, in brackets. Other texts stay as they are.
func readable(value string) string {
	if !strings.HasPrefix(value, "{") {
		return value
	}
	var fields map[string]any
	if json.Unmarshal([]byte(value), &fields) != nil {
		return value
	}
	return "[" + strings.Join(flat(fields), ", ") + "]"
}

// flat lists names and values by name; those inside others have both names.
func flat(fields map[string]any) []string {
	var list []string
	for name, v := range fields {
		list = append(list, pair(name, v)...)
	}
	slices.Sort(list)
	return list
}

func pair(name string, v any) []string {
	var list []string
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range flat(v) {
			list = append(list, name+" "+inner)
		}
	case []any:
		for _, item := range v {
			list = append(list, pair(name, item)...)
		}
	case bool:
		if v {
			list = append(list, name)
		}
	case string:
		list = append(list, name+" "+moment(v))
	default:
		list = append(list, name+" "+fmt.Sprint(v))
	}
	return list
}

// moment writes a time to the second; other texts stay as they are.
func moment(text string) string {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC().Format("2006-01-02 15:04:05 MST")
	}
	return text
}
