package queue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/wait"
	"posthorn/internal/state/store"
)

// Ending is what became of one recipient of a job, as it was stored.
type Ending struct {
	Recipient store.QueueRecipient // as it was before
	Result    Result
	// Expired: it failed because its time was up, after Result.Reply.
	Expired bool
	// Next is when it is tried again; zero when it is done.
	Next time.Time
	// Late: the sender is told of the delay.
	Late bool
}

// untriedPause is when a recipient is due again for which the Deliverer did
// nothing.
const untriedPause = time.Minute

// endings decides what becomes of a job's recipients. An attempt that was
// interrupted counts for those alone whose fate is settled.
func (r *Runner) endings(j *job, now time.Time, results []Result, err error, interrupted bool) []Ending {
	found := make(map[int64]Result, len(results))
	for _, res := range results {
		found[res.Recipient] = res
	}
	var list []Ending
	l := drawLuck()
	for _, rcpt := range j.Claim.Message.Recipients {
		res, ok := found[rcpt.ID]
		if !ok && err != nil {
			res = Result{Fate: Deferred, Reply: replyTo(err)}
		}
		res.Recipient = rcpt.ID
		if interrupted && res.Fate != Delivered && res.Fate != Failed {
			continue // Abandon gives it back
		}
		list = append(list, r.ending(&j.Claim.Message, rcpt, res, now, l))
	}
	return list
}

// replyTo is the reply that stands for an error of a Deliverer.
func replyTo(err error) reply.Reply {
	var outage *Outage
	if errors.As(err, &outage) {
		return outage.Reply
	}
	return reply.New(451, reply.E(4, 3, 0), err.Error())
}

func (r *Runner) ending(m *store.QueueMessage, rcpt store.QueueRecipient, res Result, now time.Time, l luck) Ending {
	e := Ending{Recipient: rcpt, Result: res}
	s := r.o.Settings()
	switch res.Fate {
	case Untried:
		e.Next = now.Add(max(res.Wait, l.vary(untriedPause)))
	case Deferred:
		next, more := s.next(now, m, rcpt.Attempts+1, res.Wait, l)
		if !more {
			e.Expired = true
			e.Result.Fate = Failed
			break
		}
		e.Next = next
		e.Late = r.o.Notices != nil && s.late(now, m, &rcpt)
	case Delivered, Failed:
	}
	return e
}

// settlement is the storing of a job's endings.
type settlement struct {
	r       *Runner
	j       *job
	endings []Ending
	notice  *store.Acceptance
	asked   bool // for the notice
	// unwritten: the notice that was asked for could not be made.
	unwritten bool
	doubt     bool // a Finish may have happened
	luck      luck
}

// settle stores the endings and tells of them.
func (r *Runner) settle(ctx context.Context, j *job, endings []Ending) {
	if len(endings) == 0 {
		return
	}
	s := &settlement{r: r, j: j, endings: endings, luck: drawLuck()}
	defer s.discard()
	if !s.store(ctx) {
		return
	}
	var told ident.ID
	if s.notice != nil {
		told = s.notice.Key
	}
	r.logEndings(j, s.endings, told)
	if r.o.Done != nil && !s.untried() {
		r.o.Done(j.Job, s.endings, told)
	}
}

// How long to wait before the store is asked again: what was delivered must
// not be forgotten, or it is sent again.
const (
	firstAgain = 50 * time.Millisecond
	mostAgain  = 5 * time.Second
)

// store repeats until the endings are stored or cannot be. It reports whether
// they are.
func (s *settlement) store(ctx context.Context) bool {
	log := s.r.o.Log.Message(s.j.Claim.Message.ID)
	for pause, told := firstAgain, false; ; pause = min(2*pause, mostAgain) {
		err := s.finish(ctx)
		switch {
		case err == nil, s.doubt && errors.Is(err, store.ErrConflict):
			return true
		case errors.Is(err, store.ErrUnknownOutcome):
			s.doubt = true
		case ctx.Err() != nil:
			s.lost(err)
			return false
		case s.untried():
			return false // due again when the lease has ended
		case passing(err) && !s.crowds(err):
			if pause == mostAgain && !told {
				told = true
				log.Log(event.QueueError, event.Err(err))
			}
		case len(s.endings) > 1:
			// One may stand in the way of the others: its mailbox is full, or
			// it was removed during the attempt.
			s.apart(ctx)
			return false
		case !s.yield(err):
			s.lost(err)
			return false
		}
		wait.For(ctx, pause)
	}
}

// untried reports that nothing was attempted.
func (s *settlement) untried() bool {
	return !slices.ContainsFunc(s.endings, func(e Ending) bool { return e.Result.Fate != Untried })
}

// lost tells of endings that could not be stored: what the log says here is
// known nowhere else.
func (s *settlement) lost(err error) {
	log := s.r.o.Log.Message(s.j.Claim.Message.ID)
	for i := range s.endings {
		if e := &s.endings[i]; e.Result.Fate != Untried {
			log.Log(event.QueueError, append(where(s.j), slog.String("recipient", e.Recipient.Address.String()), slog.String("not_stored", e.event().String()),
				slog.String("reply", clip(text(e.Result.Reply))), event.Err(err))...)
		}
	}
}

