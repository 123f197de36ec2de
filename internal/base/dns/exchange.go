package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// udpSize is what fits any path without fragments (RFC 9715 §3).
	udpSize = 1232
	// maxStrays bounds datagrams that are no answer to the query.
	maxStrays = 64
)

// exchange asks one server: over UDP from a port of its own, then over TCP
// when the answer did not fit. Everything ends with the context.
func exchange(ctx context.Context, server string, q *mdns.Msg) (*mdns.Msg, error) {
	query, err := q.Pack()
	if err != nil {
		return nil, err
	}
	m, err := over(ctx, "udp", server, query, func(c net.Conn) (*mdns.Msg, error) { return askUDP(c, q, query) })
	if !errors.Is(err, errTruncated) {
		return m, err
	}
	m, err = over(ctx, "tcp", server, query, func(c net.Conn) (*mdns.Msg, error) { return askTCP(c, q, query) })
	if err != nil {
		return nil, fmt.Errorf("%w over UDP, and over TCP: %w", errTruncated, err)
	}
	return m, nil
}

// over opens a connection that the end of the context cuts.
func over(ctx context.Context, network, server string, query []byte, ask func(net.Conn) (*mdns.Msg, error)) (*mdns.Msg, error) {
	if _, err := netip.ParseAddrPort(server); err != nil {
		return nil, fmt.Errorf("name server %q: an address and a port are needed", server)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	m, err := ask(conn)
	_ = conn.Close() // nothing was left to write
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return m, err
}

// askUDP reads until the answer comes: a connected socket gives datagrams of
// the server alone, and a wrong one, perhaps forged, does not end the wait.
func askUDP(conn net.Conn, q *mdns.Msg, query []byte) (*mdns.Msg, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for range maxStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if m, err := parse(q, buf[:n]); !errors.Is(err, errWrong) {
			return m, err
		}
	}
	return nil, errWrong
}

func askTCP(conn net.Conn, q *mdns.Msg, query []byte) (*mdns.Msg, error) {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
	if _, err := conn.Write(append(frame, query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	return parse(q, buf)
}

// parse reads an answer to the query. What does not even carry its identifier,
// or cannot be read, is errWrong.
func parse(q *mdns.Msg, buf []byte) (*mdns.Msg, error) {
	const header, response, truncated = 12, 0x80, 0x02
	if len(buf) < header || binary.BigEndian.Uint16(buf) != q.Id || buf[2]&response == 0 {
		return nil, errWrong
	}
	if buf[2]&truncated != 0 {
		return nil, errTruncated
	}
	records := 0
	for at := 6; at < header; at += 2 {
		records += int(binary.BigEndian.Uint16(buf[at:]))
	}
	if records > maxRecords {
		return nil, errTooMany // before room is made for them
	}
	m := new(mdns.Msg)
	if err := m.Unpack(buf); err != nil {
		return nil, errWrong
	}
	return m, answers(q, m)
}
