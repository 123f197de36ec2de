package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	default:
		list = append(list, name+" "+fmt.Sprint(v))
	}
	return list
}
