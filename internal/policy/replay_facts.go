package policy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/state/access"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
)

// Facts that no check had to ask for go into the record step by step, so that
// Replay finds them whatever checks looked at. Those at their zero value are
// left out. Names are what traces show.
const (
	factSpokeFirst  = "spoke first"
	factForbidden   = "forbidden input"
	factDeclared    = "declared"
	factParam       = "parameter"
	factFree        = "free"
	factReadOnly    = "read-only"
	factLeads       = "leads to"
	factSize        = "size"
	factBrokenFrom  = "from field"
	factBareEnds    = "line ends"
	factDeliveredTo = "delivered to"
	factAtOnce      = "files for"
	factLater       = "further copies"
	factRule        = "rule"
)

// maxDelivered bounds the Delivered-To fields that a record keeps.
const maxDelivered = 20

// note writes the facts of the stage that was judged into its step.
func (f *Facts) note(d *Decision, s *record.Step) {
	add := func(name, value string) { s.Facts = append(s.Facts, record.Input{Name: name, Value: value}) }
	number := func(name string, n int64) {
		if n != 0 {
			add(name, strconv.FormatInt(n, 10))
		}
	}
	m := &f.ledger.rulesOf
	switch d.Stage {
	case Connect:
		f.noteRules(add, m.client)
	case Greeting:
		if f.SpokeFirst {
			add(factSpokeFirst, "yes")
		}
	case Mail:
		number(factDeclared, int64(f.DeclaredSize))
		f.noteRoom(add)
		f.noteParams(add)
		f.noteRules(add, m.sender)
	case Rcpt:
		add(factLeads, leadsTo(&f.Resolution))
		f.noteRules(add, m.recipient)
	case Content:
		f.noteContent(add, number)
		f.noteRules(add, m.author)
		if d.Effects.Quarantine != "" {
			add(record.FactHeld, d.Effects.Quarantine)
		}
		if d.Effects.Junk != "" {
			add(record.FactJunk, d.Effects.Junk)
		}
		if r := d.files(); r != nil {
			add(record.FactFiledBy, r.Entry.Name)
		}
	}
	if d.Stage > Greeting {
		number(factForbidden, int64(f.ForbiddenInput))
	}
}

func (f *Facts) noteRoom(add func(name, value string)) {
	if f.Room.Total != 0 {
		add(factFree, strconv.FormatInt(f.Room.Free, 10))
	}
	if f.Room.ReadOnly != nil {
		add(factReadOnly, f.Room.ReadOnly.Error())
	}
}

func (f *Facts) noteParams(add func(name, value string)) {
	if f.Params.SMTPUTF8 {
		add(factParam, "SMTPUTF8")
	}
	if f.Params.RequireTLS {
		add(factParam, "REQUIRETLS")
	}
}

func (f *Facts) noteContent(add func(name, value string), number func(string, int64)) {
	number(factSize, int64(f.Size))
	if f.FromBroken {
		add(factBrokenFrom, "broken")
	}
	if f.BareCRLF {
		add(factBareEnds, "bare")
	}
	number(factAtOnce, int64(f.AtOnce))
	if f.Later {
		add(factLater, "by the queue")
	}
	for _, to := range f.DeliveredTo[:min(len(f.DeliveredTo), maxDelivered)] {
		add(factDeliveredTo, to)
	}
}

// noteRules keeps the rules of the lists that match, as a file of rules has
// them: what they were is not to be found out later.
func (f *Facts) noteRules(add func(name, value string), rules []*access.Rule) {
	for _, r := range rules {
		if !r.Live(f.Time) {
			continue
		}
		row := r.AccessRow
		row.Owner, row.Reason = "", ""
		var b strings.Builder
		access.WriteFile(&b, []store.AccessRow{row})
		add(factRule, strings.TrimSuffix(b.String(), "\n"))
	}
}

// leadsTo writes what checks look at of a resolution: its kind, the one account
// and whether it has no quota, or that nobody here keeps the mail.
func leadsTo(r *directory.Resolution) string {
	text := r.Kind.String()
	if r.Account != 0 {
		text += " " + strconv.FormatInt(int64(r.Account), 10)
	}
	if len(r.Deliveries) == 1 && r.Deliveries[0].Unlimited {
		text += " unlimited"
	}
	if r.Kind == directory.Local && !r.Keeps() {
		text += " onward"
	}
	return text
}

