package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// Rehearsal says what is tried. A setting of "" is the default.
type Rehearsal struct {
	Set    map[string]string `json:"set,omitempty" doc:"Settings of the group policy to try, by name, as text; an empty text is the default. Nothing is saved"`
	Add    []string          `json:"add,omitempty" doc:"Rules of the allow and block lists to try, each a line as list-import reads it. Nothing is saved" maxItems:"1000" example:"[\"block network 192.0.2.0/24\"]"`
	Remove []string          `json:"remove,omitempty" doc:"Names of rules of the allow and block lists to try without. A rule that is changed is one removed and one added" maxItems:"1000"`
}

// PolicyReplayInput is the input of policy-replay.
type PolicyReplayInput struct {
	Body struct {
		Period
		Rehearsal
		From    string `json:"from,omitempty" doc:"Only this sender, an address or a domain"`
		To      string `json:"to,omitempty" doc:"Only mail to this recipient, an address or a domain"`
		Client  string `json:"client,omitempty" doc:"Only this address or network of clients"`
		Outcome string `json:"outcome,omitempty" doc:"Only attempts that ended so: accepted, refused, deferred, discarded or aborted; several with commas"`
		Limit   int    `json:"limit,omitempty" minimum:"0" maximum:"10000" doc:"Most senders to list; 0: 100"`
	}
}

// PolicyReplay is what other settings would have made of recorded attempts.
type PolicyReplay struct {
	Understood
	// Settings are the changes that were tried; none stands for the live rules.
	Settings []setting.Difference `json:"settings"`
	Added    []AccessRule         `json:"added" doc:"The rules of the allow and block lists that were tried"`
	Removed  []string             `json:"removed" doc:"The rules that were tried without"`
	Attempts int                  `json:"attempts" doc:"How many were judged anew"`
	Counts   map[string]int       `json:"counts" doc:"How many are treated how now: same; accepted, junk, held, discarded, deferred or refused; open: not refused where they were, and nobody asked what follows; unknown"`
	Senders  []ReplayedSender     `json:"senders" doc:"Who would be treated differently, those with most attempts first"`
	Unknown  []ReplayedSender     `json:"unknown" doc:"Of whom nobody can say it, because a fact was not recorded"`
	// Left is how many more of both there are.
	Left int `json:"left,omitempty" doc:"How many rows more there are"`
}

// ReplayedSender is a sender who would be treated differently, or of whom nobody
// can say it, for one reason.
type ReplayedSender struct {
	Sender string     `json:"sender" doc:"Envelope sender; <> is the null sender, empty: none was named"`
	Client netip.Addr `json:"client" doc:"The client of the newest attempt"`
	// Replayed is that of the newest attempt.
	policy.Replayed
	Attempts int        `json:"attempts"`
	Last     time.Time  `json:"last"`
	Examples []ident.ID `json:"examples" doc:"A few of the attempts, for trace"`
}

// Bounds of a replay.
const (
	replaySpan = 7 * 24 * time.Hour // without since
	replayRows = 20_000             // kept while counting
	replayFew  = 3                  // examples of a row

	replayRules = 1000 // that are added, or removed
)

// rehearsed is what a Rehearsal comes to.
type rehearsed struct {
	pipeline *policy.Pipeline
	settings []setting.Difference
	lists    *policy.Proposal
	added    []AccessRule
}

// rehearse returns the pipeline and the lists to try, and what is different.
func (s *Service) rehearse(ctx context.Context, r Rehearsal) (t rehearsed, err error) {
	if t.pipeline, t.settings, err = s.rehearseSettings(ctx, r.Set); err != nil {
		return t, err
	}
	t.lists, t.added, err = s.rehearseLists(ctx, r)
	return t, err
}

