package blob

import (
	"errors"
	"syscall"
)

const (
	fallocKeepSize  = 0x1
	fallocPunchHole = 0x2
)

func (f osFile) Sync() error {
	if !SyncsBodies {
		return nil
	}
	return f.control(syscall.Fdatasync)
}

func (f osFile) Allocate(size int64) error {
	return f.control(func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
}

func (f osFile) Punch(start, length int64) error {
	return f.control(func(fd int) error {
		return syscall.Fallocate(fd, fallocKeepSize|fallocPunchHole, start, length)
	})
}

// control runs a system call on the descriptor, again when a signal got in.
func (f osFile) control(call func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = c.Control(func(fd uintptr) {
		for {
			result = call(int(fd))
			if !errors.Is(result, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if errors.Is(result, syscall.EOPNOTSUPP) || errors.Is(result, syscall.ENOSYS) {
		return errors.ErrUnsupported
	}
	return result
}
