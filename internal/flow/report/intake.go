package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/dmarc"
)

const (
	// waiting is how many mails wait to be read; more are only delivered.
	waiting = 100
	// perDay and rowsPerDay bound the reports of a day that are kept, and their
	// rows: anybody can write some, and those of today push out the oldest.
	perDay     = 5000
	rowsPerDay = 50_000
	// shares is how many parts that room has: nobody gets more than one of them.
	shares = 10
	// pause is how long the store is left alone after it failed.
	pause   = 10 * time.Second
	retries = 5
	// lastRead bounds the reading of what waits when it closes.
	lastRead = 2 * time.Second
)

// Domains knows which domains are ours; a directory.Directory does.
type Domains interface {
	Hosts(ctx context.Context, domain string) (bool, error)
}

// IntakeOptions are what an Intake works with.
type IntakeOptions struct {
	Settings func() *Settings
	Domains  Domains
	Reports  store.Reports
	Log      *event.Logger
}

// Letter is mail that may hold a report.
type Letter struct {
	Message ident.ID
	Time    time.Time
	// Origin is who sent it, as the function Origin says.
	Origin string
	// Open opens the whole message, once, in the background.
	Open func(ctx context.Context) (store.Body, error)
	// Body is the whole message where it is open already; the Intake closes it.
	Body store.Body
}

func (l *Letter) open(ctx context.Context) (store.Body, error) {
	if l.Body != nil {
		return l.Body, nil
	}
	return l.Open(ctx)
}

// drop closes what will not be read.
func (l *Letter) drop() {
	if l.Body != nil {
		_ = l.Body.Close() // read only
	}
}

// Intake reads reports out of mail that was accepted, one at a time.
type Intake struct {
	o       IntakeOptions
	letters chan Letter
	closing chan struct{} // closed at the beginning of Close
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	day     time.Time
	all     share            // of that day
	origins map[string]share // of it, by the origin of what was kept
}

// share is how much was kept.
type share struct{ reports, rows int }

// over reports whether so many rows more are too much for one of so many parts.
func (s share) over(rows, parts int) bool {
	return s.reports >= perDay/parts || s.rows+rows > rowsPerDay/parts
}

func (s share) plus(rows int) share { return share{s.reports + 1, s.rows + rows} }

// NewIntake starts an Intake. Close it before the store.
func NewIntake(o IntakeOptions) *Intake {
	ctx, cancel := context.WithCancel(context.Background())
	in := &Intake{o: o, letters: make(chan Letter, waiting), closing: make(chan struct{}), cancel: cancel}
	in.ended.Go(func() { in.serve(ctx) })
	return in
}

// Close reads what waits, as far as it comes within two seconds, and ends. No
// Offer may follow.
func (in *Intake) Close() {
	close(in.closing)
	late := time.AfterFunc(lastRead, in.cancel)
	in.ended.Wait()
	late.Stop()
	in.cancel()
	for l := range in.rest() {
		l.drop()
		in.refused(l, errStopped)
	}
}

// rest yields the letters that wait by now.
func (in *Intake) rest() iter.Seq[Letter] {
	return func(yield func(Letter) bool) {
		for {
			select {
			case l := <-in.letters:
				if !yield(l) {
					return
				}
			default:
				return
			}
		}
	}
}

// Wants reports whether an address gets reports.
func (in *Intake) Wants(a mail.Address) bool { return in.o.Settings().wants(a) }

// Offer hands in mail and never waits.
func (in *Intake) Offer(l Letter) {
	select {
	case in.letters <- l:
	default:
		l.drop()
		in.refused(l, errors.New("too many wait to be read"))
	}
}

func (in *Intake) serve(ctx context.Context) {
	for {
		select {
		case l := <-in.letters:
			in.take(ctx, l)
		case <-in.closing:
			for l := range in.rest() {
				if in.take(ctx, l); ctx.Err() != nil {
					return
				}
			}
			return
		}
	}
}

func (in *Intake) take(ctx context.Context, l Letter) {
	err := in.read(ctx, l)
	if err != nil && ctx.Err() != nil {
		err = errStopped
	}
	if err != nil {
		in.refused(l, err)
	}
}

func (in *Intake) refused(l Letter, err error) {
	in.o.Log.Message(l.Message).Log(event.ReportRefused, event.Err(err))
}

// What is said of mail of which nothing is kept.
var (
	errNoReport = errors.New("no part of it is an aggregate report")
	errStopped  = errors.New("the server stopped before it was read")
)

// read keeps the reports of a letter.
func (in *Intake) read(ctx context.Context, l Letter) error {
	body, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read only
	found := false
	for r, err := range reports(ctx, body) {
		if err != nil {
			return err
		}
		found = true
		if err := in.keep(ctx, l, r); err != nil {
			return err
		}
	}
	if !found {
		return errNoReport
	}
	return nil
}

// Why a report is not kept.
var (
	errForeign = errors.New("it is about a domain that is not hosted here")
	errTooMany = errors.New("too many reports were kept today")
	errShare   = errors.New("too many reports of one sender were kept today")
)

// keep stores one report, unless it is there already.
func (in *Intake) keep(ctx context.Context, l Letter, r *dmarc.Report) error {
	row := rowOf(r, l.Time)
	ours, err := in.o.Domains.Hosts(ctx, row.Domain)
	if err != nil {
		return err
	}
	if !ours {
		return errForeign
	}
	if day := l.Time.UTC().Truncate(24 * time.Hour); !day.Equal(in.day) {
		in.day, in.all, in.origins = day, share{}, map[string]share{}
	}
	switch {
	case in.origins[l.Origin].over(len(row.Rows), shares):
		return fmt.Errorf("%w: %s", errShare, l.Origin)
	case in.all.over(len(row.Rows), 1):
		return errTooMany
	}
	err = in.add(ctx, row)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	if err == nil {
		in.all, in.origins[l.Origin] = in.all.plus(len(row.Rows)), in.origins[l.Origin].plus(len(row.Rows))
		in.o.Log.Message(l.Message).Log(event.ReportRead, slog.String("domain", row.Domain), slog.String("organization", row.Organization), slog.String("report", row.ReportID))
	}
	return err
}

// add is patient with a store that does not answer, but not at the end.
func (in *Intake) add(ctx context.Context, row store.DMARCReport) error {
	for try := 1; ; try++ {
		_, err := in.o.Reports.AddDMARC(ctx, row)
		if err == nil || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrInvalid) || try == retries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-in.closing:
			timer.Stop()
			try = retries - 1
		}
	}
}