func (s *Service) rehearseSettings(ctx context.Context, wanted map[string]string) (*policy.Pipeline, []setting.Difference, error) {
	if len(wanted) == 0 {
		return s.o.Pipeline, []setting.Difference{}, nil
	}
	if s.o.Rehearse == nil {
		return nil, nil, errors.New("this server has no settings to try")
	}
	e := setting.Edit{Author: "rehearsal", Set: map[string]string{}}
	for name, value := range wanted {
		switch {
		case !strings.HasPrefix(name, "policy.") && name != "profile":
			return nil, nil, inField("set", fmt.Errorf("%s: only settings of the group policy can be tried; they are: posthorn setting list policy", name))
		case value == "":
			e.Unset = append(e.Unset, name)
		default:
			e.Set[name] = value
		}
	}
	rules, changes, err := s.o.Rehearse(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	changes = slices.DeleteFunc(changes, func(d setting.Difference) bool { return !strings.HasPrefix(d.Name, "policy.") })
	return policy.NewPipeline(rules), changes, nil
}

// rehearseLists reads the change of the lists; nil for none.
func (s *Service) rehearseLists(ctx context.Context, r Rehearsal) (*policy.Proposal, []AccessRule, error) {
	views := []AccessRule{}
	if len(r.Add)+len(r.Remove) == 0 {
		return nil, views, nil
	}
	if len(r.Add) > replayRules || len(r.Remove) > replayRules {
		return nil, nil, inField("add", fmt.Errorf("more than %d rules; try fewer, or networks in place of addresses", replayRules))
	}
	rows, err := access.ReadFile(strings.Join(r.Add, "\n"), s.accessSettings().RequireAuthentication)
	if err != nil {
		return nil, nil, inField("add", err)
	}
	var added []*access.Rule
	for _, row := range rows {
		changed := slices.ContainsFunc(r.Remove, func(name string) bool { return strings.EqualFold(name, row.Name) })
		switch _, err := s.o.Store.Access().Get(ctx, row.Name); {
		case err == nil && !changed:
			return nil, nil, inField("add", fmt.Errorf("there is a rule called %s already; to try it changed, name it among those removed, too", row.Name))
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return nil, nil, err
		}
		one, err := rule(row)
		if err != nil {
			return nil, nil, err
		}
		added, views = append(added, one), append(views, accessView(row))
	}
	return policy.NewProposal(added, r.Remove), views, nil
}

// unmet names the first rule to be removed that is not there, and was not when
// the records were written; "" for none.
func (s *Service) unmet(ctx context.Context, p *policy.Proposal, remove []string) (string, error) {
	for _, name := range remove {
		if p.Met(name) {
			continue
		}
		if _, err := s.o.Store.Access().Get(ctx, name); errors.Is(err, store.ErrNotFound) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", nil
}

func (s *Service) replayPolicy(ctx context.Context, in *PolicyReplayInput) (PolicyReplay, error) {
	b := &in.Body
	t := TraceInput{From: b.From, To: b.To, Client: b.Client, Outcome: b.Outcome, Period: b.Period}
	now := time.Now().In(s.zone())
	q, u, err := t.query(now)
	if err != nil {
		return PolicyReplay{}, err
	}
	if u.Since.IsZero() {
		u.Since = now.Add(-replaySpan)
	}
	if u.Until.IsZero() {
		u.Until = now
	}
	q.Since, q.Until = u.Since, u.Until
	tried, err := s.rehearse(ctx, b.Rehearsal)
	if err != nil {
		return PolicyReplay{}, err
	}
	c := replayCount{rows: map[replayKey]*ReplayedSender{}, counts: map[string]int{}}
	err = s.o.Records.Each(ctx, q, func(a *record.Attempt) bool {
		if policy.Concerns(a) {
			c.add(a, policy.Replay(tried.pipeline, tried.lists, a))
		}
		return true
	})
	if err != nil {
		return PolicyReplay{}, err
	}
	if name, err := s.unmet(ctx, tried.lists, b.Remove); err != nil || name != "" {
		return PolicyReplay{}, cmp.Or(err, inField("remove", fmt.Errorf("no rule is called %q, and none was in these records (posthorn list list)", name)))
	}
	out := PolicyReplay{Understood: u, Settings: tried.settings, Added: tried.added, Removed: append([]string{}, b.Remove...), Attempts: c.attempts, Counts: c.counts}
	out.Senders, out.Unknown, out.Left = c.lists(cmp.Or(b.Limit, usualPage))
	return out, nil
}

// replayKey joins attempts of a sender that are treated differently for the
// same reason.
type replayKey struct {
	sender, check string
	unknown       bool
	before, after policy.Fate
	client        netip.Addr // where no sender was named
	unasked       string     // so that what is said of one is true of all
}

// replayCount gathers what is found, in bounded memory.
type replayCount struct {
	attempts, left int
	counts         map[string]int
	rows           map[replayKey]*ReplayedSender
}

func (c *replayCount) add(a *record.Attempt, r policy.Replayed) {
	c.attempts++
	switch {
	case r.Unknown:
		c.counts["unknown"]++
	case r.Ends != "":
		c.counts["open"]++
	case r.Differs():
		c.counts[r.After.String()]++
	default:
		c.counts["same"]++
		return
	}
	k := replayKey{sender: senderOf(a), check: r.Check, unknown: r.Unknown}
	if !r.Unknown {
		k.before, k.after = r.Before, r.After
	}
	if k.sender == "" {
		k.client = a.Client
	}
	if r.Unasked != nil {
		k.unasked = fmt.Sprint(r.Unasked)
	}
	row := c.rows[k]
	if row == nil {
		if len(c.rows) == replayRows {
			c.left++
			return
		}
		row = &ReplayedSender{Sender: k.sender, Client: a.Client, Replayed: r, Last: a.Begin}
		c.rows[k] = row
	}
	if row.Attempts++; len(row.Examples) < replayFew {
		row.Examples = append(row.Examples, a.ID)
	}
}

func senderOf(a *record.Attempt) string {
	switch {
	case !a.HasSender:
		return ""
	case a.Sender == "":
		return "<>"
	}
	return a.Sender
}

// lists are the rows in the order of reports.
func (c *replayCount) lists(most int) (senders, unknown []ReplayedSender, left int) {
	senders, unknown, left = []ReplayedSender{}, []ReplayedSender{}, c.left
	for _, row := range c.rows {
		if row.Unknown {
			unknown = append(unknown, *row)
		} else {
			senders = append(senders, *row)
		}
	}
	for _, list := range []*[]ReplayedSender{&senders, &unknown} {
		slices.SortFunc(*list, func(a, b ReplayedSender) int {
			return cmp.Or(b.Attempts-a.Attempts, b.Last.Compare(a.Last), cmp.Compare(a.Sender, b.Sender), a.Client.Compare(b.Client), cmp.Compare(a.Check, b.Check))
		})
		left += max(0, len(*list)-most)
		*list = (*list)[:min(len(*list), most)]
	}
	return senders, unknown, left
}
