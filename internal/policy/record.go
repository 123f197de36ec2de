package policy

import "posthorn/internal/state/record"

// Record writes what was decided, every check's part in it and the facts of the
// stage into a step of a trace, before the facts change. The session adds verb,
// argument and reply.
func (d *Decision) Record(s *record.Step) {
	s.Check, s.Reason, s.Setting, s.Delay = d.Check, d.Reason, d.Setting, d.Delay
	for i := range d.Results {
		r := &d.Results[i]
		c := s.Add()
		c.Name, c.Setting, c.Action = r.Entry.Name, r.setting(), r.Action.String()
		c.Skipped, c.Reason, c.Cost = r.Skipped, r.Reason, r.Cost
		if r.Mode != Enforce {
			c.Mode = r.Mode.String()
		}
		for _, in := range r.Inputs {
			c.Inputs = append(c.Inputs, record.Input{Name: in.Name, Value: in.Text()})
		}
	}
	if d.facts != nil {
		d.facts.note(d, s)
	}
}
