package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
)

// trialRun is one run of one side of a duel.
type trialRun struct {
	seconds, cpu float64
	syncs        float64 // negative: not known
}

// duel is one thing that posthorn and a peer did in turn.
type duel struct {
	part, what   string
	count        int // things done, when the rate is of interest
	ours, theirs []trialRun
}

// mid is the run with the middle time.
func mid(runs []trialRun) trialRun {
	if len(runs) == 0 {
		return trialRun{}
	}
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b trialRun) int {
		switch {
		case a.seconds < b.seconds:
			return -1
		case a.seconds > b.seconds:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}

// ahead is how many times the peer's time posthorn's is; over 1 is faster.
func (d duel) ahead() float64 { return ratio(mid(d.theirs).seconds, mid(d.ours).seconds) }

func printDuels(w io.Writer, duels []duel) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nbeside the peer\t\tposthorn ms\tCPU ms\tpeer ms\tCPU ms\tratio\t")
	for _, d := range duels {
		a, b := mid(d.ours), mid(d.theirs)
		mark := "ahead"
		switch {
		case len(d.theirs) == 0 || len(d.ours) == 0:
			mark = ""
		case d.ahead() < 1:
			mark = "BEHIND"
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.0f\t%.1f\t%.0f\t%.2f\t%s\n", d.part, d.what, a.seconds*1000, a.cpu*1000, b.seconds*1000, b.cpu*1000, d.ahead(), mark)
	}
	_ = t.Flush()
}

// judge sums up the duels of a part in one line.
func (r *report) judge(part, what string) {
	lines, behind := 0, ""
	for _, d := range r.duels {
		if d.part != part || len(d.theirs) == 0 || len(d.ours) == 0 {
			continue
		}
		lines++
		if d.ahead() < 1 {
			behind += fmt.Sprintf(", %s %.2f", d.what, d.ahead())
		}
	}
	if lines > 0 {
		r.add(what, "ahead on every line", behind == "", "%d lines%s", lines, behind)
	}
}

// ask runs this program again as a client and reads what it measured.
func (b *bench) ask(ctx context.Context, args []string, answer any) error {
	c := exec.CommandContext(ctx, b.self, args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	return err
}
