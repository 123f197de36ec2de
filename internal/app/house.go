// Package app builds the house and opens its doors: it alone knows which parts
// there are and which storage engine runs. A House is everything but sockets;
// the command line works in one when no server runs. Serve adds the doors.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"posthorn/internal/app/boot"
	"posthorn/internal/base/dns"
	"posthorn/internal/base/durable"
	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/passwd"
	"posthorn/internal/base/seal"
	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/access"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/greylist"
	"posthorn/internal/state/record"
	"posthorn/internal/state/regular"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/state/store/sqlstore"
)

// House is one posthorn without its doors. Close it.
type House struct {
	Config    boot.Config
	Log       *event.Logger
	Store     store.Store
	Settings  *setting.Book
	Directory *directory.Directory
	Records   *record.Recorder
	Pipeline  *policy.Pipeline
	Service   *manage.Service
	// Version is what the binary calls itself.
	Version  string
	Resolver *dns.Resolver

	counts    *counts
	passwords *passwd.Verifier
	networks  []netip.Prefix
	node      string   // the name of this data folder among all nodes
	lock      *os.File // where no engine locks the folder
	local     *time.Location
	box       *seal.Box
	sources   policy.Sources
	access    *access.Lists
	bans      *ban.Book
	regulars  *regular.Book
	greylist  *greylist.List
	watch     *watch
	sifter    *sifter
	reporting *reporting
	handles   handles
	servers   dns.ServerList
	stop      context.CancelFunc
	ended     chan struct{}
}

// OpenOptions say how a house is opened.
type OpenOptions struct {
	// MustExist refuses a data folder that no server has used yet.
	MustExist bool
	// Log is where log lines go; nil discards them.
	Log io.Writer
	// Version is what the binary calls itself.
	Version string
	// Resolver, if not nil, is asked instead of the name servers of the settings.
	Resolver *dns.Resolver
}

// Names of files in the data folder.
const (
	keyFile    = "secret.key"
	storeDir   = "store"
	database   = "posthorn.db" // in storeDir, with the one engine
	recordFile = "records.db"
	nodeFile   = "node.id"
)

