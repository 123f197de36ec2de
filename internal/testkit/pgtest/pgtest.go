// Package pgtest runs a real PostgreSQL for tests: Debian's binaries as user
// postgres, a cluster of its own per test process, reached by a Unix socket
// only, with fsync on. Each test gets a database copied from a template.
//
// Without PostgreSQL a test is skipped and says so; with CI=true it fails.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Cluster is a running PostgreSQL. The zero Cluster starts at its first use;
// keep one per test process and call its Stop from TestMain.
type Cluster struct {
	// Settings are given to the server as -c NAME=VALUE, after those of its own.
	Settings []string

	once     sync.Once
	err      error
	missing  bool
	dir      string
	process  *exec.Cmd
	template sync.Once
	tmplErr  error
	serial   atomic.Int64
}

// Database returns the connection string of a fresh database, dropped when
// the test ends. prepare, run once per process, fills the template all of
// them are copied from; it must leave no connection open.
func (c *Cluster) Database(t testing.TB, prepare func(dsn string) error) string {
	t.Helper()
	c.once.Do(c.start)
	switch {
	case c.missing && os.Getenv("CI") != "true":
		t.Skip("PostgreSQL is not tested:", c.err)
	case c.err != nil:
		t.Fatal("PostgreSQL:", c.err)
	}
	c.template.Do(func() {
		if c.tmplErr = c.run("CREATE DATABASE template_posthorn TEMPLATE template0"); c.tmplErr == nil {
			c.tmplErr = prepare(c.dsn("template_posthorn"))
		}
	})
	if c.tmplErr != nil {
		t.Fatal("PostgreSQL template:", c.tmplErr)
	}
	name := fmt.Sprintf("test_%d", c.serial.Add(1))
	if err := c.run("CREATE DATABASE " + name + " TEMPLATE template_posthorn"); err != nil {
		t.Fatal("PostgreSQL:", err)
	}
	t.Cleanup(func() {
		if err := c.run("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error("PostgreSQL:", err)
		}
	})
	return c.dsn(name)
}

// Stop ends the cluster, if it was started, and removes its folder.
func (c *Cluster) Stop() error {
	if c.process == nil {
		return nil
	}
	err := c.process.Process.Signal(syscall.SIGINT) // fast shutdown
	return errors.Join(err, c.process.Wait(), os.RemoveAll(c.dir))
}

// Kill ends all server processes at once, as a crash does, and Restart takes
// the same cluster up again.
func (c *Cluster) Kill() error {
	err := c.process.Process.Signal(syscall.SIGQUIT) // immediate shutdown
	if errors.Is(err, os.ErrProcessDone) {
		err = nil // it crashed by itself
	}
	if e := c.process.Wait(); e != nil && c.process.ProcessState == nil {
		err = errors.Join(err, e)
	}
	return err
}

// Restart starts the cluster after Kill.
func (c *Cluster) Restart() error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	return c.launch(bin)
}

func (c *Cluster) dsn(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=posthorn", database, url.QueryEscape(c.dir))
}

func (c *Cluster) run(statement string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// start makes the cluster's folder and runs the server.
func (c *Cluster) start() {
	bin, err := binaries()
	if err != nil {
		c.err, c.missing = err, true
		return
	}
	c.err = c.create(bin)
	if c.err == nil {
		c.err = c.launch(bin)
	}
}

// binaries finds the newest installed PostgreSQL, 15 or later.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // 0 for odd names
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	if len(found) > 0 && version(found[0]) >= 15 {
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("no PostgreSQL 15 or later is installed")
}

// create makes the folder outside t.TempDir, which other users cannot enter.
func (c *Cluster) create(bin string) error {
	dir, err := os.MkdirTemp("", "posthorn-pg-")
	if err != nil {
		return err
	}
	c.dir = dir
	if attr, err := c.attributes(); err != nil {
		return err
	} else if attr.Credential != nil {
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return err
		}
	}
	cmd, err := c.command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "posthorn", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// attributes says as whom the server runs (initdb refuses root) and that it
// ends with this process, should Stop not be reached.
func (c *Cluster) attributes() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, err
}

func (c *Cluster) command(name string, args ...string) (*exec.Cmd, error) {
	attr, err := c.attributes()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, attr
	return cmd, err
}

// launch runs the server and waits until it takes connections.
func (c *Cluster) launch(bin string) error {
	args := []string{"-D", filepath.Join(c.dir, "data"), "-k", c.dir}
	for _, s := range append([]string{"listen_addresses=", "fsync=on", "max_connections=200",
		"shared_buffers=64MB", "log_min_messages=log", "log_checkpoints=off"}, c.Settings...) {
		args = append(args, "-c", s)
	}
	cmd, err := c.command(filepath.Join(bin, "postgres"), args...)
	if err != nil {
		return err
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that starts the process.
		runtime.LockOSThread()
		started <- cmd.Start()
		select {}
	}()
	if err := <-started; err != nil {
		return err
	}
	c.process = cmd
	ready := make(chan error, 1)
	go func() {
		var text strings.Builder
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready to accept connections") {
				ready <- nil
			} else if text.Len() < 4096 {
				text.WriteString(lines.Text() + "\n")
			}
		}
		select {
		case ready <- errors.New("postgres ended: " + text.String()):
		default:
		}
	}()
	return <-ready
}