// crowds reports that the disk is full and that it is the notice for which there
// is no room: what it is about must not wait for that, nor keep others waiting.
func (s *settlement) crowds(err error) bool {
	return errors.Is(err, store.ErrFull) && (s.notice != nil || s.unwritten)
}

// passing reports an error that says nothing about the endings.
func passing(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrReadOnly)
}

// apart stores each ending by itself.
func (s *settlement) apart(ctx context.Context) {
	for i := range s.endings {
		s.r.settle(ctx, s.j, s.endings[i:i+1:i+1])
	}
}

// lastNotice is how long after a message's time a notice that cannot be
// written keeps it in the queue.
const lastNotice = 24 * time.Hour

// yield changes a single ending that cannot be stored into one that can: what
// cannot be filed waits, and so does what nobody can be told of. It reports
// whether there is something to try.
func (s *settlement) yield(err error) bool {
	e := &s.endings[0]
	m := &s.j.Claim.Message
	switch {
	case errors.Is(err, store.ErrConflict):
		return false
	case e.Result.File != nil:
		*e = s.r.ending(m, e.Recipient, Result{Recipient: e.Recipient.ID, Fate: Deferred, Reply: filingReply(err)}, time.Now(), s.luck)
	case e.Result.Fate == Failed && s.asked && !errors.Is(err, store.ErrFull) && time.Since(m.Expires) > lastNotice:
		s.r.o.Log.Message(m.ID).Log(event.QueueError, slog.String("sender", "is not told"), event.Err(err))
		s.discard()
		return true
	case e.Result.Fate == Failed && s.asked:
		s.r.o.Log.Message(m.ID).Log(event.QueueError, event.Err(err))
		e.Result.Fate, e.Expired = Deferred, false
		e.Next = time.Now().Add(s.r.o.Settings().pause(e.Recipient.Attempts+1, s.luck))
		s.discard()
		return true
	case s.asked:
		s.r.o.Log.Message(m.ID).Log(event.QueueError, event.Err(err))
		e.Late = false
		s.discard()
		return true
	default:
		return false
	}
	s.discard()
	s.asked = false
	return true
}

// filingReply says why a message could not be filed at the commit.
func filingReply(err error) reply.Reply {
	if errors.Is(err, store.ErrOverQuota) {
		return reply.New(452, reply.E(4, 2, 2), "Mailbox full").Because(err)
	}
	return reply.New(451, reply.E(4, 2, 0), err.Error())
}

func (s *settlement) discard() {
	s.unwritten = false
	if s.notice != nil {
		s.notice.Body.Discard()
		s.notice = nil
	}
}

// finish makes the notice, once, and stores everything.
func (s *settlement) finish(ctx context.Context) error {
	if err := s.tell(ctx); err != nil {
		return err
	}
	return s.r.o.Queue.Finish(ctx, s.j.Claim, s.outcomes(), s.notice)
}

func (s *settlement) outcomes() []store.Outcome {
	list := make([]store.Outcome, len(s.endings))
	for i := range s.endings {
		e := &s.endings[i]
		list[i] = store.Outcome{Recipient: e.Recipient.ID, Done: e.Next.IsZero(), Untried: e.Result.Fate == Untried, NextTry: e.Next,
			LastError: clip(text(e.Result.Reply)), Host: clip(e.Result.Host), Route: s.j.To.Key, Notified: e.Late, File: e.Result.File}
	}
	return list
}

// longest is how many octets of a reply are kept in a row.
const longest = 1000

// text is a reply in one line, "" for none.
func text(r reply.Reply) string {
	if r.IsZero() {
		return ""
	}
	return r.String()
}

func clip(s string) string {
	if len(s) <= longest {
		return s
	}
	n := longest
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// tell asks for the notice about what the sender is to know.
func (s *settlement) tell(ctx context.Context) error {
	if s.asked || s.r.o.Notices == nil {
		return nil
	}
	var reports []Report
	now := time.Now()
	for i := range s.endings {
		if action, wanted := s.endings[i].action(s.r.o.Local); wanted {
			e := &s.endings[i]
			reports = append(reports, Report{Recipient: e.Recipient, Action: action, Expired: e.Expired, Host: e.Result.Host, Reply: e.Result.Reply, Ours: e.Result.Ours, At: now})
		}
	}
	if len(reports) == 0 {
		return nil
	}
	s.asked = true
	var err error
	s.notice, err = s.r.o.Notices.Notice(ctx, Notice{Message: s.j.Claim.Message, Body: s.j.Claim.BodyOpener, Reports: reports})
	s.unwritten = err != nil
	if s.unwritten && passing(err) && !s.crowds(err) {
		s.asked = false
	}
	return err
}

// action is what the sender is told about a recipient, if anything (RFC 3461
// §5.2). Failures are always reported: Notices knows who is not told.
func (e *Ending) action(local bool) (Action, bool) {
	switch {
	case e.Result.Fate == Failed:
		return ActionFailed, true
	case e.Late:
		return ActionDelayed, true
	case e.Result.Fate != Delivered || e.Recipient.Notify&store.NotifySuccess == 0 || e.Result.Aware:
		return 0, false
	case local:
		return ActionDelivered, true
	}
	return ActionRelayed, true
}
