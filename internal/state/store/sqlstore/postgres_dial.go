package sqlstore

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// unheard is how long what was sent to PostgreSQL may lie unconfirmed by its
// host before the connection counts as broken. Without it a network that
// swallows packets holds reads, which have no time of their own, for a quarter
// of an hour.
const unheard = time.Minute

// noticing lets connections notice a host that went away.
func noticing(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		t, ok := c.(*net.TCPConn)
		if err != nil || !ok {
			return c, err
		}
		alive := net.KeepAliveConfig{Enable: true, Idle: unheard / 4, Interval: unheard / 4, Count: 3}
		if err := errors.Join(t.SetKeepAliveConfig(alive), noticeSilence(t)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}
