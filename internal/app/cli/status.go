package cli

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/server/manage"
)

type statusCmd struct{}

func (c *statusCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	paused := false
	return showPaused(ctx, w, s, "status", manage.None{}, &paused, func(x manage.Status) error {
		state := "not running; this is what its data folder says"
		if x.Running {
			state = "running since " + when(x.Since)
		}
		pairs := []string{"Server", x.Hostname + " (posthorn " + x.Version + ")", "Node", x.Node, "State", state}
		for _, l := range x.Listeners {
			pairs = append(pairs, "  "+l.Listener, l.Addr)
		}
		if x.Running {
			pairs = append(pairs, "Connections", fmt.Sprint(x.Sessions))
		}
		pairs = append(pairs, "Queue", plural(x.Queue, "message")+" for "+plural(x.Recipients, "recipient"),
			"Disk", human(x.Free)+" free of "+human(x.Total))
		if paused {
			pairs = append(pairs, "PAUSED", s.hint(pausedNote))
		}
		if x.Records.Dropped > 0 {
			pairs = append(pairs, "Decision records", fmt.Sprintf("%d kept, %d dropped because they came too fast", x.Records.Kept, x.Records.Dropped))
		}
		if x.ReadOnly != "" {
			pairs = append(pairs, "STORE IS READ-ONLY", x.ReadOnly)
		}
		if x.OnTrial != 0 {
			pairs = append(pairs, "Settings on trial", s.hint(fmt.Sprintf("version %d; keep it: posthorn setting confirm %d", x.OnTrial, x.OnTrial)))
		}
		if len(x.Restart) > 0 {
			pairs = append(pairs, "Waiting for a restart", strings.Join(x.Restart, ", "))
		}
		for _, d := range x.Scanners {
			pairs = append(pairs, "SCANNER DOWN", d.Kind+" at "+d.Address+": "+d.Problem)
		}
		for _, p := range x.Problems {
			pairs = append(pairs, "Setting not in force", s.hint(p))
		}
		return facts(s.Out, pairs...)
	})
}
