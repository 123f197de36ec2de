package report

import (
	"context"
	"errors"
	"fmt"
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
	in := &Intake{o: o, letters: make(chan Letter, waiting), cancel: cancel}
	in.ended.Go(func() { in.serve(ctx) })
	return in
}

// Close ends it. What waits is not read.
func (in *Intake) Close() {
	in.cancel()
	in.ended.Wait()
	for {
		select {
		case l := <-in.letters:
			l.drop()
		default:
			return
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
			if err := in.read(ctx, l); err != nil && ctx.Err() == nil {
				in.refused(l, err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (in *Intake) refused(l Letter, err error) {
	in.o.Log.Message(l.Message).Log(event.ReportRefused, event.Err(err))
}

// errNoReport is what is said of mail that holds no report.
var errNoReport = errors.New("no part of it is an aggregate report")

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

// add is patient with a store that does not answer.
func (in *Intake) add(ctx context.Context, row store.DMARCReport) error {
	for try := 1; ; try++ {
		_, err := in.o.Reports.AddDMARC(ctx, row)
		if err == nil || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrInvalid) || try == retries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
