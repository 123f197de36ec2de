package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/wait"
	"posthorn/internal/state/store"
)

// hints tells the other nodes which accounts changed, and hears it from them.
// A hint only shortens a wait: it is sent after the commit, in a statement of
// its own and together with others, and may be lost.
type hints struct {
	e    *pgEngine
	node string

	mu      sync.Mutex
	changed map[store.AccountID]struct{}
	wake    chan struct{}
	end     context.CancelFunc
	ended   sync.WaitGroup
}

const (
	hintChannel = "posthorn"
	// hintEvery is how often a node sends hints at most.
	hintEvery = 20 * time.Millisecond
	// hintAccounts bounds a notification, whose payload has under 8000 octets.
	hintAccounts = 300
	// hintRetry is the pause before listening again.
	hintRetry = 2 * time.Second
)

func (h *hints) start(e *pgEngine) {
	h.e, h.node = e, ident.NewSource().New().String()
	h.changed, h.wake = map[store.AccountID]struct{}{}, make(chan struct{}, 1)
	ctx, end := context.WithCancel(context.Background())
	h.end = end
	h.ended.Go(func() { h.send(ctx) })
	h.ended.Go(func() { h.listen(ctx) })
}

func (h *hints) stop() {
	if h.end != nil {
		h.end()
		h.ended.Wait()
	}
}

// add notes a changed account.
func (h *hints) add(id store.AccountID) {
	h.mu.Lock()
	h.changed[id] = struct{}{}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *hints) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		for payload := h.take(); payload != ""; payload = h.take() {
			if err := h.notify(ctx, payload); err != nil {
				break // a hint is lost, nothing else
			}
		}
		if !wait.For(ctx, hintEvery) {
			return
		}
	}
}

func (h *hints) notify(ctx context.Context, payload string) error {
	ctx, end := context.WithTimeout(ctx, h.e.s.o.answer)
	defer end()
	_, err := h.e.pool.Exec(ctx, `SELECT pg_notify($1, $2)`, hintChannel, payload)
	return err
}

// take writes some changed accounts as "node id id …"; "" when none is left.
func (h *hints) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.changed) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(h.node)
	n := 0
	for id := range h.changed {
		if n++; n > hintAccounts {
			break
		}
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(int64(id), 10))
		delete(h.changed, id)
	}
	return b.String()
}

// listen hears hints until ctx ends, again and again when the connection
// breaks.
func (h *hints) listen(ctx context.Context) {
	for {
		if err := h.hear(ctx); err != nil && ctx.Err() == nil {
			h.e.s.o.Log.Log(event.StoreTrouble, slog.String("what", "hints from other nodes"), event.Err(err))
		}
		if !wait.For(ctx, hintRetry) {
			return
		}
	}
}

func (h *hints) hear(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, h.e.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(ctx)); err != nil {
			h.e.s.o.Log.Log(event.StoreTrouble, slog.String("what", "closing the connection for hints"), event.Err(err))
		}
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+hintChannel); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		words := strings.Fields(n.Payload)
		if len(words) == 0 || words[0] == h.node {
			continue
		}
		for _, word := range words[1:] {
			if id, err := strconv.ParseInt(word, 10, 64); err == nil {
				h.e.s.hub.Wake(store.AccountID(id))
			}
		}
	}
}