// readLeads is the way back.
func readLeads(text string) (r directory.Resolution, ok bool) {
	text, onward := strings.CutSuffix(text, " onward")
	text, unlimited := strings.CutSuffix(text, " unlimited")
	if kind, number, found := cutLast(text, " "); found {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			text, r.Account = kind, store.AccountID(n)
		}
	}
	for k := directory.Elsewhere; k <= directory.Relay; k++ {
		if k.String() == text {
			r.Kind, ok = k, true
		}
	}
	if r.Account != 0 && r.Kind == directory.Local {
		r.Deliveries = []directory.Delivery{{Account: r.Account, Unlimited: unlimited}}
	} else if r.Kind == directory.Local && !onward {
		r.Away = []directory.Delivery{{}} // somebody keeps it
	}
	return r, ok
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// recall fills the facts of a stage from its step. It reports whether the step
// has what no stage can do without.
func (f *Facts) recall(stage Stage, s *record.Step, a *record.Attempt) bool {
	number := func(name string) int64 {
		text, _ := s.Fact(name)
		n, _ := strconv.ParseInt(text, 10, 64) // none is 0
		return n
	}
	f.ForbiddenInput = int(number(factForbidden))
	switch stage {
	case Mail:
		f.Sender, f.DeclaredSize = address(a.Sender), unit.Size(number(factDeclared))
		f.Time, f.Message = a.Begin.Add(s.After), a.ID
		f.recallMail(s, number(factFree))
	case Rcpt:
		text, _ := s.Fact(factLeads)
		to, ok := readLeads(text)
		f.Recipient, f.Resolution = address(strings.TrimSuffix(strings.TrimPrefix(s.Argument, "<"), ">")), to
		return ok
	case Content:
		f.Size, f.Hops = unit.Size(number(factSize)), a.Hops
		f.AtOnce = store.AccountID(number(factAtOnce))
		f.recallContent(s, a.Authors)
	}
	return true
}

func (f *Facts) recallMail(s *record.Step, free int64) {
	f.Room, f.Params = store.Room{}, MailParams{}
	if _, known := s.Fact(factFree); known {
		f.Room.Free, f.Room.Total = free, max(free, 1)
	}
	if text, ok := s.Fact(factReadOnly); ok {
		f.Room.ReadOnly = errors.New(text)
	}
	for i := range s.Facts {
		if s.Facts[i].Name == factParam {
			f.Params.SMTPUTF8 = f.Params.SMTPUTF8 || s.Facts[i].Value == "SMTPUTF8"
			f.Params.RequireTLS = f.Params.RequireTLS || s.Facts[i].Value == "REQUIRETLS"
		}
	}
}

func (f *Facts) recallContent(s *record.Step, authors []string) {
	_, f.FromBroken = s.Fact(factBrokenFrom)
	_, f.BareCRLF = s.Fact(factBareEnds)
	_, f.Later = s.Fact(factLater)
	f.DeliveredTo, f.From = nil, nil
	for i := range s.Facts {
		if s.Facts[i].Name == factDeliveredTo {
			f.DeliveredTo = append(f.DeliveredTo, s.Facts[i].Value)
		}
	}
	for _, text := range authors {
		f.From = append(f.From, address(text))
	}
}

// address reads an address as records have it; <postmaster> has no domain.
func address(text string) mail.Address {
	if a, err := mail.ParseAddress(text); err == nil {
		return a
	}
	local, err := mail.ParseLocal(text)
	if err != nil {
		return mail.Address{}
	}
	return mail.Address{Local: local}
}

// memory answers in place of the sources from one record. It is Recorded and
// Access.
type memory struct {
	a *record.Attempt
	// at is the step being judged.
	at    int
	rules map[string]*access.Rule
}

// Find implements Recorded: the step being judged first, then earlier ones from
// the newest; answers that hold for client or message, in later ones too, for
// under other rules they are asked at other times.
func (m *memory) Find(name string) (string, bool) {
	for i := m.at; i >= 0; i-- {
		if text, ok := answerIn(&m.a.Steps[i], name); ok {
			return text, true
		}
		if strings.HasPrefix(name, "milter ") { // one answer for each step
			return "", false
		}
	}
	if passing(name) {
		return "", false
	}
	for i := m.at + 1; i < len(m.a.Steps); i++ {
		if text, ok := answerIn(&m.a.Steps[i], name); ok {
			return text, true
		}
	}
	return "", false
}

// passing reports answers that another moment would make different.
func passing(name string) bool {
	for _, p := range [...]string{"rate ", "reached ", "greylist ", "usage "} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func answerIn(s *record.Step, name string) (string, bool) {
	for i := range s.Checks {
		for j := range s.Checks[i].Inputs {
			if in := &s.Checks[i].Inputs[j]; in.Name == name {
				return in.Value, true
			}
		}
	}
	return "", false
}

// Client implements Access with the rules the step recorded.
func (m *memory) Client(netip.Addr) []*access.Rule { return m.recorded() }

// Sender implements Access.
func (m *memory) Sender(mail.Address) []*access.Rule { return m.recorded() }

// Recipient implements Access.
func (m *memory) Recipient(mail.Address) []*access.Rule { return m.recorded() }

// Hit implements Access; what is only rehearsed does not count.
func (m *memory) Hit(*access.Rule) {}

// recorded reads the rules of the step; the same text is the same rule.
func (m *memory) recorded() []*access.Rule {
	var list []*access.Rule
	s := &m.a.Steps[m.at]
	for i := range s.Facts {
		if s.Facts[i].Name != factRule {
			continue
		}
		if r := m.rule(s.Facts[i].Value); r != nil {
			list = append(list, r)
		}
	}
	return list
}

func (m *memory) rule(text string) *access.Rule {
	if r, ok := m.rules[text]; ok {
		return r
	}
	if m.rules == nil {
		m.rules = map[string]*access.Rule{}
	}
	var r *access.Rule
	if rows, err := access.ReadFile(text, false); err == nil && len(rows) == 1 {
		r, _ = access.New(rows[0]) // ReadFile has checked it
	}
	m.rules[text] = r
	return r
}
