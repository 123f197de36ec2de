package policy

import (
	"fmt"
	"strings"
)

// Row is one check as lists and documents show it.
type Row struct {
	Stage string `json:"stage"`
	Name  string `json:"name"`
	Mode  string `json:"mode"`
	Fixed bool   `json:"fixed"` // always enforced
	// Idle: no server, list or rule is set that it could ask, so it finds nothing.
	Idle    bool     `json:"idle" doc:"No server, list or rule is set that it could ask: it finds nothing until its setting is set"`
	Setting string   `json:"setting,omitempty" doc:"Setting that decides what it refuses; absent where something else does"`
	GoesBy  string   `json:"goes_by" doc:"What decides what it refuses: a setting, or in words something else that an administrator changes"`
	ModeBy  string   `json:"mode_setting,omitempty" doc:"Setting of its mode; absent where that is always enforce"`
	Worst   string   `json:"worst"`
	IDs     []string `json:"requirements"`
	Replies []string `json:"replies"`
	Exempt  []string `json:"exempt,omitempty"`
	Doc     string   `json:"description"`
}

// List returns the checks in the order they are asked.
func (r Rules) List() []Row {
	rows := make([]Row, len(r.Table))
	for i := range r.Table {
		e := &r.Table[i]
		rows[i] = Row{
			Stage: e.Stage.String(), Name: e.Name, Mode: e.Mode.String(), Fixed: e.Fixed, Idle: e.Idle, GoesBy: e.Setting, ModeBy: e.ModeSetting,
			Worst: e.Worst.String(), IDs: e.IDs, Replies: e.Replies, Exempt: e.Exempt.Texts(), Doc: e.Doc,
		}
		if !strings.Contains(e.Setting, " ") {
			rows[i].Setting = e.Setting
		}
	}
	return rows
}

// Document returns docs/policies.md; the rules are those of a new server.
func (r Rules) Document() string {
	var b strings.Builder
	b.WriteString(`# Policy checks

These are the house rules: every check, in the order it is asked. At each stage of a session the first
check that refuses for good decides; a refusal for now is remembered while later checks may still refuse for
good. What checks at *connect*, *helo* and *mail* refuse is told to the client at RCPT, so that the record
names sender and recipient and postmaster can always be reached; those marked "at once" are answered where
they occur. A check in mode *observe* is recorded and has no effect, one in mode *off* is not asked.

The modes below are those of a new server (profile recommended). ` + "`posthorn policy list`" + ` shows those in force.
What the requirements demand is said in [status.md](status.md).

This page is made from internal/policy/check/table.go; do not edit it.
`)
	stage := ""
	for i := range r.Table {
		e := &r.Table[i]
		if s := e.Stage.String(); s != stage {
			stage = s
			fmt.Fprintf(&b, "\n## Stage %s\n", s)
		}
		e.document(&b)
	}
	return b.String()
}

func (e *Entry) document(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", e.Name, e.Doc)
	point := ""
	if e.AtOnce && e.Stage < Rcpt {
		point = ", at once"
	}
	fmt.Fprintf(b, "- Replies: %s%s\n", strings.Join(e.Replies, ", "), point)
	fmt.Fprintf(b, "- Worst verdict: %s\n", e.Worst)
	if e.Fixed {
		b.WriteString("- Mode: always enforced\n")
	} else {
		fmt.Fprintf(b, "- Mode: %s on a new server%s\n", e.Mode, without(e.Idle))
		fmt.Fprintf(b, "- Setting of the mode: `%s`\n", e.ModeSetting)
	}
	if strings.Contains(e.Setting, " ") {
		fmt.Fprintf(b, "- Goes by: %s\n", e.Setting)
	} else {
		fmt.Fprintf(b, "- Setting: `%s`\n", e.Setting)
	}
	if exempt := e.Exempt.Texts(); len(exempt) > 0 {
		fmt.Fprintf(b, "- Not asked when %s\n", strings.Join(exempt, "; or "))
	}
	fmt.Fprintf(b, "- Requirements: %s\n", strings.Join(e.IDs, ", "))
}

// without says of a check that has nothing to ask what its mode is worth.
func without(idle bool) string {
	if idle {
		return ", which has nothing set that it could ask: it passes everything"
	}
	return ""
}
