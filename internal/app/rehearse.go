package app

import (
	"context"

	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

// rehearsed are the house rules as they would be after an edit of the settings.
func (h *House) rehearsed(ctx context.Context, e setting.Edit) (policy.Rules, []setting.Difference, error) {
	p, err := h.Settings.Preview(ctx, e)
	if err != nil {
		return policy.Rules{}, nil, err
	}
	return h.handles.policy.In(p).Rules(h.networks...), p.Changes, nil
}
