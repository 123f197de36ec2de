package listen

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Identity is who the server is once its sockets are open.
type Identity struct {
	// User is the name or number to change to when started as root; "" stays.
	User string
	// Data is the data folder, which must belong to that user.
	Data string
	// AllowRoot lets the server stay root, as some containers want.
	AllowRoot bool
	// Sockets are what Open opened: those with a file are given to the user
	// and the group that the server changes to.
	Sockets []*Socket
}

// Errors of Assume.
var (
	ErrRoot  = errors.New("posthorn does not run as root: name a user to change to (--user), or insist on root (--allow-root)")
	ErrOwner = errors.New("the data folder belongs to somebody else")
)

// Assume checks the data folder and gives up root for good, in all threads:
// supplementary groups first, then group, then user. Call it after Open and
// before anything is written. It reports whether the user changed.
func (i Identity) Assume() (changed bool, err error) {
	if os.Geteuid() != 0 {
		return false, i.stay()
	}
	if i.User == "" {
		if !i.AllowRoot {
			return false, ErrRoot
		}
		return false, checkOwner(i.Data, 0)
	}
	uid, gid, groups, err := lookupUser(i.User)
	if err != nil {
		return false, err
	}
	if uid == 0 {
		if !i.AllowRoot {
			return false, ErrRoot
		}
		return false, checkOwner(i.Data, 0)
	}
	if err := checkOwner(i.Data, uid); err != nil {
		return false, err
	}
	for _, s := range i.Sockets {
		if err := s.give(uid, gid); err != nil {
			return false, err
		}
	}
	return true, become(uid, gid, groups)
}

// stay is for a process that was not started as root.
func (i Identity) stay() error {
	if i.User != "" {
		uid, _, _, err := lookupUser(i.User)
		if err != nil {
			return err
		}
		if uid != os.Geteuid() {
			return fmt.Errorf("cannot change to user %s: only root can; start as root, or as %s", i.User, i.User)
		}
	}
	return checkOwner(i.Data, os.Geteuid())
}

// BecomeOwner makes a process that root started the owner of the data folder,
// so that no file in it becomes one that the server cannot open. It does nothing
// for others, and where root is the owner.
func BecomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return nil
	}
	uid, gid, groups, err := lookupUser(strconv.FormatUint(uint64(stat.Uid), 10))
	if err != nil { // containers know few names
		uid, gid, groups = int(stat.Uid), int(stat.Gid), nil
	}
	return become(uid, gid, groups)
}

// become changes all threads (package syscall does) and proves that there is
// no way back.
func become(uid, gid int, groups []int) error {
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("give up root: setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("give up root: setgid %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("give up root: setuid %d: %w", uid, err)
	}
	if os.Getuid() != uid || os.Geteuid() != uid || syscall.Setuid(0) == nil {
		return errors.New("give up root: the process could become root again")
	}
	return nil
}

func lookupUser(name string) (uid, gid int, groups []int, err error) {
	u, err := user.Lookup(name)
	if _, number := strconv.Atoi(name); err != nil && number == nil {
		u, err = user.LookupId(name)
	}
	switch {
	case errors.As(err, new(user.UnknownUserError)), errors.As(err, new(user.UnknownUserIdError)):
		return 0, 0, nil, fmt.Errorf("there is no user %q; make it (useradd --system %[1]s), or name another", name)
	case err != nil:
		return 0, 0, nil, fmt.Errorf("user %s: %w", name, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, nil, fmt.Errorf("user %s: %w", name, err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, nil, fmt.Errorf("user %s: %w", name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, fmt.Errorf("groups of %s: %w", name, err)
	}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return 0, 0, nil, fmt.Errorf("groups of %s: %w", name, err)
		}
		groups = append(groups, n)
	}
	return uid, gid, groups, nil
}

// checkOwner reports whose folder it is instead of failing at the first write
// with a bare "permission denied". A folder yet to be made is fine.
func checkOwner(dir string, uid int) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if int(stat.Uid) != uid {
		return fmt.Errorf("%w: %s belongs to user %d, the server runs as %d; chown -R %d %s", ErrOwner, dir, stat.Uid, uid, uid, dir)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("everybody may write to the data folder %s; chmod o-w %s", dir, dir)
	}
	return nil
}
