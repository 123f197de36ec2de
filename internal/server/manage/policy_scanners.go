package manage

import (
	"context"

	"posthorn/internal/policy"
)

// scanners asks every scanner that is set whether it is there.
func (s *Service) scanners(ctx context.Context, _ *None) (Page[policy.ScannerState], error) {
	if s.o.Sources.Scanners == nil {
		return Page[policy.ScannerState]{}, nil
	}
	return Page[policy.ScannerState]{Items: s.o.Sources.Scanners.State(ctx)}, nil
}
