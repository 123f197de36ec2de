package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
)

type policyReplayCmd struct {
	period
	From    string `help:"Only this sender: an address or a domain." placeholder:"ADDRESS"`
	To      string `help:"Only mail to this recipient: an address or a domain." placeholder:"ADDRESS"`
	Client  string `help:"Only this address or network of clients." placeholder:"IP"`
	Outcome string `help:"Only attempts that ended so: accepted, refused, deferred, discarded, aborted." placeholder:"WORD,..."`
	rehearsal
	Limit int `help:"Most senders to list." default:"50"`
}

// Help implements kong.HelpProvider.
func (c *policyReplayCmd) Help() string {
	return `For example, a check that is only observed by now, a rule of the lists, one
without another, and a rule that is changed:

    posthorn policy replay --since 7d --set policy.names.client=enforce
    posthorn policy replay --add-rule "block network 198.51.100.0/24 name=flooders"
    posthorn policy replay --remove-rule partner
    posthorn policy replay --remove-rule partner --add-rule "allow ip 192.0.2.8 name=partner"

Rules are written as posthorn list export writes them. Nothing is saved.`
}

// rehearsal is what commands try without saving it.
type rehearsal struct {
	Set        []string `help:"Setting to try; may be given several times. NAME= alone is the default. Nothing is saved." placeholder:"NAME=VALUE" sep:"none"`
	AddRule    []string `help:"Rule of the allow or block list to try, such as \"block network 192.0.2.0/24\" (posthorn list import --help); may be given several times." placeholder:"RULE" sep:"none"`
	RemoveRule []string `help:"Name of a rule to try without; may be given several times." placeholder:"NAME" sep:"none"`
}

// period is how commands are told a part of the past.
type period struct {
	Since string `help:"From when: how long ago (24h, 7d), a day (yesterday, tuesday, 2026-03-01) or a time." placeholder:"WHEN"`
	Until string `help:"Up to when, in the same words; a day counts whole." placeholder:"WHEN"`
	On    string `help:"One day: today, yesterday, tuesday, 2026-03-01." placeholder:"DAY"`
	Zone  string `help:"Time zone of these and of the times shown: a name (Europe/Berlin) or an offset (+02:00). Without it, the server's (server.time_zone)." placeholder:"ZONE"`
}

func (p period) input() manage.Period {
	return manage.Period{Since: p.Since, Until: p.Until, On: p.On, Zone: p.Zone}
}

// zoneOf is the time zone an answer names, in which its times are shown. A
// server of another version may know more zones.
func zoneOf(u manage.Understood) *time.Location {
	if zone, err := manage.ParseZone(u.Zone); err == nil {
		return zone
	}
	return time.Local
}

// span says which time an answer is about, and in whose days; "" is all.
func span(u manage.Understood) string {
	in := func(t time.Time) string { return t.In(zoneOf(u)).Format(time.DateTime) }
	switch {
	case u.Since.IsZero() && u.Until.IsZero():
		return ""
	case u.Until.IsZero():
		return "since " + in(u.Since) + " (" + u.Zone + ")"
	case u.Since.IsZero():
		return "before " + in(u.Until) + " (" + u.Zone + ")"
	}
	return "between " + in(u.Since) + " and " + in(u.Until) + " (" + u.Zone + ")"
}

// input reads the settings to try.
func (c *rehearsal) input() (manage.Rehearsal, error) {
	r := manage.Rehearsal{Add: c.AddRule, Remove: c.RemoveRule}
	for _, text := range c.Set {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return r, misuse("--set %s has no value; write --set %s=VALUE, or %s= for the default", text, text, text)
		}
		if r.Set == nil {
			r.Set = map[string]string{}
		}
		r.Set[name] = value
	}
	return r, nil
}

func (c *policyReplayCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	r, err := c.rehearsal.input()
	if err != nil {
		return err
	}
	in := manage.PolicyReplayInput{}
	in.Body.Period, in.Body.Rehearsal = c.period.input(), r
	in.Body.From, in.Body.To, in.Body.Client, in.Body.Outcome, in.Body.Limit = c.From, c.To, c.Client, c.Outcome, c.Limit
	return show(ctx, w, s, "policy-replay", in, func(p manage.PolicyReplay) error { return writeReplay(s, p) })
}

// replayWords are what became of mail, in the order of the report.
var replayWords = []struct{ key, words string }{
	{"same", "treated as they were"},
	{"refused", "refused for good, and had not been"},
	{"deferred", "refused for now, and had been taken or refused for good"},
	{"discarded", "thrown away, and had not been"},
	{"held", "held back, and had not been"},
	{"junk", "filed in Junk, and had not been"},
	{"accepted", "accepted, and had not been"},
	{"open", "not refused where they were; what follows there was never asked"},
	{"unknown", "of which nobody can say it: a fact was not recorded"},
}

