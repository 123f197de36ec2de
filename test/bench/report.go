package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// smtpRow is one point of the SMTP table.
type smtpRow struct {
	point
	posthorn, filled, peer, sink sample
	log                          float64
}

// line is a figure with its aim.
type line struct {
	what  string
	value string
	aim   string
	mark  string
}

type report struct {
	smtp  []smtpRow
	duels []duel
	lines []line
}

func (r *report) add(what, aim string, met bool, format string, args ...any) {
	mark := "met"
	if !met {
		mark = "SHORT"
	}
	r.lines = append(r.lines, line{what, fmt.Sprintf(format, args...), aim, mark})
}

// budgets are the lines of the design's budgets by the parts that measure
// them.
var budgets = []struct{ part, what, aim string }{
	{"smtp", "SMTP to durable mailbox", ">= 10 x Postfix + Dovecot; >= 0.3 x sink; CPU <= 0.25 ms; no drop to 1000 connections"},
	{"fill", "the same on a store of 1,000,000 messages (-fill)", "within 10 %"},
	{"relay", "relay through the queue to a sink", ">= 3 x Postfix; CPU <= 0.6 ms"},
	{"imap", "IMAP on large mailboxes", "ahead of Dovecot on every line"},
	{"idle", "IDLE notification; idle IMAP connection", "<= 5 ms; <= 20 KiB"},
	{"start", "start to first banner; memory; restart", "<= 50 ms; <= 40 MB; < 2 s"},
	{"large", "memory for one message of 100 MB", "<= +16 MB"},
	{"policy checks", "all policy checks on, DNS cached, one RSA-2048 signature", "<= 1.3 x the CPU without"},
	{"policy scan", "each scanner's own cost", "printed"},
	{"policy memory", "memory for 1,000,000 greylist entries and 10,000,000 offered limiter keys", "printed and bounded"},
}

// tell prints a figure without an aim.
func (r *report) tell(what, format string, args ...any) {
	r.lines = append(r.lines, line{what: what, value: fmt.Sprintf(format, args...), aim: "-"})
}

// unknown is a figure that could not be taken.
func (r *report) unknown(what, aim, why string) {
	r.lines = append(r.lines, line{what, "not measured: " + why, aim, ""})
}

// leftOut names the budgets that this run says nothing about.
func (r *report) leftOut(c config) {
	for _, x := range budgets {
		if x.part == "fill" && c.fill == 0 || x.part != "fill" && !c.wants(strings.Fields(x.part)...) {
			r.unknown(x.what, x.aim, "not part of this run")
		}
	}
}

func (r *report) print(w io.Writer) {
	if len(r.smtp) > 0 {
		r.printSMTP(w)
		r.judgeSMTP()
	}
	if len(r.duels) > 0 {
		printDuels(w, r.duels)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nwhat\tmeasured\taim\t")
	for _, l := range r.lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.what, l.value, l.aim, l.mark)
	}
	_ = t.Flush()
}

func (r *report) printSMTP(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nSMTP to durable mailbox\tposthorn/s\tp50 ms\tp99 ms\tCPU ms\tsyncs\twritten B\tgen CPU ms\tPostfix+Dovecot/s\tCPU ms\tratio\tsink/s\tratio\tgroup log/s\tfilled/s\t")
	for _, x := range r.smtp {
		p := x.posthorn
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.3f\t%.3f\t%.0f\t%.3f\t%.0f\t%.2f\t%.1f\t%.0f\t%.2f\t%.0f\t%.0f\t\n", x.point,
			p.perSecond(), p.P50, p.P99, perMessage(p.serverCPU, p), p.syncs, p.written, perMessage(p.CPU, p),
			x.peer.perSecond(), perMessage(x.peer.serverCPU, x.peer), ratio(p.perSecond(), x.peer.perSecond()),
			x.sink.perSecond(), ratio(p.perSecond(), x.sink.perSecond()), x.log, x.filled.perSecond())
	}
	_ = t.Flush()
}

func perMessage(seconds float64, s sample) float64 {
	if s.Messages == 0 {
		return 0
	}
	return seconds * 1000 / float64(s.Messages)
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// judgeSMTP compares the table with the aims of design.md 10.
func (r *report) judgeSMTP() {
	rates := map[int]float64{}
	for _, x := range r.smtp {
		if x.size != 2<<10 {
			continue
		}
		p := x.posthorn
		rates[x.connections] = p.perSecond()
		name := fmt.Sprintf("%d connections: ", x.connections)
		if x.connections == 1 {
			r.add(name+"to the discarding sink", ">= 0.4", ratio(p.perSecond(), x.sink.perSecond()) >= 0.4, "%.2f", ratio(p.perSecond(), x.sink.perSecond()))
			r.add(name+"syncs a message", "1", p.syncs < 1.1, "%.2f", p.syncs)
		}
		if x.connections == 10 || x.connections == 100 {
			if x.peer.Messages > 0 {
				q := ratio(p.perSecond(), x.peer.perSecond())
				r.add(name+"to Postfix + Dovecot", ">= 10", q >= 10, "%.1f", q)
			}
			q := ratio(p.perSecond(), x.sink.perSecond())
			r.add(name+"to the discarding sink", ">= 0.3", q >= 0.3, "%.2f", q)
			r.add(name+"CPU a message", "<= 0.25 ms", perMessage(p.serverCPU, p) <= 0.25, "%.3f ms", perMessage(p.serverCPU, p))
		}
		if x.connections == 100 {
			r.add(name+"syncs a message", "< 0.1", p.syncs < 0.1, "%.3f", p.syncs)
			r.add(name+"p99 to p50", "<= 3", ratio(p.P99, p.P50) <= 3, "%.2f", ratio(p.P99, p.P50))
		}
		if x.filled.Messages > 0 {
			q := ratio(x.filled.perSecond(), p.perSecond())
			r.add(name+"filled store to empty store", ">= 0.9", q >= 0.9, "%.2f", q)
		}
	}
	if rates[10] > 0 && rates[1000] > 0 {
		r.add("100 to 10 connections", ">= 1", rates[100] >= rates[10], "%.2f", rates[100]/rates[10])
		r.add("1000 to 10 connections", ">= 1", rates[1000] >= rates[10], "%.2f", rates[1000]/rates[10])
	}
}
