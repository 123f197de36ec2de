package sqlstore

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func TestAConnectionWhoseHostIsSilentIsGivenUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dsn := "host=127.0.0.1 dbname=x"
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	configure(config, dsn, Options{}.withDefaults())
	c, err := config.ConnConfig.DialFunc(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(n int) (value int) {
		var got error
		err := raw.Control(func(fd uintptr) { value, got = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, n) })
		if err != nil || got != nil {
			t.Error(err, got)
		}
		return value
	}
	if ms := option(tcpUserTimeout); ms != int(unheard/time.Millisecond) {
		t.Errorf("unconfirmed octets may lie for %d ms", ms)
	}
	if s := option(syscall.TCP_KEEPIDLE) + option(syscall.TCP_KEEPCNT)*option(syscall.TCP_KEEPINTVL); s != int(unheard/time.Second) {
		t.Errorf("a connection that is not used is found dead after %d s", s)
	}
}
