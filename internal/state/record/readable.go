package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

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
