package scan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"posthorn/internal/wire/mime"
)

// Bounds of what is taken over from rspamd's answer.
const (
	maxSymbols = 300
	maxOptions = 10
	maxFields  = 50
	maxSubject = 900
)

// scoreAnswer is the answer of /checkv2, as far as it is used.
type scoreAnswer struct {
	Skipped  bool     `json:"is_skipped"`
	Score    *float64 `json:"score"`
	Required float64  `json:"required_score"`
	Action   string   `json:"action"`
	Subject  string   `json:"subject"`
	Symbols  map[string]struct {
		Score   float64  `json:"score"`
		Options []string `json:"options"`
	} `json:"symbols"`
	Messages struct {
		SMTP string `json:"smtp_message"`
	} `json:"messages"`
	Milter struct {
		Add    map[string]json.RawMessage `json:"add_headers"`
		Remove map[string]json.RawMessage `json:"remove_headers"`
	} `json:"milter"`
}

func parseScore(body []byte) (*Score, error) {
	var a scoreAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if a.Score == nil && !a.Skipped {
		return nil, fmt.Errorf("%w: no score in it: %q", ErrAnswer, word(string(body)))
	}
	s := &Score{Required: a.Required, Skipped: a.Skipped, Action: action(a.Action), Reply: word(a.Messages.SMTP)}
	if a.Score != nil {
		s.Score = *a.Score
	}
	if subject := line(mime.DecodeWords(a.Subject), maxSubject); s.Action == ActionSubject {
		s.Subject = subject
	}
	for name, x := range a.Symbols {
		y := Symbol{Name: word(name), Score: x.Score}
		for _, o := range x.Options[:min(len(x.Options), maxOptions)] {
			y.Options = append(y.Options, word(o))
		}
		s.Symbols = append(s.Symbols, y)
	}
	slices.SortFunc(s.Symbols, func(a, b Symbol) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Score), math.Abs(a.Score)), cmp.Compare(a.Name, b.Name))
	})
	s.Symbols = slices.Clip(s.Symbols[:min(len(s.Symbols), maxSymbols)])
	var err error
	s.Edits, err = a.edits()
	return s, err
}

// action reads an action. One that an administrator defined counts as none:
// its score still tells.
func action(s string) ScoreAction {
	switch a := ScoreAction(s); a {
	case ActionGreylist, ActionAddHeader, ActionSubject, ActionSoftReject, ActionReject:
		return a
	}
	return ActionNone
}

// edits takes over the header fields rspamd wants deleted and added.
func (a *scoreAnswer) edits() (Edits, error) {
	var edits Edits
	for _, name := range slices.Sorted(maps.Keys(a.Milter.Remove)) {
		var index int
		if json.Unmarshal(a.Milter.Remove[name], &index) != nil {
			index = 0
		}
		e, err := fieldEdit(DeleteField, max(0, index), name, "")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		edits = append(edits, e)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Milter.Add)) {
		values, err := fieldValues(a.Milter.Add[name])
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrAnswer, word(name), err)
		}
		for _, v := range values {
			e, err := v.edit(name)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			edits = append(edits, e)
		}
	}
	if len(edits) > maxFields {
		return nil, fmt.Errorf("%w: %d header fields", ErrAnswer, len(edits))
	}
	return edits, nil
}

// fieldValue is one field to add; Order is its place, -1 or none for the end.
type fieldValue struct {
	Value string `json:"value"`
	Order *int   `json:"order"`
}

func (v fieldValue) edit(name string) (Edit, error) {
	if v.Order != nil && *v.Order >= 0 {
		return fieldEdit(InsertField, *v.Order, name, v.Value)
	}
	return fieldEdit(AddField, 0, name, v.Value)
}

// fieldValues reads a text, an object, or an array of them.
func fieldValues(raw json.RawMessage) ([]fieldValue, error) {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		var all []fieldValue
		for _, one := range list {
			v, err := oneValue(one)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
	v, err := oneValue(raw)
	return []fieldValue{v}, err
}

func oneValue(raw json.RawMessage) (v fieldValue, err error) {
	if strings.HasPrefix(string(raw), `"`) {
		err = json.Unmarshal(raw, &v.Value)
		return v, err
	}
	err = json.Unmarshal(raw, &v)
	return v, err
}
