package setting

import "context"

// Preview is what the settings would be after an edit that nobody saves.
type Preview struct {
	// Changes are the differences from the settings in force.
	Changes []Difference
	values  []any
}

// Preview checks an edit like Plan and returns the values it would put into
// force, for rehearsals.
func (b *Book) Preview(ctx context.Context, e Edit) (*Preview, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(ctx, e); err != nil {
		return nil, err
	}
	p, err := b.plan(e)
	if err != nil {
		return nil, err
	}
	return &Preview{p.diff, p.values}, nil
}

// In returns the group's values in a preview. They must not be changed.
func (h *Handle[T]) In(p *Preview) *T { return p.values[h.group].(*T) }
