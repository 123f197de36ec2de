package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// peer is Postfix handing to Dovecot by LMTP.
type peer struct {
	*postfix
	*dovecot
}

func startPeer(ctx context.Context, dir string) (*peer, error) {
	d, err := startDovecot(ctx, filepath.Join(dir, "dovecot"))
	if err != nil {
		return nil, err
	}
	p, err := startPostfix(ctx, filepath.Join(dir, "postfix"), fmt.Sprintf(postfixToLMTP, d.lmtp))
	if err != nil {
		d.stop()
		return nil, err
	}
	return &peer{p, d}, nil
}

func (p *peer) stop() {
	p.postfix.stop()
	p.dovecot.stop()
}

func (p *peer) cpu() float64 { return p.postfix.cpu() + p.dovecot.cpu() }
