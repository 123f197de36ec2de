package cli

import (
	"context"
	"fmt"

	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
)

type policyScannersCmd struct{}

func (c *policyScannersCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "policy-scanners", manage.None{}, func(p manage.Page[policy.ScannerState]) error {
		if len(p.Items) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No scanner is set: see posthorn setting list policy.virus, policy.spam and policy.milters."))
			return err
		}
		t := newTable(s.Out, "SCANNER", "ADDRESS", "STATE", "VERSION")
		for _, x := range p.Items {
			t.row(x.Kind, x.Address, none(x.Problem, "answers"), x.Version)
		}
		return t.end()
	})
}