func writeReplay(s *Streams, p manage.PolicyReplay) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s, judged anew by ", plural(int64(p.Attempts), "attempt"), span(p.Understood))
	switch {
	case len(p.Settings) > 0:
		b.WriteString("these settings:\n")
	case len(p.Added)+len(p.Removed) > 0:
		b.WriteString("the settings in force and these rules:\n")
	default:
		b.WriteString("the settings in force:\n")
	}
	for _, d := range p.Settings {
		fmt.Fprintf(b, "  %s\n", clean(d.String()))
	}
	for _, name := range p.Removed {
		fmt.Fprintf(b, "  without the rule %s\n", clean(name))
	}
	for _, r := range p.Added {
		fmt.Fprintf(b, "  with the rule %s: %s\n", clean(r.Name), clean(says(r)))
	}
	b.WriteString("\n")
	for _, o := range replayWords {
		if n := p.Counts[o.key]; n > 0 || o.key == "same" {
			fmt.Fprintf(b, "  %7d  %s\n", n, o.words)
		}
	}
	writeReplayed(b, "Who would be treated differently", p.Senders, zoneOf(p.Understood))
	writeReplayed(b, "Of whom nobody can say it", p.Unknown, zoneOf(p.Understood))
	if p.Left > 0 {
		fmt.Fprintf(b, "\n%d more are not listed; --limit lists more, --from and --client look closer.\n", p.Left)
	}
	if len(p.Senders)+len(p.Unknown) > 0 {
		b.WriteString("\nOne attempt in full: posthorn trace ID. What happens to the next ones: posthorn policy try --set NAME=VALUE ...\n")
	}
	_, err := io.WriteString(s.Out, s.hint(b.String()))
	return err
}

func writeReplayed(b *strings.Builder, title string, rows []manage.ReplayedSender, zone *time.Location) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for i := range rows {
		r := &rows[i]
		who := clean(r.Sender)
		if who == "" {
			who = "(no sender was named)"
		}
		fmt.Fprintf(b, "  %s from %s%s: %s\n", who, r.Client, times(r.Attempts), became(r))
		for _, why := range []string{whyReplayed(r), notKnown(r)} {
			if why != "" {
				fmt.Fprintf(b, "%s\n", wrap(clean(why), 100, "      "))
			}
		}
		fmt.Fprintf(b, "      last %s, such as %s\n", r.Last.In(zone).Format(time.DateTime), r.Examples[0])
	}
}

func times(n int) string {
	if n == 1 {
		return ""
	}
	return ", " + strconv.Itoa(n) + " attempts"
}

// fateWords are the fates as a sentence has them.
var fateWords = map[string]string{"accepted": "accepted", "junk": "filed in Junk", "held": "held back", "discarded": "thrown away",
	"deferred": "refused for now", "refused": "refused"}

func became(r *manage.ReplayedSender) string {
	if r.Unknown {
		return "cannot say"
	}
	text := fateWords[r.After.String()] + ", was " + fateWords[r.Before.String()]
	if r.Ends != "" {
		text = "no longer " + fateWords[r.Before.String()]
	}
	if r.Recipient != "" {
		text += ", for <" + clean(r.Recipient) + ">"
	}
	if r.Recipients > 1 {
		text += fmt.Sprintf(" and %d more", r.Recipients-1)
	}
	return text
}

func whyReplayed(r *manage.ReplayedSender) string {
	switch {
	case r.Unknown && r.Check == "":
		return "The record lacks " + r.Missing + "."
	case r.Unknown:
		return "The check " + r.Check + " needs a fact that was not recorded: " + r.Missing + "."
	case r.Check == "":
		return ""
	}
	by := "Decided by " + r.Check
	if r.After == policy.FateTaken {
		by = "It was decided by " + r.Check
	}
	if r.Reason != "" {
		by += ": " + strings.TrimSuffix(r.Reason, ".")
	}
	return by + "."
}

// notKnown names the checks that could still decide otherwise.
func notKnown(r *manage.ReplayedSender) string {
	var parts []string
	for _, u := range r.Unasked {
		parts = append(parts, u.Stage+" ("+strings.Join(u.Checks, ", ")+")")
	}
	list := strings.Join(parts, "; ")
	switch {
	case r.Ends != "" && list == "":
		return "The client was refused at " + r.Ends + "; no check after that could have refused the mail."
	case r.Ends != "":
		return "The client was refused at " + r.Ends + ", so these were never asked and could still refuse. Not known: " + list + "."
	case list != "":
		return "Not known: " + list + "."
	}
	return ""
}