// Open opens the data folder and everything that lives in it.
func Open(ctx context.Context, c boot.Config, o OpenOptions) (*House, error) {
	handler := logHandler(c.Log, o.Log)
	counted := newCounts(handler)
	h := &House{Config: c, local: machineZone(), Log: event.New(counted), Version: o.Version, counts: counted}
	fresh, err := prepareFolder(c, o.MustExist)
	if err != nil {
		return nil, err
	}
	if err = h.openKey(fresh); err != nil {
		return nil, err
	}
	if h.node, err = nodeName(filepath.Join(c.Data, nodeFile)); err != nil {
		return nil, err
	}
	if c.Store.Engine == postgreSQL { // the other engine locks its own folder
		if h.lock, err = sqlstore.LockFolder(c.Data); err != nil {
			return nil, err
		}
	}
	if h.Store, err = openStore(ctx, c, h.Log); err != nil {
		return nil, errors.Join(err, h.unlock())
	}
	if err := h.checkKey(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.furnish(ctx, o); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// prepareFolder makes the data folder, readable by its owner only, and reports
// whether it is new.
func prepareFolder(c boot.Config, mustExist bool) (fresh bool, err error) {
	fresh = unused(c.Data)
	if fresh && mustExist {
		return false, fmt.Errorf("%s holds no posthorn data; name another folder with --data DIR, or start a server there first", c.Data)
	}
	if err := durable.MakeDir(c.Data, 0o700); err != nil {
		return false, fmt.Errorf("data folder: %w", err)
	}
	return fresh, nil
}

func logHandler(c boot.Log, w io.Writer) slog.Handler {
	if w == nil {
		return slog.DiscardHandler
	}
	level, err := event.ParseLevel(c.Level)
	if err != nil {
		level = slog.LevelInfo
	}
	return event.Handler(w, event.Options{Level: level, Format: logFormat(c)})
}

const postgreSQL = "postgresql"

// unlock lets another process have the folder: its name of a node must not be
// used by two (flow/queue).
func (h *House) unlock() error {
	if h.lock == nil {
		return nil
	}
	return h.lock.Close()
}

func openStore(ctx context.Context, c boot.Config, log *event.Logger) (store.Store, error) {
	o := sqlstore.Options{Log: log, Cache: int64(c.Store.Cache)}
	if c.Store.Engine == postgreSQL {
		return sqlstore.OpenPostgres(ctx, c.Store.DSN, o)
	}
	return sqlstore.OpenSQLite(ctx, filepath.Join(c.Data, storeDir), o)
}

// furnish builds what stands on the store.
func (h *House) furnish(ctx context.Context, o OpenOptions) (err error) {
	registry := setting.NewRegistry()
	h.handles = declareAll(registry)
	if h.Settings, err = setting.Open(ctx, registry, h.Store.Settings(), h.box, setting.Options{Log: h.Log}); err != nil {
		return err
	}
	if h.Records, err = record.Open(record.Options{Path: filepath.Join(h.Config.Data, recordFile),
		Settings: func() record.Settings { return *h.handles.record.Get() },
		Failed:   func(err error) { h.Log.Log(event.RecordsFailed, event.Err(err)) }}); err != nil {
		return err
	}
	h.passwords = passwd.NewVerifier(passwd.Options{})
	h.Directory = directory.New(h.Store.Directory(), directory.Options{Settings: h.handles.directory.Get,
		Passwords: h.passwords, HostName: h.handles.hostname})
	h.networks = machineNetworks()
	h.Pipeline = policy.NewPipeline(h.handles.policy.Get().Rules(h.networks...))
	if h.Resolver = o.Resolver; h.Resolver == nil {
		h.Resolver = h.newResolver()
	}
	if err := h.openMemory(ctx); err != nil {
		return err
	}
	h.sources = h.newSources()
	h.Service = manage.New(manage.Options{Store: h.Store, Settings: h.Settings, Directory: h.Directory, Records: h.Records,
		Pipeline: h.Pipeline, Rehearse: h.rehearsed, Hostname: h.handles.hostname, Resolver: h.Resolver, Addresses: machineAddresses, Sources: h.looking(), Advise: h.advise, Seal: h.box.Seal,
		GreylistKey: func(ip netip.Addr) string { return h.handles.policy.Get().Greylist.KeyOf(ip) },
		Access:      h.handles.access.Get, Bans: h.handles.ban.Get, Greylist: h.greylist, Log: h.Log, Version: o.Version, Node: h.node, Zone: h.zone,
		Quarantine: h.handles.quarantine.Get, Forget: h.sifter.forget})
	h.follow()
	return nil
}

// follow keeps settings and rules current until Close. Rules are in force when
// the change that made them is answered (M-GEN-13).
func (h *House) follow() {
	var mu sync.Mutex
	rules := func() {
		mu.Lock()
		defer mu.Unlock()
		h.Pipeline.Replace(h.handles.policy.Get().Rules(h.networks...))
	}
	h.Settings.Registry().OnChange(rules)
	rules()
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.ended = stop, make(chan struct{})
	go func() {
		defer close(h.ended)
		if err := h.Settings.Run(ctx); err != nil && ctx.Err() == nil {
			h.Log.Log(event.StoreFailed, event.Err(err))
		}
	}()
}

// Close ends everything, the store last.
func (h *House) Close() error {
	if h.stop != nil {
		h.stop()
		<-h.ended
	}
	var errs []error
	if h.Records != nil {
		errs = append(errs, h.Records.Close())
	}
	return errors.Join(append(errs, h.closeMemory(), h.Store.Close(), h.unlock())...)
}

// Usage reads an account's usage against its quota.
func (h *House) Usage(ctx context.Context, id store.AccountID) (store.Usage, error) {
	return h.Store.Account(id).Usage(ctx)
}

func logFormat(c boot.Log) event.Format {
	if c.Format == "json" {
		return event.JSON
	}
	return event.Text
}

// nodeName reads the name of this data folder, made at the first start: claims
// of the queue carry it.
func nodeName(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		id, err := ident.Parse(string(trimNewline(text)))
		if err != nil {
			return "", fmt.Errorf("%s is damaged: %w; remove it while no server runs, and a new one is made", file, err)
		}
		return id.String(), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("node name: %w", err)
	}
	id := ident.NewSource().New().String()
	return id, durable.WriteFile(file, []byte(id+"\n"), 0o600)
}

// machineNetworks are the networks of this machine's interfaces at the start:
// local networks in the sense of M-GEN-02. Without them only loopback is.
func machineNetworks() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var networks []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			networks = append(networks, p.Masked())
		}
	}
	return networks
}
